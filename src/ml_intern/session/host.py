"""One conversation slot: what a frontend holds. It hands operations to the current session and outlives new, resume and fork.

The current session is one of this process, or one that another process has open and that was joined there. When that process
closes it or dies, the slot is *vacated*: it stays where it is until a resume, or the user's next message, opens the session here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Protocol, TypeAlias, assert_never
from weakref import WeakSet

from msgspec.structs import replace

from ml_intern.compute.to_the_end import to_the_end
from ml_intern.errors import MlInternError, SessionBusy, SessionClosed, SessionNotFound
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.remote import NotSent, RemoteHost
from ml_intern.session.session import Session
from ml_intern.session.session_jobs import SessionJobs
from ml_intern.session.state import SessionState

Move: TypeAlias = op.New | op.Resume | op.Fork
"""What replaces the current session."""
LETTING_GO_S, AGAIN_S = 10.0, 0.1


class SessionFactory(Protocol):
    """Opens sessions; ``app.py`` has the one."""

    @property
    def last_words(self) -> Sequence[str]:
        """What is to be said of sessions that are closed: nobody reads their logs any more."""
        ...

    async def new(self, after: SessionState | None = None) -> Session:
        """A fresh session; in the same folder, with the model and the effort of the one it comes ``after``."""
        ...

    async def find(self, name: str) -> str:
        """The id for an id, unique prefix, 1-based index or ``last``. Raises ``StoreError``."""
        ...

    async def resume_or_join(self, name: str) -> Session | RemoteHost:
        """Named as in ``find``; one that another process has open is joined there. Raises ``StoreError``, also for one open here."""
        ...

    async def fork(self, session: Session | RemoteHost, at_seq: int | None) -> Session:
        """A new session that begins with a copy of this one's log."""
        ...

    async def aclose(self) -> None:
        """Close the store and what the sessions shared."""
        ...


class SessionHost:
    """``async with``: submit operations, iterate events. The stream goes on when the session is replaced."""

    def __init__(self, factory: SessionFactory, session: Session | RemoteHost) -> None:
        self._factory = factory
        self._session = session
        self._streams: WeakSet[_Stream] = WeakSet()
        self._moving = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None

    @property
    def session_id(self) -> str:
        """The current session's id."""
        return self._session.session_id

    @property
    def state(self) -> SessionState:
        """The current session's state, to look at."""
        return self._session.state

    @property
    def busy(self) -> bool:
        """Whether a turn runs."""
        return self._session.busy

    @property
    def context_window(self) -> int | None:
        """Tokens that the current model takes; None when nobody knows."""
        return self._session.context_window

    @property
    def owner(self) -> str:
        """The other process that has the session open, where one was joined: ``process 4242 since 03:12``."""
        return self._session.owner if isinstance(self._session, RemoteHost) else ""

    @property
    def sender(self) -> str:
        """What ``sent_by`` says of what this terminal sent; empty where the session is its own."""
        return self._session.sender if isinstance(self._session, RemoteHost) else ""

    @property
    def vacated(self) -> bool:
        """Whether the session was joined and its process closed it or died: nobody works on it until it is opened here."""
        return isinstance(self._session, RemoteHost) and self._session.ended is not None

    @property
    def last_words(self) -> tuple[str, ...]:
        """See ``SessionFactory``; complete after ``aclose``."""
        return tuple(self._factory.last_words)

    @property
    def jobs(self) -> SessionJobs | None:
        """The current session's jobs; None where there can be none."""
        return self._session.jobs

    async def submit(self, operation: op.AnyOperation) -> None:
        """Take an operation; events tell what came of it. Raises ``SessionClosed`` after ``shutdown``."""
        self._refuse_when_closed()
        match operation:
            case op.New() | op.Resume() | op.Fork():
                async with self._moving:
                    self._refuse_when_closed()
                    await self._move(operation)
            case op.Shutdown():
                await self.aclose()
            case op.UserInput() if self.vacated:
                await self._say_here(operation)
            case _:
                await self._hand_over(operation)

    async def _hand_over(self, operation: op.AnyOperation) -> None:
        """The process that had the session open may be gone since: what was said is said here then, the rest is the user's to do again."""
        try:
            await self._session.submit(operation)
        except NotSent as error:
            if not self.vacated:
                raise
            if not isinstance(operation, op.UserInput):
                text = "That was not taken: the process that had the session open is gone."
                raise SessionClosed(text, hint="A message opens the session here.") from error
            await self._say_here(operation)

    async def _say_here(self, message: op.UserInput) -> None:
        async with self._moving:
            self._refuse_when_closed()
            if self.vacated:
                await self._move(op.Resume(path=self.session_id))
        await self._session.submit(message)

    def _refuse_when_closed(self) -> None:
        if self._closing is not None:
            raise SessionClosed("This session is closed.", hint="Open it again to go on.")

    def events(self, *, after_seq: int | None = None) -> AsyncIterator[Envelope]:
        """Live events, with the stored ones after ``after_seq`` first (None: only what happens from this call on)."""
        start = self._session.state.last_seq if after_seq is None else after_seq
        stream = _Stream(self._session.events(after_seq=start), start)
        if self._closing is not None:
            stream.end()
        self._streams.add(stream)
        return stream.read()

    # ── another session ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _move(self, operation: Move) -> None:
        try:
            moved = await self._open(operation)
            if moved is None:
                return
            session, announcement = moved
            start = session.state.last_seq
            if isinstance(session, Session):
                await self._announce(session, announcement)
        except MlInternError as error:
            if isinstance(self._session, RemoteHost):  # its log is not ours to write in
                raise
            await self._complain(f"{_title(operation)} failed: {error.message}", error.hint, kind=type(error).__name__)
            return
        for stream in self._streams:
            if session.session_id == self.session_id:
                stream.go_on_here(lambda seq: session.events(after_seq=seq))
            else:
                stream.go_on_with(session.events(after_seq=start))
        old, self._session = self._session, session
        await self._leave(old)

    async def _open(self, operation: Move) -> tuple[Session | RemoteHost, e.NewComplete | e.ResumeComplete] | None:
        """The session that is asked for, and how it is announced; None where there is nothing to open."""
        match operation:
            case op.New():
                session = await self._factory.new(self._session.state)
                return session, self._new_complete(session, operation)
            case op.Resume():
                if not operation.path:
                    await self._complain(
                        "There is no session named.", "Name it by id, by the beginning of its id, by its place, or as 'last'."
                    )
                    return None
                session_id = await self._factory.find(operation.path)
                if session_id == self.session_id and not self.vacated:
                    await self._complain(f"You are in it: {short_id(session_id)} is this session.", "Name another one.")
                    return None
                session = await self._resumed_or_joined(session_id)
                return session, resume_complete(session, operation.path)
            case op.Fork():
                parent_id = self.session_id
                session = await self._factory.fork(self._session, operation.at_seq)
                return session, replace(resume_complete(session, parent_id), forked=True)
            case _:
                assert_never(operation)

    async def _resumed_or_joined(self, session_id: str) -> Session | RemoteHost:
        """A process that closes a session tells those who joined it a moment before it lets go of it."""
        until = asyncio.get_running_loop().time() + LETTING_GO_S
        while True:
            try:
                return await self._factory.resume_or_join(session_id)
            except SessionBusy:
                if not (self.vacated and session_id == self.session_id) or asyncio.get_running_loop().time() >= until:
                    raise
            await asyncio.sleep(AGAIN_S)

    def _new_complete(self, session: Session, operation: op.New) -> e.NewComplete:
        old = self._session
        return e.NewComplete(
            session_id=session.session_id,
            previous_session_id=old.session_id,
            previous_turn_count=old.state.turn_count,
            previous_message_count=len(old.state.history.entries),
            saved_path=None,
            clear_screen=operation.clear_screen,
        )

    async def _announce(self, session: Session, announcement: e.NewComplete | e.ResumeComplete) -> None:
        """In its own log."""
        try:
            await session.log.append(announcement)
        except BaseException:
            await session.aclose()
            raise

    async def _leave(self, old: Session | RemoteHost) -> None:
        """Close it: who read it goes on with the current one."""
        try:
            await to_the_end(old.aclose())
        except MlInternError as error:
            await self._complain(
                f"The session that you left was not closed properly: {error.message}", error.hint, kind=type(error).__name__
            )

    async def _complain(self, text: str, hint: str, *, kind: str = "BadOperation") -> None:
        if isinstance(self._session, RemoteHost):
            raise SessionNotFound(text, hint=hint)
        await self._session.log.append(e.ErrorRaised(error=text, hint=hint, kind=kind, ends_turn=False))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def aclose(self) -> None:
        """Shut the session down and close the store. Whoever calls this meanwhile waits until it is done."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
            await to_the_end(_result(self._closing))
        else:
            await asyncio.wait([self._closing])

    async def _close(self) -> None:
        async with self._moving:
            try:
                await self._session.aclose()
            finally:
                for stream in self._streams:
                    stream.end()
                await self._factory.aclose()

    async def __aenter__(self) -> SessionHost:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()


class _Stream:
    """What a reader has before it: the log it reads, and those of the sessions that replaced it since.

    It ends with its last log, unless that is one of a session that was vacated: then it waits for what comes in its place.
    """

    def __init__(self, first: AsyncIterator[Envelope], after_seq: int) -> None:
        self._logs: deque[Callable[[int], AsyncIterator[Envelope]]] = deque([lambda _: first])
        self._seq = after_seq
        self._more = asyncio.Event()
        self._ended = False

    def go_on_with(self, log: AsyncIterator[Envelope]) -> None:
        """Once what is before it has ended."""
        self.go_on_here(lambda _: log)

    def go_on_here(self, log: Callable[[int], AsyncIterator[Envelope]]) -> None:
        """The same session from elsewhere: after the last event that was read."""
        self._logs.append(log)
        self._more.set()

    def end(self) -> None:
        """Nothing comes in its place any more."""
        self._ended = True
        self._more.set()

    async def read(self) -> AsyncIterator[Envelope]:
        vacated = False
        while True:
            while self._logs:
                async for envelope in self._logs.popleft()(self._seq):
                    vacated = isinstance(envelope.event, e.ConnectionChanged) and envelope.event.over
                    self._seq = envelope.seq or self._seq
                    yield envelope
            if self._ended or not vacated:
                return
            self._more.clear()
            await self._more.wait()


async def _result(task: asyncio.Task[None]) -> None:
    await task


def _title(operation: Move) -> str:
    match operation:
        case op.New():
            return "New chat"
        case op.Resume():
            return "Resume"
        case op.Fork():
            return "Fork"
        case _:
            assert_never(operation)


def resume_complete(session: Session | RemoteHost, path: str) -> e.ResumeComplete:
    """What resuming restored."""
    state = session.state
    return e.ResumeComplete(
        path=path,
        restored_count=len(state.history.messages),
        dropped_count=0,
        model_name=state.model,
        invalid_saved_model=None,
        forked=False,
        had_redacted_content=False,
        session_id=session.session_id,
    )
