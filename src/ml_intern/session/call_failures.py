"""What a call is answered with that did not work."""

from __future__ import annotations

from collections.abc import Iterable

from ml_intern.session.history import UNKNOWN_OUTCOME
from ml_intern.tools.base import ToolOutput

NOT_RUN = "Interrupted before it started: this call was not run."


def failure(kind: str, text: str) -> ToolOutput:
    """``kind``: see ``tool_runner``."""
    return ToolOutput(text=text, success=False, error_kind=kind)


def crash(tool: str, error: Exception, what: str, so: str) -> ToolOutput:
    """``what`` the tool did, such as "crashed", and what follows from it."""
    return failure("crash", f"{tool} {what} ({type(error).__name__}: {error}). {so}")


def checked(tool: str, output: object) -> ToolOutput:
    """Tools come from outside as well: one that answers with anything but a text has crashed. Raises ``TypeError``."""
    if isinstance(output, ToolOutput) and isinstance(output.text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return output
    given = output.text if isinstance(output, ToolOutput) else output
    raise TypeError(f"{tool} answered with {type(given).__name__}, not with text")


def interrupted(reported: Iterable[str], *, started: bool) -> ToolOutput:
    """With what it had printed by then."""
    if not started:
        return failure("interrupted", NOT_RUN)
    partial = "".join(reported)
    return failure("interrupted", f"{UNKNOWN_OUTCOME}\nIts output so far:\n{partial}" if partial else UNKNOWN_OUTCOME)
