"""How a run ended: the exit code, and the words for it."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from msgspec import Struct

from ml_intern.frontends.headless.options import ExitCode
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import ErrorRaised, Interrupted, TurnComplete
from ml_intern.protocol.session_ids import short_id

TurnEnd: TypeAlias = TurnComplete | Interrupted | ErrorRaised

_REASONS: dict[str, tuple[ExitCode, str]] = {
    "done": (ExitCode.DONE, "done"),
    "iteration_limit": (ExitCode.LIMIT, "stopped: the limit of steps is reached (--max-iterations)"),
    "spend_cap": (ExitCode.LIMIT, "stopped: the spending limit is reached (--max-cost)"),
    "context_exhausted": (ExitCode.FAILED, "failed: the conversation no longer fits the model's window"),
    "model_refused": (ExitCode.FAILED, "failed: the model refused"),
    "hook_stop": (ExitCode.FAILED, "stopped: a hook of yours ended the turn"),
    "declined": (ExitCode.REFUSED, "stopped: an approval was needed and not given"),
}


class Stop(Struct, frozen=True, kw_only=True):
    """Why a turn was told to stop: a signal, the time limit, or that nobody reads the output."""

    code: int
    words: str


class Ending(Struct, frozen=True, kw_only=True):
    """``answer`` is the final text, if there is one. ``trouble`` is what no event has said; ``jobs`` what runs on."""

    code: int
    words: str
    answer: str = ""
    session_id: str = ""
    resumable: bool = True
    trouble: str = ""
    jobs: str = ""


class View(Protocol):
    """An output of a run. ``notice``, ``waiting`` (for somebody), ``stopping`` and ``rejected`` (of the last reply) never block; ``finish``
    is called once, at the end, if there is an end.
    """

    async def show(self, envelope: Envelope) -> None: ...

    def notice(self, text: str) -> None: ...

    def waiting(self, text: str) -> None: ...

    def stopping(self, text: str) -> None: ...

    def rejected(self, text: str) -> None: ...

    async def finish(self, ending: Ending) -> None: ...

    async def aclose(self) -> None: ...


def way_on(ending: Ending) -> str:
    """How to go on with the session; how to look at it where there is no going on."""
    short = short_id(ending.session_id)
    if not ending.resumable:
        return f"session {short} · see it with: ml-intern sessions show {short}"
    return f'session {short} · go on with: ml-intern --resume {short} "…"'


def judge(end: TurnEnd, *, stop: Stop | None, refused: str) -> tuple[int, str]:
    """Exit code and words for the end of a turn. Work that was finished counts as finished, even if a stop came meanwhile.

    ``refused``: why a call that needed an approval got none; empty when none was refused.
    """
    match end:
        case TurnComplete():
            code, words = _REASONS.get(end.reason, (ExitCode.FAILED, f"failed: {end.reason}"))
            if end.detail and code != ExitCode.DONE:
                words = f"{words}: {end.detail}"
            if code == ExitCode.DONE and refused:
                return ExitCode.REFUSED, f"done, but without what needed an approval: {refused}"
            return code, words
        case Interrupted():
            if stop is not None:
                return stop.code, stop.words
            return (ExitCode.REFUSED, _REASONS["declined"][1]) if refused else (ExitCode.INTERRUPTED, "interrupted")
        case ErrorRaised():
            return ExitCode.FAILED, "failed"
