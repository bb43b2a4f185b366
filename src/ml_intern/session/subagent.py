"""A sub-agent: a turn of its own over a log of its own, read-only by construction, whose cost is the session's.

It uses the same loop, tools, permissions and compaction as the session. Nothing that may change anything passes its
permissions, whatever it reads tells it to do. What it found is kept however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ml_intern.errors import MlInternError
from ml_intern.models.base import ModelRequest
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope, decode_data
from ml_intern.protocol.messages import AssistantMessage, ToolMessage, UserMessage
from ml_intern.protocol.subagent_events import WRITES
from ml_intern.session.approvals import Decision, Gate
from ml_intern.session.around_calls import AroundCalls
from ml_intern.session.clock import Clock
from ml_intern.session.compaction import Compactor
from ml_intern.session.entrance import Entrance
from ml_intern.session.hooks.hooks import NO_HOOKS, Hooks
from ml_intern.session.inbox import Inbox
from ml_intern.session.log import EventLog
from ml_intern.session.model_call import ModelCaller
from ml_intern.session.model_port import ModelPort
from ml_intern.session.money_questions import MoneyQuestions
from ml_intern.session.permissions import Mode, Permissions
from ml_intern.session.policies.base import Policy
from ml_intern.session.questions import Questions
from ml_intern.session.shared_spending import SharedSpending, Shares
from ml_intern.session.state import SessionState
from ml_intern.session.tool_runner import ToolRunner
from ml_intern.session.toolbox import Toolbox
from ml_intern.session.turn import Turn, TurnParts
from ml_intern.stores.base import EventStore, SessionRecord
from ml_intern.stores.memory import MemoryStore
from ml_intern.tools.base import Tool
from ml_intern.tools.closing import close_tools

KIND = "research"
"""What its model calls are booked as."""
HIGHEST_EFFORT = "high"
_LOWERED = frozenset({"xhigh", "max"})
KEPT_CHARS = 1_500
KEPT_ANSWERS = 12
"""Of a sub-agent that could not sum up: so much of its newest answers."""
SUM_UP = (
    "[SYSTEM: You have no more steps.] Do not call a tool. Write the answer now from what you found: what is certain, with its "
    "source, what is missing, and what to look at next."
)


async def nobody_watches(envelope: Envelope) -> None:
    """For those who keep no transcript."""


class SubagentParts(Struct, frozen=True, kw_only=True):
    """What sub-agents of one session are made from. ``tools`` makes a set of its own for each of them.

    ``watch`` is told of every event of a sub-agent before the session holds its answer; the envelope's session is the sub-agent's id.
    """

    parent: EventLog
    clock: Clock
    open_model: Callable[[], ModelPort]
    tools: Callable[[], Sequence[Tool[Any]]]
    permissions: Callable[[], Permissions]
    policies: Callable[[int], tuple[Policy, ...]]
    scrub: Callable[[e.AnyEvent], e.AnyEvent]
    spill_dir: Path
    system: str
    max_iterations: int
    max_cost_usd: float | None = None
    hooks: Hooks = NO_HOOKS
    """Those around calls hold for its calls too."""
    watch: Callable[[Envelope], Awaitable[None]] = nobody_watches


class SubagentResult(Struct, frozen=True, kw_only=True):
    """``text`` is the answer, or what was found until it stopped; ``outcome`` as in ``subagent_finished``."""

    text: str
    outcome: str
    detail: str = ""
    consulted: tuple[str, ...] = ()


class Subagents:
    """Runs them, several at a time if asked to."""

    def __init__(self, parts: SubagentParts) -> None:
        self._parts = parts
        self._shares = Shares(parts.parent.state)

    async def run(self, agent_id: str, label: str, task: str) -> SubagentResult:
        """Work on ``task`` until it is answered or may not go on. Raises only for an interrupt or a broken store."""
        async with AsyncExitStack() as stack:
            stack.enter_context(self._shares.one_more())
            agent = await _Agent.open(self._parts, self._shares, agent_id, label, stack)
            return await agent.run(task)


class _Own(Struct, frozen=True, kw_only=True):
    log: EventLog
    store: EventStore
    turn: TurnParts
    model: ModelPort
    spending: SharedSpending


class _Agent:
    """One of them."""

    def __init__(self, parts: SubagentParts, own: _Own, agent_id: str, label: str) -> None:
        self._p = parts
        self._log, self._store, self._turn = own.log, own.store, own.turn
        self._model, self._spending = own.model, own.spending
        self._id, self._label = agent_id, label
        self._started = parts.clock.monotonic()
        self._tokens = 0
        self._calls: list[str] = []
        self._running: dict[str, str] = {}
        self._activity = ""

    @classmethod
    async def open(cls, parts: SubagentParts, shares: Shares, agent_id: str, label: str, stack: AsyncExitStack) -> _Agent:
        """Everything that it needs, given back by ``stack``."""
        state, store, spending = SessionState(), MemoryStore(), SharedSpending(shares, parts.max_cost_usd)
        state.spending = spending
        parent = parts.parent.state
        model = parts.open_model()
        stack.push_async_callback(model.aclose)
        now = parts.clock.now()
        record = SessionRecord(id=agent_id, created_at=now, updated_at=now, cwd=parent.cwd, model=model.model_id)
        await store.create(record)
        await store.acquire(agent_id)
        stack.push_async_callback(store.aclose)
        log = EventLog(store, agent_id, clock=parts.clock, scrub=parts.scrub, state=state)
        effort = HIGHEST_EFFORT if parent.effort in _LOWERED else parent.effort
        await log.append(e.SessionStarted(session_id=agent_id, cwd=parent.cwd, model=model.model_id, effort=effort))
        tools = parts.tools()
        stack.push_async_callback(close_tools, tools)
        turn = _turn_parts(parts, log, Toolbox(tools))
        return cls(parts, _Own(log=log, store=store, turn=turn, model=model, spending=spending), agent_id, label)

    async def run(self, task: str) -> SubagentResult:
        """The turn, watched."""
        await self._log.append(e.UserMessageAdded(content=task), e.Processing(message="Research"))
        self._show()
        watch = asyncio.create_task(self._watch())
        try:
            await Turn(self._turn, self._model, Inbox()).run()
            result = await self._conclude()
        except asyncio.CancelledError:
            await self._finish(watch, SubagentResult(text="", outcome="interrupted"))
            raise
        except BaseException as error:
            await self._finish(watch, SubagentResult(text="", outcome="failed", detail=str(error)))
            raise
        await self._finish(watch, result)
        return result

    # ── progress and money, as they come ─────────────────────────────────────────────────────────────────────────────

    async def _watch(self) -> None:
        async for envelope in self._log.events():
            await self._p.watch(envelope)
            match envelope.event:
                case e.LlmCall() as call:
                    self._tokens += call.total_tokens
                    self._activity = "" if self._activity == WRITES else self._activity
                    await self._p.parent.append(msgspec.structs.replace(call, kind=KIND))
                    self._spending.forwarded(call.cost_usd)
                    await self._p.parent.append(self._progress())
                case e.ToolCalled() as call:
                    self._activity = self._running[call.tool_call_id] = f"{call.tool} {_gist(call.arguments)}".strip()
                    self._calls.append(self._activity)
                    await self._p.parent.append(self._progress())
                case e.ToolFinished() as end:
                    self._running.pop(end.tool_call_id, None)
                    self._activity = next(reversed(self._running.values()), "")
                    await self._p.parent.append(self._progress())
                case e.AssistantChunk() if self._activity != WRITES:
                    self._activity = WRITES
                    self._show()
                case e.Retrying() as retry:
                    self._activity = retry.reason
                    self._show()
                case _:
                    pass

    def _show(self) -> None:
        self._p.parent.show(self._progress())

    def _progress(self) -> e.SubagentProgress:
        return e.SubagentProgress(
            agent_id=self._id,
            label=self._label,
            steps=self._log.state.steps,
            tokens=self._tokens,
            tool_calls=len(self._calls),
            cost_usd=self._spending.spent_usd,
            activity=self._activity,
        )

    async def _finish(self, watch: asyncio.Task[None], result: SubagentResult) -> None:
        """The watcher reads the log to its end first: what it has not booked yet was spent."""
        self._log.close()
        await watch
        state = self._log.state
        await self._p.parent.append(
            e.SubagentFinished(
                agent_id=self._id,
                label=self._label,
                outcome=result.outcome,
                steps=state.steps,
                tokens=self._tokens,
                tool_calls=len(self._calls),
                cost_usd=self._spending.spent_usd,
                duration_s=round(self._p.clock.monotonic() - self._started, 3),
                detail=result.detail,
            )
        )

    # ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _conclude(self) -> SubagentResult:
        reason, detail = await self._end()
        consulted = tuple(dict.fromkeys(self._calls_that_answered()))
        if reason == "done":
            text = next((m.text for m in reversed(self._log.state.history.messages) if isinstance(m, AssistantMessage)), "")
            if text.strip():
                return SubagentResult(text=text, outcome="done", consulted=consulted)
            reason, detail = "failed", "It ended without an answer."
        text = await self._summary() if reason in ("iteration_limit", "context_exhausted") else ""
        outcome = "failed" if reason == "failed" else "stopped"
        return SubagentResult(text=text or self._findings(), outcome=outcome, detail=detail, consulted=consulted)

    async def _end(self) -> tuple[str, str]:
        """How the turn ended, from its log."""
        last = (await self._store.load(self._id))[-1]
        match decode_data(last.type, last.data, last.version):
            case e.TurnComplete() as end:
                return end.reason, end.detail
            case e.ErrorRaised() as end:
                return "failed", f"{end.error} {end.hint}".strip()
            case _:
                return "failed", "It was interrupted."

    async def _summary(self) -> str:
        """One more call; empty when that fails too, and when it asks for a tool all the same: nobody answers that.

        The tools are sent as before: the provider's cache holds the prefix with them, and some refuse a history of calls without.
        """
        request = ModelRequest(
            system=self._turn.system,
            tools=self._turn.tools.schemas,
            messages=(*self._log.state.history.messages, UserMessage(text=SUM_UP, internal=True)),
            session_id=self._id,
            effort=self._log.state.effort,
            stream=True,
        )
        if self._spending.remaining_usd == 0.0:
            return ""
        try:
            return (await self._turn.caller.ask_aside(self._model, request, kind=KIND)).message.text.strip()
        except MlInternError:
            return ""

    def _findings(self) -> str:
        """What it said and the newest of what its tools answered, cut: better than nothing, and said to be that."""
        messages = self._log.state.history.messages
        said = [m.text.strip() for m in messages if isinstance(m, AssistantMessage) and m.text.strip()]
        answers = [m for m in messages if isinstance(m, ToolMessage) and m.success][-KEPT_ANSWERS:]
        parts = [*said[-3:], *(f"[{m.name}]\n{m.text[:KEPT_CHARS]}" for m in answers)]
        return "\n\n".join(parts) or "Nothing was found yet."

    def _calls_that_answered(self) -> list[str]:
        messages = self._log.state.history.messages
        good = {m.tool_call_id for m in messages if isinstance(m, ToolMessage) and m.success}
        return [
            f"{call.name} {_gist(call.arguments)}".strip()
            for m in messages
            if isinstance(m, AssistantMessage)
            for call in m.tool_calls
            if call.id in good
        ]


def _turn_parts(parts: SubagentParts, log: EventLog, tools: Toolbox) -> TurnParts:
    gate, caller = Gate[Decision](attended=False), ModelCaller(log, parts.clock)
    runner = ToolRunner(
        tools=tools,
        permissions=parts.permissions(),
        gate=gate,
        questions=Questions(log),
        log=log,
        spill_dir=parts.spill_dir,
        clock=parts.clock,
        around=AroundCalls(hooks=parts.hooks),
    )
    runner.mode = lambda: Mode.CONTAINED
    return TurnParts(
        log=log,
        runner=runner,
        caller=caller,
        compactor=Compactor(log, caller),
        entrance=Entrance(log),
        money=MoneyQuestions(log, gate),
        policies=parts.policies(parts.max_iterations),
        system=parts.system,
        tools=tools,
        attended=False,
    )


def _gist(arguments: object) -> str:
    """The values of a call, for one line."""
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments)
        except msgspec.DecodeError:
            return ""
    values = arguments.values() if isinstance(arguments, dict) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    text = " ".join(str(value) for value in values if isinstance(value, (str, int)) and not isinstance(value, bool))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return " ".join(text.split())[:80]
