"""What the app needs of a session, and what its parts are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ml_intern.frontends.headless.options import Host
from ml_intern.protocol.codec import Envelope

if TYPE_CHECKING:
    from ml_intern.compute.jobs import JobInfo
    from ml_intern.config.load import LoadedSettings


class JobDesk(Protocol):
    """What is done with jobs (``session/session_jobs.py``). Methods raise ``ToolError``."""

    async def others(self) -> list[JobInfo]:
        """Jobs of this account that run and that the session does not look after."""
        ...

    def follow(self, job_id: str, namespace: str) -> AsyncIterator[str]:
        """Its log line by line, until it is over."""
        ...

    async def cancel(self, job_id: str, namespace: str) -> None:
        """Stop it."""
        ...

    async def attach(self, info: JobInfo) -> None:
        """Look after a job that was started elsewhere."""
        ...


class Backend(Host, Protocol):
    """``session/host.py`` has the one. Of its state the app reads the number of the last event, and when it
    ends the jobs that go on; the rest is folded from events.
    """

    @property
    def vacated(self) -> bool:
        """Whether the session was joined and its process closed it or died; a resume, or the next message, opens it here."""
        ...

    @property
    def context_window(self) -> int | None:
        """Tokens that the current model takes; None when nobody knows."""
        ...

    @property
    def jobs(self) -> JobDesk | None:
        """The session's jobs; None where they are out of reach, as in another process."""
        ...


Opening: TypeAlias = Callable[[], Awaitable[Backend]]
"""Opens the session, after the first paint. Raises ``MlInternError``."""


class OpenBackend(Protocol):
    """``app.open_session``, handed in because a frontend does not compose the program."""

    async def __call__(self, *, loaded: LoadedSettings, resume: str | None, auto_approve: bool, read_only: bool) -> Backend: ...


class EventReader(Protocol):
    """A part of the app that reads the session's events, in order and each once."""

    def begin(self, *, keep: bool) -> None:
        """The events of another session follow, from its first one: forget what was folded.

        ``keep`` leaves what is on the screen (``/new``), else it goes (``/clear``, ``/resume``).
        """
        ...

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """Take an event. ``live`` is false for what the log held before: nothing rings, blinks or counts time for those."""
        ...
