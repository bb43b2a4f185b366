"""What a crash left open is answered at resume: never repeated, never left without an answer."""

from __future__ import annotations

from collections.abc import Callable

from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import Interrupted, QuestionAnswered, ToolFinished, ToolStateChange
from ml_intern.session.approvals import Decision, Gate
from ml_intern.session.call_failures import interrupted
from ml_intern.session.cut_off_agents import answer_for, cut_off_agents
from ml_intern.session.log import EventLog
from ml_intern.session.state import SessionState
from ml_intern.tools.jobs.words import PERHAPS_STARTED, goes_on

SECRET_LOST = "The arguments held a secret, which is not stored. The call was not run: make it again if it is still needed."


async def recover(log: EventLog, gate: Gate[Decision], has_redaction: Callable[[str], bool]) -> bool:
    """Answer what is open. True when approvals still wait and the turn must go on for them: ``gate`` expects those."""
    state, closing, waiting = log.state, list[Event](), list[str]()
    for key, pending in state.pending.items():
        if key not in {call.id for call in state.history.open_calls}:
            closing.append(ToolStateChange(tool_call_id=key, tool=pending.tool, state="abandoned"))  # a question of money: asked anew
    closing += [QuestionAnswered(question_id=key, answer=None, reason="interrupted") for key in state.questions]
    agents = await cut_off_agents(log)
    for call in state.history.open_calls:
        if call.id in state.pending and not has_redaction(call.arguments):
            waiting.append(call.id)
        else:
            text = SECRET_LOST if call.id in state.pending else _outcome(state, call.id)
            if (agent := agents.get(call.id)) is not None:
                closing.append(agent)
                text = answer_for(agent)
            closing.append(ToolFinished(tool=call.name, tool_call_id=call.id, output=text, success=False, error_kind="interrupted"))
    if state.turn_running and not waiting:
        closing.append(Interrupted())
    if closing:
        await log.append(*closing)
    gate.expect(waiting)
    return bool(waiting)


def _outcome(state: SessionState, call_id: str) -> str:
    """A job outlives its call, and is looked after again: what the call had said of it is said here, for it costs."""
    said = [goes_on(job) for job in state.jobs.values() if job.tool_call_id == call_id]
    if not said and state.spending.reserved.get(call_id, (0.0, ""))[1] == "hf_jobs":
        said = [PERHAPS_STARTED]
    return interrupted(said, started=True).text
