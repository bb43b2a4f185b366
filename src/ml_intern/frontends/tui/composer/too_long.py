"""A message that the model does not take whole: the user says how it is sent, before anything of it is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.frontends.headless.text import line
from ml_intern.frontends.too_long import as_file
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.protocol.operations import UserInput
from ml_intern.session.message_length import TooLong, too_long

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

FILE, ANYWAY, BACK = "file", "anyway", "back"
_FILE_ABOUT = "The text is written into a new file of the folder, for you alone. The model gets its beginning, its end and the file's name."
_ANYWAY_ABOUT = "Of a text that does not fit the session keeps the beginning and the end, a few thousand characters, and drops the rest."
_BACK_ABOUT = "Nothing is sent."


async def fitting(app: TuiApp, message: UserInput) -> UserInput | None:
    """The message as it is to be sent: itself where it fits. None when the user wants it back."""
    problem = too_long(message, window=app.status.window, used=app.figures.context_tokens)
    if problem is None:
        return message
    in_sandbox = app.loaded.settings.tool_runtime == "sandbox"  # the model's tools do not see this machine's folder
    way = await app.push_screen_wait(_ways(problem, file=not in_sandbox))
    if way == ANYWAY:
        return message
    if way != FILE:
        return None
    try:
        return await asyncio.to_thread(as_file, message, Path(app.figures.cwd or app.loaded.cwd))
    except OSError as error:
        app.say(f"The message could not be written into a file: {error.strerror}.", bad=True)
        return None


def _ways(problem: TooLong, *, file: bool) -> Picker[str]:
    ways = [
        (FILE, "Send it as a file of the folder that the model reads", _FILE_ABOUT),
        (ANYWAY, "Send it anyway", _ANYWAY_ABOUT),
        (BACK, "Back to the composer", _BACK_ABOUT),
    ]
    choices = [Choice(value=way, row=line(words), words=words, about=(line(about),)) for way, words, about in ways if file or way != FILE]
    return Picker("This message is too long", choices, head=problem.words, at=FILE if file else BACK)
