"""What the flow tests share: a model that plays steps in this process, simple tools, a session around them, and its events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from ml_intern.app import default_policies
from ml_intern.errors import ConfigError, SessionBusy
from ml_intern.models.base import Delta, ModelRequest, Reply, TextDelta, Usage
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope, decode_data
from ml_intern.protocol.messages import AssistantMessage, Message, ToolCall
from ml_intern.protocol.permission_events import RuleInForce
from ml_intern.session.approvals import Gate
from ml_intern.session.around_calls import AroundCalls
from ml_intern.session.clock import Clock, SystemClock
from ml_intern.session.compaction import Compactor
from ml_intern.session.entrance import Entrance
from ml_intern.session.hooks.hooks import Hooks
from ml_intern.session.log import EventLog
from ml_intern.session.model_call import ModelCaller
from ml_intern.session.model_directory import OpenedModel
from ml_intern.session.money_questions import MoneyQuestions
from ml_intern.session.permissions import Mode, Permissions
from ml_intern.session.policies.base import Policy
from ml_intern.session.questions import Questions
from ml_intern.session.rewind import Rewinder
from ml_intern.session.rule_book import Kept, RuleBook
from ml_intern.session.rules import Rules
from ml_intern.session.session import Session, SessionParts
from ml_intern.session.snapshots import Snapshots
from ml_intern.session.state import SessionState
from ml_intern.session.tool_runner import ToolRunner
from ml_intern.session.toolbox import Toolbox
from ml_intern.session.turn import TurnParts
from ml_intern.stores.base import EventStore, SessionRecord
from ml_intern.stores.memory import MemoryStore
from ml_intern.tools.base import Effect, Risk, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.plan import PlanTool

Step: TypeAlias = "str | Reply | BaseException | Sequence[ToolCall] | Callable[[ModelRequest], AsyncIterator[Delta | Reply]]"


def call(name: str, arguments: str = "{}", id: str = "") -> ToolCall:
    """A tool call as a model writes it."""
    return ToolCall(id or f"call_{name}_{abs(hash((name, arguments))) % 10_000}", name, arguments)


def text_reply(text: str, *, finish: str = "stop", usage: Usage | None = None, cost: float | None = None) -> Reply:
    return Reply(AssistantMessage(text=text, model="fake/model"), finish, usage, cost)


def calls_reply(*calls: ToolCall, text: str = "", usage: Usage | None = None, finish: str = "tool_calls") -> Reply:
    return Reply(AssistantMessage(text=text, tool_calls=calls, model="fake/model"), finish, usage)


class FakePort:
    """A ``ModelPort`` that plays steps and keeps the messages of every request."""

    def __init__(self, *steps: Step, window: int | None = None, price_usd: float | None = 0.0, model_id: str = "fake/model") -> None:
        self.steps = list(steps)
        self.window = window
        self.price_usd = price_usd
        self.model_id = model_id
        self.requests: list[list[Message]] = []
        self.raw_requests: list[ModelRequest] = []
        self.closed_streams = 0
        self.closed = False

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | Reply]:
        self.requests.append(list(request.messages))
        self.raw_requests.append(request)
        step = self.steps.pop(0) if self.steps else "nothing left to say"
        try:
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                async for item in step(request):
                    yield item
                return
            reply = text_reply(step) if isinstance(step, str) else step if isinstance(step, Reply) else calls_reply(*step)
            if reply.message.text and request.stream:
                yield TextDelta(reply.message.text)
            yield reply
        finally:
            self.closed_streams += 1

    async def cost_usd(self, usage: Usage | None, stated: float | None) -> float | None:
        """``price_usd`` a reply, however long; prompts are free."""
        if stated is None and usage is not None and not usage.completion_tokens and self.price_usd is not None:
            return 0.0
        return stated if stated is not None else self.price_usd

    def learn_window(self, tokens: int) -> None:
        self.window = tokens if self.window is None else min(self.window, tokens)

    async def aclose(self) -> None:
        self.closed = True


class EchoArgs(ToolArgs, frozen=True):
    text: str = ""
    n: int = 0


class Echo(Tool[EchoArgs]):
    """Says back what it is told; ``behaviour`` may do anything else."""

    name = "echo"
    description = "Say it back."
    args = EchoArgs

    def __init__(
        self,
        behaviour: Callable[[EchoArgs, ToolContext], Any] | None = None,
        *,
        name: str = "echo",
        risk: Risk | Callable[[EchoArgs], Risk] | None = None,
        timeout_s: float | None = 600.0,
    ) -> None:
        self.name = name  # type: ignore[misc]
        self.timeout_s = timeout_s  # type: ignore[misc]
        self._behaviour = behaviour
        self._risk = risk
        self.ran: list[str] = []

    def risk(self, args: EchoArgs) -> Risk:
        if self._risk is None:
            return super().risk(args)
        return self._risk(args) if callable(self._risk) else self._risk

    async def run(self, args: EchoArgs, ctx: ToolContext) -> ToolOutput:
        self.ran.append(args.text)
        if self._behaviour is None:
            return ToolOutput(text=args.text or "done")
        result = self._behaviour(args, ctx)
        result = await result if asyncio.iscoroutine(result) else result
        return result if isinstance(result, ToolOutput) else ToolOutput(text=str(result))


ASKS = Risk(effects=frozenset({Effect.WRITES_OUTSIDE}))
SPENDS = Risk(effects=frozenset({Effect.SPENDS}), cost_usd=2.0)
RECURRING = Risk(effects=frozenset({Effect.RECURRING}))


class Models:
    """A ``ModelDirectory`` over ports by id."""

    def __init__(self, *ports: FakePort) -> None:
        self.ports = {port.model_id: port for port in ports}

    async def open(self, model_id: str, effort: str | None) -> OpenedModel:
        if model_id not in self.ports:
            raise ConfigError(f"There is no model '{model_id}'.", hint="Choose another.")
        return OpenedModel(self.ports[model_id], effort)


@dataclass
class World:
    """A session with everything around it."""

    session: Session
    port: FakePort
    store: EventStore
    seen: list[e.AnyEvent] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    first_warning_usd: float = 5.0
    parts: SessionParts | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _reader: asyncio.Task[None] | None = None

    @property
    def entrance(self) -> Entrance:
        assert self.parts is not None
        return self.parts.turn.entrance

    @property
    def state(self) -> SessionState:
        return self.session.state

    async def listen(self) -> None:
        async def read() -> None:
            async for envelope in self.session.events():
                async with self._changed:
                    self.envelopes.append(envelope)
                    self.seen.append(envelope.event)
                    self._changed.notify_all()

        self._reader = asyncio.create_task(read())

    async def until(self, *kinds: type[e.Event], count: int = 1) -> Any:
        """Wait for the ``count``-th event of these kinds (from the start) and return it."""

        def found() -> list[e.AnyEvent]:
            return [event for event in self.seen if isinstance(event, kinds)]

        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: len(found()) >= count), 10)
        return found()[count - 1]

    async def say(self, text: str) -> Any:
        """A whole turn: returns the event that ended it."""
        ends = len(self.of(e.TurnComplete, e.Interrupted)) + len([x for x in self.of(e.ErrorRaised) if x.ends_turn])
        await self.session.submit(op.UserInput(text=text))
        return await self.turn_end(ends + 1)

    async def turn_end(self, count: int = 1) -> Any:
        def ends() -> list[e.AnyEvent]:
            kinds = (e.TurnComplete, e.Interrupted, e.ErrorRaised)
            return [x for x in self.seen if isinstance(x, kinds) and getattr(x, "ends_turn", True)]

        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: len(ends()) >= count), 10)
        return ends()[count - 1]

    def of(self, *kinds: type[e.Event]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kinds)]

    def names(self) -> list[str]:
        return [event.wire for event in self.seen]

    async def check_the_fold(self) -> None:
        """The law: what the log holds folds to the very state that the live session has."""
        folded = SessionState(first_usage_warning_usd=self.first_warning_usd)
        for row in await self.store.load(self.session.log.session_id):
            folded.apply(row.seq, decode_data(row.type, row.data, row.version))
        assert snapshot(folded) == snapshot(self.state)

    async def close(self) -> None:
        with contextlib.suppress(SessionBusy):  # a session that was made to look dead cannot write its end
            await self.session.aclose()
        if self._reader is not None:
            await self._reader


def snapshot(state: SessionState) -> dict[str, Any]:
    """Everything a state knows, to compare."""
    spending = {**vars(state.spending), "by_kind": dict(state.spending.by_kind)}
    history = (state.history.messages, state.history.entries, state.history.compactions, state.history.open_calls)
    known = {name: value for name, value in vars(state).items() if name not in ("history", "spending")}
    return {**known, "spending": spending, "history": history}


class KeptInMemory:
    """Rules that outlive a session."""

    def __init__(self) -> None:
        self.rules: list[RuleInForce] = []

    def read(self) -> Sequence[RuleInForce]:
        return tuple(self.rules)

    def stamp(self) -> object:
        return tuple(self.rules)

    def change(self, scope: str, outcome: str, rule: str, *, wanted: bool, replaces: str = "") -> bool:
        before = len(self.rules)
        if replaces:
            known = (scope, outcome, replaces) in [(kept.scope, kept.outcome, kept.rule) for kept in self.rules]
            return known and self.change(scope, outcome, replaces, wanted=False) and self.change(scope, outcome, rule, wanted=True)
        self.rules = [kept for kept in self.rules if (kept.scope, kept.outcome, kept.rule) != (scope, outcome, rule)]
        self.rules += [RuleInForce(outcome=outcome, rule=rule, scope=scope, origin="kept")] if wanted else []
        return len(self.rules) != before


@dataclass(kw_only=True)
class Build:
    """How to build a world."""

    tmp_path: Path
    port: FakePort
    tools: Iterable[Tool[Any]] = ()
    mode: Mode = Mode.ASK
    permissions: Permissions | None = None
    policies: Sequence[Policy] | None = None
    max_iterations: int = 300
    usage_warning_usd: float = 5.0
    other_ports: Sequence[FakePort] = ()
    stream: bool = True
    refuses_too_long: bool = False
    ready: Callable[[], Awaitable[None]] | None = None
    clock: Clock = field(default_factory=SystemClock)
    kept: Kept = field(default_factory=KeptInMemory)
    scrub: Callable[[e.AnyEvent], e.AnyEvent] = lambda event: event
    hooks: Callable[[EventLog], Hooks] = lambda log: Hooks()
    snapshots: Callable[[EventLog], Snapshots] = lambda log: Snapshots()


async def build(how: Build, *, store: EventStore | None = None, session_id: str = "s1") -> World:
    """A new session, or with a ``store`` that has it the old one resumed."""
    resumed = store is not None
    store = store or MemoryStore()
    now = datetime.now(UTC)
    if not resumed:
        await store.create(SessionRecord(id=session_id, created_at=now, updated_at=now, cwd=str(how.tmp_path), model=how.port.model_id))
    await store.acquire(session_id)
    clock = how.clock
    log = EventLog(store, session_id, clock=clock, scrub=how.scrub, state=SessionState(first_usage_warning_usd=how.usage_warning_usd))
    await log.load()
    if not resumed:
        await log.append(e.SessionStarted(session_id=session_id, cwd=str(how.tmp_path), model=how.port.model_id))
    parts = _parts(how, log, store, clock)
    session = Session(parts, how.port)
    world = World(session, how.port, store, first_warning_usd=how.usage_warning_usd, parts=parts)
    await world.listen()
    await session.start()
    return world


def _parts(how: Build, log: EventLog, store: EventStore, clock: Clock) -> SessionParts:
    gate, questions, caller = Gate[Any](), Questions(log), ModelCaller(log, clock)
    hooks, snapshots = how.hooks(log), how.snapshots(log)
    tools = Toolbox((*how.tools, PlanTool()))
    book = RuleBook(how.kept, lambda: log.state.rules)
    permissions = how.permissions or Permissions(current=book.texts)
    runner = ToolRunner(
        tools=tools,
        permissions=permissions,
        gate=gate,
        questions=questions,
        log=log,
        spill_dir=how.tmp_path / "spill",
        clock=clock,
        around=AroundCalls(ready=how.ready, hooks=hooks, snapshots=snapshots),
    )

    async def close() -> None:
        await snapshots.aclose()
        await store.release(log.session_id)

    turn = TurnParts(
        log=log,
        runner=runner,
        caller=caller,
        compactor=Compactor(log, caller, hooks),
        entrance=Entrance(log, hooks, snapshots, refuses_too_long=how.refuses_too_long),
        money=MoneyQuestions(log, gate),
        policies=how.policies if how.policies is not None else default_policies(how.max_iterations),
        system="You are a test.",
        tools=tools,
        stream=how.stream,
        attended=how.mode is Mode.ASK,
    )
    return SessionParts(
        turn=turn,
        gate=gate,
        questions=questions,
        models=Models(how.port, *how.other_ports),
        rewinder=Rewinder(log, snapshots),
        rules=Rules(log, book, tools, permissions, read_only=False),
        base_mode=how.mode,
        close=close,
    )
