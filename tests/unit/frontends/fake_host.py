"""A session host that plays events: what the real one promises, without a model or a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import Settings
from ml_intern.errors import SessionClosed
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope

SESSION = "0123456789abcdef"
Play = Callable[["FakeHost", op.AnyOperation], Awaitable[None]]


@dataclass
class FakeMoney:
    reserved: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])


@dataclass
class FakeState:
    last_seq: int = 0
    context_tokens: int = 0
    jobs: dict[str, e.HfJobSubmit] = field(default_factory=dict[str, e.HfJobSubmit])
    spending: FakeMoney = field(default_factory=FakeMoney)
    pending: set[str] = field(default_factory=set[str])
    """What is asked waits from when it is read."""


@dataclass
class FakeHost:
    """``play`` is called for every operation and emits what the session would."""

    play: Play
    state: FakeState = field(default_factory=FakeState)
    busy: bool = False
    closed: bool = False
    owner: str = ""
    sender: str = ""
    context_window: int | None = None
    last_words: tuple[str, ...] = ()
    set_aside: frozenset[str] = frozenset()
    """Calls that are decided before anybody reads that they wait."""
    operations: list[op.AnyOperation] = field(default_factory=list)
    read_from: int | None = None
    current: str = SESSION
    _queue: asyncio.Queue[Envelope | None] = field(default_factory=asyncio.Queue)
    _seq: int = 0

    @property
    def session_id(self) -> str:
        return self.current

    def emit(self, *events: e.AnyEvent, ago_s: float = 0.0) -> None:
        for event in events:
            if event.transient or (isinstance(event, e.ToolLog) and event.tool_call_id):
                seq = None
            else:
                self._seq += 1
                seq = self._seq
            self._queue.put_nowait(Envelope(session=SESSION, seq=seq, at=datetime.now(UTC) - timedelta(seconds=ago_s), event=event))

    def end_stream(self) -> None:
        self._queue.put_nowait(None)

    async def submit(self, operation: op.AnyOperation) -> None:
        if self.closed:
            raise SessionClosed("This session is closed.")
        self.operations.append(operation)
        await self.play(self, operation)

    async def events(self, *, after_seq: int | None = None) -> AsyncIterator[Envelope]:
        self.read_from = after_seq
        while (envelope := await self._queue.get()) is not None:
            if isinstance(envelope.event, e.ApprovalRequired):
                self.state.pending |= {tool.tool_call_id for tool in envelope.event.tools} - self.set_aside
            yield envelope

    async def aclose(self) -> None:
        self.closed = True


def started(text: str = "do it") -> tuple[e.AnyEvent, ...]:
    """What every turn begins with."""
    return (e.UserMessageAdded(content=text), e.Processing(message="Processing user input"))


def reply(text: str, *calls: str) -> e.AssistantMessageAdded:
    tool_calls = tuple(e.ToolCall(id=call, name="bash", arguments="{}") for call in calls)
    return e.AssistantMessageAdded(content=text, streamed=True, tool_calls=tool_calls, model="fake/model", finish_reason="stop")


def done(text: str | None, reason: str = "done", detail: str = "") -> e.TurnComplete:
    return e.TurnComplete(history_size=2, final_response=text, reason=reason, detail=detail, steps=1)


def plays(*events: e.AnyEvent) -> Play:
    """Emit these when the prompt comes; an interrupt ends the turn."""

    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        match operation:
            case op.UserInput():
                host.busy = True
                host.emit(*started(operation.text), *events)
            case op.Interrupt():
                host.emit(e.Interrupted())
                host.busy = False
            case _:
                pass

    return play


def loaded_with(environ: Mapping[str, str] = {}) -> LoadedSettings:
    return LoadedSettings(settings=Settings(), environ=Environ(environ), cwd=Path("/"))
