"""What a headless run is asked to do, what it needs of a session, and what it answers with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct  # and no dataclasses: these stand on the path to the first request, and one of those takes 0.8 ms to make

from ml_intern.frontends.jobs_left import WithJobs
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.messages import JsonObject
from ml_intern.protocol.operations import AnyOperation

if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings


class ExitCode(IntEnum):
    """What the process ends with. A run that a signal ended returns 128 + its number: 130 Ctrl-C, 143 TERM, 129 HUP.

    ``PIPE_CLOSED`` is what the shell shows for a program that SIGPIPE ended: whoever read our output went away.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    LIMIT = 3
    REFUSED = 4
    INTERRUPTED = 130
    PIPE_CLOSED = 141


class HeadlessOptions(Struct, frozen=True, kw_only=True):
    """``resume`` is an id, a unique prefix, an index or ``last``. ``output_schema`` is a JSON Schema that the answer must fit.
    ``resumable``: whether the session can be gone on with later. ``wait_s``: how long an answer from elsewhere is waited for (0: not
    at all), ``answered_in`` the service that may bring it.
    """

    prompt: str
    json: bool = False
    timeout_s: float | None = None
    output_schema: JsonObject | None = None
    resume: str | None = None
    read_only: bool = False
    verbose: bool = False
    resumable: bool = True
    wait_s: float = 0.0
    answered_in: str = ""


class Patience(Struct, frozen=True, kw_only=True):
    """``stop_s``: for a turn to stop, when nobody is there to press Ctrl-C again. ``close_s``: for a session to close, when the user
    wants out at once. ``watch_s``: twice this without a turn and without a word, and the turn is taken for dead.
    """

    stop_s: float = 10.0
    close_s: float = 5.0
    watch_s: float = 1.0


PATIENCE = Patience()


class Progress(WithJobs, Protocol):
    """What this frontend reads of a session's state."""

    @property
    def last_seq(self) -> int: ...

    @property
    def context_tokens(self) -> int: ...

    @property
    def pending(self) -> Container[str]:
        """The ids of the calls that wait to be decided now."""
        ...


class Host(Protocol):
    """What this frontend uses of a session (``session/host.py``, ``session/remote.py``)."""

    @property
    def session_id(self) -> str: ...

    @property
    def state(self) -> Progress: ...

    @property
    def busy(self) -> bool: ...

    @property
    def context_window(self) -> int | None:
        """Tokens that the model takes; None when nobody knows."""
        ...

    @property
    def owner(self) -> str:
        """The other process that has the session open, and its user with it; empty when this one has."""
        ...

    @property
    def sender(self) -> str:
        """What ``sent_by`` says of what was sent from here; empty for the terminal that has the session open."""
        ...

    @property
    def last_words(self) -> tuple[str, ...]:
        """What is to be said after ``aclose``."""
        ...

    async def submit(self, operation: AnyOperation) -> None: ...

    def events(self, *, after_seq: int | None = None) -> AsyncIterator[Envelope]: ...

    async def aclose(self) -> None: ...


class OpenHost(Protocol):
    """``app.open_session``, handed in because a frontend does not compose the program."""

    async def __call__(self, *, loaded: LoadedSettings, resume: str | None, auto_approve: bool, read_only: bool) -> Host: ...
