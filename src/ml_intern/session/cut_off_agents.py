"""Sub-agents that a crash cut off: how far the log says they had come."""

from __future__ import annotations

from ml_intern.protocol.amounts import counted
from ml_intern.protocol.events import SubagentFinished, SubagentProgress
from ml_intern.session.log import EventLog


async def cut_off_agents(log: EventLog) -> dict[str, SubagentFinished]:
    """The end of each sub-agent of the last turn that has none, by its call. Raises ``StoreError``."""
    if not log.state.history.open_calls:
        return {}
    last: dict[str, SubagentProgress] = {}
    did: dict[str, str] = {}
    seq = log.state.turn_seqs[-1] - 1 if log.state.turn_seqs else 0
    while page := await log.page(seq):
        for envelope in page:
            seq = envelope.seq or seq
            match event := envelope.event:
                case SubagentProgress():
                    last[event.agent_id] = event
                    did[event.agent_id] = event.activity or did.get(event.agent_id, "")
                case SubagentFinished():
                    last.pop(event.agent_id, None)
                case _:
                    pass
    return {key: _ended(at, did[key]) for key, at in last.items()}


def _ended(at: SubagentProgress, did: str) -> SubagentFinished:
    return SubagentFinished(
        agent_id=at.agent_id,
        label=at.label,
        outcome="interrupted",
        steps=at.steps,
        tokens=at.tokens,
        tool_calls=at.tool_calls,
        cost_usd=at.cost_usd,
        duration_s=0.0,  # between its last event and the crash it may have run for hours
        detail=f"The process ended {f'while it ran {at.activity}' if at.activity else f'after it had run {did}' if did else 'as it began'}",
    )


def answer_for(end: SubagentFinished) -> str:
    """What the model is told: nothing that it did is in doubt, for it only reads, but what it found is gone."""
    done = f"{counted(end.steps, 'step')} and {counted(end.tool_calls, 'call')}"
    return f"Interrupted after {done}. {end.detail}; what it had found is lost. Call it again if that is still needed."
