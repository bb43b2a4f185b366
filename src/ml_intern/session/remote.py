"""A session of another process, with the face of ``SessionHost``: any frontend can watch it and take part.

One connection keeps ``state`` (the fold of the stored events), each ``events()`` has one of its own and each operation too, so that
a slow screen holds up nothing. A connection that breaks is made again from the last event on; when nobody answers any more, the
owner is gone, and the streams say so and end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from msgspec import Raw

from ml_intern.config.version import __version__
from ml_intern.errors import ProtocolError, SessionClosed
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope, encode_operation
from ml_intern.protocol.events import LlmCall, ModelSwitched
from ml_intern.protocol.operation_base import JOINED
from ml_intern.protocol.remote_events import ConnectionChanged
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.control import Answer, Closed, Refused, Request, Taken, Tell, Watch, Welcome, socket_path
from ml_intern.session.remote_wire import RETRIES, NotOpen, Retries, Wire, connected_again, look, other_version
from ml_intern.session.state import SessionState

WINDOW_NEWS = (LlmCall, ModelSwitched)
"""After these the owner may know the size of the window, or another one."""


class NotSent(SessionClosed):
    """Nobody was there to take it: it has had no effect."""


class RemoteHost:
    """Made by ``attach``. Leaving it leaves the session as it is."""

    def __init__(self, path: Path, wire: Wire, welcome: Welcome, retries: Retries) -> None:
        self._path = path
        self._wire = wire
        self._welcome = welcome
        self._retries = retries
        self.state = SessionState()
        self._advanced = asyncio.Condition()
        self._over: ConnectionChanged | None = None
        self._leaving = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._window_news = asyncio.Event()
        self._asking_window: asyncio.Task[None] | None = None

    @classmethod
    async def attach(cls, folder: Path, session_id: str, retries: Retries = RETRIES) -> RemoteHost:
        """Join the session; its state is complete when this returns. Raises ``NotOpen``, or ``ProtocolError`` for an owner
        of another version.
        """
        path = socket_path(folder, session_id)
        wire = await Wire.connected(path, Watch(after_seq=0, transient=False), retries)
        try:
            welcome = await wire.welcome(retries)
            if welcome.session != session_id:
                raise NotOpen(f"Session {short_id(session_id)} is not open in another process.")
            host = cls(path, wire, welcome, retries)
            await host._fold_until(welcome.last_seq)
        except (ConnectionError, TimeoutError) as error:
            wire.close()
            raise NotOpen(f"The process that has session {short_id(session_id)} open went away while it was being joined.") from error
        except BaseException:
            wire.close()
            raise
        host._following = asyncio.create_task(host._follow())
        host._asking_window = asyncio.create_task(host._ask_window())
        return host

    # ── the face of a host ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def jobs(self) -> None:
        """Out of reach: they belong to the process that has the session open."""
        return None

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._welcome.session

    @property
    def sender(self) -> str:
        """What the session calls this terminal: in ``sent_by`` of what comes of its operations."""
        return f"{JOINED}{os.getpid()}"

    @property
    def owner(self) -> str:
        """The process that has it open, for people: ``process 4242 since 03:12``."""
        return self._welcome.owner

    @property
    def busy(self) -> bool:
        """Whether a turn runs, as far as the events tell."""
        return self._over is None and self.state.turn_running

    @property
    def context_window(self) -> int | None:
        """As the owner knows it: it is asked after each of its calls of a model, and after its switches to another one."""
        return self._welcome.context_window

    @property
    def ended(self) -> ConnectionChanged | None:
        """Why nothing more will come, once that is so."""
        return self._over

    async def submit(self, operation: op.AnyOperation) -> None:
        """Hand an operation to the owner; ``shutdown`` only leaves. Raises ``SessionClosed`` when nobody is there to take it."""
        if isinstance(operation, op.Shutdown):
            await self.aclose()
            return
        if self._over is not None:
            raise NotSent(self._over.message, hint=self._hint)
        answer = await self._ask(Tell(operation=Raw(encode_operation(operation)), sender=self.sender))
        match answer:
            case Taken():
                return
            case Refused(kind="ProtocolError") if self._welcome.version != __version__:
                raise other_version(self._welcome)
            case Refused():
                raise SessionClosed(answer.error, hint=answer.hint)
            case _:
                raise ProtocolError("The process that owns the session answered with something else than it was asked.")

    def events(self, *, after_seq: int | None = None) -> AsyncIterator[Envelope]:
        """As of ``SessionHost``, with transient ``connection_changed`` events in between. Live text counts from the first step on."""
        return self._events(self.state.last_seq if after_seq is None else after_seq)

    async def aclose(self) -> None:
        """Leave: streams end. The session goes on."""
        self._leaving.set()
        running = [task for task in (self._following, self._asking_window) if task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        self._wire.close()  # here, for a task that is cancelled before its first step does nothing
        await self._end(ConnectionChanged(state="ended", message="You left the session; it goes on in the other process."))

    async def __aenter__(self) -> RemoteHost:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    # ── the state ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self) -> None:
        """Keep the state; the one task that decides that the owner is gone."""
        wire: Wire | None = self._wire
        try:
            while wire is not None:
                if await self._fold_all(wire):
                    await self._end(ConnectionChanged(state="ended", message="The session was closed by the process that had it open."))
                    return
                wire.close()
                request = Watch(after_seq=self.state.last_seq, transient=False)
                wire = await connected_again(self._path, request, self._retries)
                self._wire = wire or self._wire
            message = f"The process that had session {self._short} open ({self.owner}) is gone. What it did is in its log."
            await self._end(ConnectionChanged(state="gone", message=message))
        except ProtocolError:
            await self._end(ConnectionChanged(state="gone", message=str(other_version(self._welcome))))

    async def _fold_until(self, seq: int) -> None:
        try:
            while self.state.last_seq < seq:
                self._fold(await self._wire.event())
        except ProtocolError as error:
            raise other_version(self._welcome) from error

    async def _fold_all(self, wire: Wire) -> bool:
        """Whether the session was closed; False when the connection broke."""
        with suppress(ConnectionError):
            while not isinstance(answer := await wire.read(), Closed):
                if isinstance(answer, Envelope):
                    if isinstance(answer.event, WINDOW_NEWS):
                        self._window_news.set()
                    self._fold(answer)
                    async with self._advanced:
                        self._advanced.notify_all()
            return True
        return False

    async def _ask_window(self) -> None:
        """No event has it, and messages are measured against it here. Beside the reading, which waits for nobody."""
        while await self._window_news.wait():
            self._window_news.clear()
            self._welcome = await look(self._path, self._retries) or self._welcome

    def _fold(self, envelope: Envelope) -> None:
        if envelope.seq is not None and envelope.seq > self.state.last_seq:
            self.state.apply(envelope.seq, envelope.event)

    async def _end(self, why: ConnectionChanged) -> None:
        async with self._advanced:
            self._over = self._over or why
            self._advanced.notify_all()

    @property
    def _short(self) -> str:
        return short_id(self.session_id)

    @property
    def _hint(self) -> str:
        return f"Go on with it here: ml-intern --resume {self._short}"

    # ── a stream ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _events(self, seq: int) -> AsyncGenerator[Envelope]:
        lost = False
        yield self._notice("attached", f"Joined session {self._short}, which is open in {self.owner}.")
        while self._over is None and not self._leaving.is_set():
            with suppress(ConnectionError, TimeoutError, NotOpen):
                async with aclosing(self._stream(seq)) as stream:
                    async for answer in stream:
                        if isinstance(answer, Envelope):
                            seq = answer.seq or seq
                            yield answer
                        elif lost:
                            lost = False
                            yield self._notice("restored", "The connection is there again; nothing was missed.")
                break  # closed there, or left here
            if not await self._is_over(self._retries.every_s) and not lost:
                lost = True
                yield self._notice("lost", "The connection to the session broke; it is being made again.")
        if not self._leaving.is_set():
            async with self._advanced:
                await self._advanced.wait_for(lambda: self._over is not None)
            if self._over is not None:
                yield self._notice(self._over.state, self._over.message)

    async def _is_over(self, within_s: float) -> bool:
        """A moment for the other connection to notice what this one has."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._advanced:
                await self._advanced.wait_for(lambda: self._over is not None)
        return self._over is not None

    async def _stream(self, seq: int) -> AsyncGenerator[Envelope | Welcome]:
        wire = await Wire.connected(self._path, Watch(after_seq=seq), self._retries)
        leaving = asyncio.ensure_future(self._leaving.wait())
        leaving.add_done_callback(lambda _: wire.close())
        try:
            yield await wire.welcome(self._retries)
            while not self._leaving.is_set():
                answer = await wire.read()
                if isinstance(answer, Closed):
                    return
                if isinstance(answer, Envelope):
                    await self._until_folded(answer.seq)
                    yield answer
        except ProtocolError as error:
            raise other_version(self._welcome) from error
        except ConnectionError:
            if not self._leaving.is_set():
                raise
        finally:
            leaving.cancel()
            wire.close()

    async def _until_folded(self, seq: int | None) -> None:
        """An event is in the state before it is shown."""
        if seq is None or seq <= self.state.last_seq:
            return
        async with self._advanced:
            await self._advanced.wait_for(lambda: self.state.last_seq >= seq or self._over is not None)

    def _notice(self, state: str, message: str) -> Envelope:
        event = ConnectionChanged(state=state, message=message)
        return Envelope(session=self.session_id, seq=None, at=datetime.now(UTC), event=event)

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, request: Request) -> Answer | Envelope:
        """One question, one answer. Not sent again when the connection breaks: it may have been taken."""
        wire = await connected_again(self._path, request, self._retries)
        if wire is None:
            await self._is_over(self._retries.for_s)
            raise NotSent(f"The process that had session {self._short} open does not answer.", hint=self._hint)
        try:
            return await wire.read()
        except (ConnectionError, TimeoutError) as error:
            raise SessionClosed(
                "The connection broke before the session said whether it took that.", hint="Look at what it does, then try again."
            ) from error
        finally:
            wire.close()
