"""One conversation slot: what a frontend holds. It hands operations to the current session and outlives new, resume and fork."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol

from ml_intern.errors import MlInternError, SessionClosed
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.session.session import Session
from ml_intern.session.state import SessionState


class SessionFactory(Protocol):
    """Opens sessions; ``app.py`` has the one."""

    async def new(self) -> Session:
        """A fresh session in the same place."""
        ...

    async def resume(self, name: str) -> Session:
        """By id, unique prefix, 1-based index or ``last``. Raises ``StoreError``."""
        ...

    async def fork(self, session: Session, at_seq: int | None) -> Session:
        """A new session that begins with a copy of this one's log."""
        ...

    async def aclose(self) -> None:
        """Close the store."""
        ...


class SessionHost:
    """``async with``: submit operations, iterate events. The stream goes on when the session is replaced."""

    def __init__(self, factory: SessionFactory, session: Session) -> None:
        self._factory = factory
        self._session = session
        self._next_from: dict[str, int] = {}
        self._closed = False

    @property
    def session_id(self) -> str:
        """The current session's id."""
        return self._session.log.session_id

    @property
    def state(self) -> SessionState:
        """The current session's state, to look at."""
        return self._session.state

    @property
    def busy(self) -> bool:
        """Whether a turn runs."""
        return self._session.busy

    async def submit(self, operation: op.AnyOperation) -> None:
        """Take an operation; events tell what came of it. Raises ``SessionClosed`` after ``shutdown``."""
        if self._closed:
            raise SessionClosed("This session is closed.", hint="Open it again to go on.")
        match operation:
            case op.New():
                await self._new(operation)
            case op.Resume():
                await self._resume(operation)
            case op.Fork():
                await self._replace(await self._factory.fork(self._session, operation.at_seq))
            case op.Shutdown():
                await self.aclose()
            case _:
                await self._session.submit(operation)

    def events(self, *, after_seq: int | None = None) -> AsyncIterator[Envelope]:
        """Live events, with the stored ones after ``after_seq`` first (None: only what happens from this call on)."""
        return self._events(self._session, self._session.state.last_seq if after_seq is None else after_seq)

    async def _events(self, session: Session, start: int) -> AsyncIterator[Envelope]:
        while True:
            async for envelope in session.events(after_seq=start):
                yield envelope
            if session is self._session:
                return
            session = self._session
            start = self._next_from.get(session.log.session_id, 0)

    async def _new(self, operation: op.New) -> None:
        old, session = self._session, await self._factory.new()
        completed = e.NewComplete(
            session_id=session.log.session_id,
            previous_session_id=old.log.session_id,
            previous_turn_count=old.state.turn_count,
            previous_message_count=len(old.state.history.entries),
            saved_path=None,
            clear_screen=operation.clear_screen,
        )
        await self._replace(session, completed)

    async def _resume(self, operation: op.Resume) -> None:
        if not operation.path:
            await self._session.submit(op.Resume())
            return
        try:
            session = await self._factory.resume(operation.path)
        except MlInternError as error:
            failed = e.ErrorRaised(error=f"Resume failed: {error.message}", hint=error.hint, kind=type(error).__name__, ends_turn=False)
            await self._session.log.append(failed)
            return
        await self._replace(session, resume_complete(session, operation.path))

    async def _replace(self, session: Session, announcement: e.NewComplete | e.ResumeComplete | None = None) -> None:
        """Announce in the new session's log, then close the old one: its readers move over."""
        self._next_from[session.log.session_id] = session.state.last_seq
        if announcement is not None:
            await session.log.append(announcement)
        old, self._session = self._session, session
        await old.aclose()

    async def aclose(self) -> None:
        """Shut the session down and close the store."""
        if not self._closed:
            self._closed = True
            await self._session.aclose()
            await self._factory.aclose()

    async def __aenter__(self) -> SessionHost:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()


def resume_complete(session: Session, path: str) -> e.ResumeComplete:
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
        session_id=session.log.session_id,
    )
