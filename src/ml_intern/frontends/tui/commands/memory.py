"""``/memory``: the files that every prompt of this folder begins with, and editing them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.config.instructions import NAMES, Instructions, find_instructions, read_instructions
from ml_intern.errors import ConfigError
from ml_intern.frontends.headless.text import Line, line, lines
from ml_intern.frontends.tui.cards.editor import edit_outside
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.protocol.amounts import counted

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

SHOWN_ROWS = 200
MAX_EDITED_BYTES = 4 * 1024 * 1024


async def show_memory(app: TuiApp, _: str) -> None:
    """``/memory``: Enter opens a file in the editor."""
    cwd, user_dir = Path(app.status.figures.cwd or app.loaded.cwd), app.loaded.paths.config_dir
    found = await asyncio.to_thread(find_instructions, cwd, user_dir)
    choices = [_there(file, user_dir) for file in found]
    for folder, what in ((cwd, "this folder"), (user_dir, "all your folders")):
        if all(file.path.parent != folder for file in found):
            choices.append(_missing(folder / NAMES[0], what))
    head = "What stands in these files is told to the model at the start of a session, the nearest first."
    picked = await app.push_screen_wait(Picker("Memory", choices, head=head))
    if picked is not None:
        await _edit(app, picked)


def _there(file: Instructions, user_dir: Path) -> Choice[Path]:
    whose = "all your folders" if file.path.parent == user_dir else "this project"
    rows = file.text.count("\n") + 1
    note = f"{whose}, {counted(rows, 'line')}{', only its beginning is told' if file.cut else ''}"
    about: list[Line] = lines(file.text)[:SHOWN_ROWS]
    return Choice(value=file.path, row=line(("dim", f"{note}  "), str(file.path)), words=str(file.path), about=tuple(about))


def _missing(path: Path, what: str) -> Choice[Path]:
    about = line(("dim", f"Not there yet. Enter makes it, for {what}."))
    return Choice(value=path, row=line(("dim", f"new, for {what}  {path}")), words=f"new {path}", about=(about,))


async def _edit(app: TuiApp, path: Path) -> None:
    before = await asyncio.to_thread(_read, path, app.loaded.paths.config_dir)
    text, problem = await edit_outside(app, before, "markdown")
    if problem:
        app.say(problem, bad=True)
    elif text == before:
        app.hint(f"{path.name} is as it was")
    else:
        await asyncio.to_thread(_write, path, text)
        app.say(f"{path} is saved.", hint="The next session is told; this one goes on with what it was told (/new begins a fresh one).")


def _read(path: Path, user_dir: Path) -> str:
    """What is told is what can be edited: a link that leads elsewhere is neither read nor written through."""
    data = read_instructions(path, user_dir, MAX_EDITED_BYTES)
    if data is None:
        if os.path.lexists(path):
            raise ConfigError(f"{path} cannot be read.")
        return ""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be edited here: {error}.") from error


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
