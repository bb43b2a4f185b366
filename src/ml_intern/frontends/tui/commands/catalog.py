"""Every slash command, written out, in the order of the help."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from ml_intern.errors import MlInternError
from ml_intern.frontends.tui.commands.base import Command, later
from ml_intern.frontends.tui.commands.groups import CONVERSATION, PROGRAM, SESSION, WORKPLACE
from ml_intern.frontends.tui.key_names import told_key

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

BARE = ("quit", "exit")
"""They leave without a slash too."""
_COMMAND = re.compile(r"/[^/\s]*(\s|$)")

COMMANDS: tuple[Command, ...] = (
    Command(name="help", summary="List commands and keys", arguments="[command]", run=later("help", "show_help"), aliases=("?",)),
    *CONVERSATION,
    *SESSION,
    *WORKPLACE,
    *PROGRAM,
)


def find(text: str) -> tuple[Command, str] | None:
    """The command of ``/name rest``, and the rest. Case does not matter."""
    name, rest = _split(text)
    for command in COMMANDS:
        if name == command.name or name in command.aliases:
            return command, rest
    return None


def near(text: str) -> list[Command]:
    """Commands that may have been meant: those that begin so, then those whose name is spelt nearly so."""
    name, _ = _split(text)
    begun = [command for command in COMMANDS if name and command.name.startswith(name)]
    if begun:
        return begun
    from difflib import get_close_matches

    close = get_close_matches(name, [command.name for command in COMMANDS], n=3, cutoff=0.6)
    return [command for wanted in close for command in COMMANDS if command.name == wanted]


def _split(text: str) -> tuple[str, str]:
    name, *rest = text.strip().removeprefix("/").split(maxsplit=1) or [""]
    return name.lower(), rest[0].strip() if rest else ""


def dispatch(app: TuiApp, text: str) -> bool:
    """Run ``/name rest`` in a worker of its own, for a command may ask the user something. False when the text is no command:
    a path is none, and the bare words that have always ended a session are one.
    """
    text = text.strip()
    if text in BARE:
        text = f"/{text}"
    if not _COMMAND.match(text):
        return False
    if (found := find(text)) is not None:
        app.run_worker(partial(_run, app, *found), group="commands", name=found[0].name)
        return True
    others = ", ".join(f"/{command.name}" for command in near(text))
    app.say(f"There is no command {text.split()[0]}.", hint=f"Did you mean {others}?" if others else "/help lists them.", bad=True)
    return True


async def _run(app: TuiApp, command: Command, rest: str) -> None:
    if app.status.figures.turn_running and command.wait:
        hint = f"{told_key(app.loaded.settings, 'interrupt')} interrupts the turn."
        app.say(f"/{command.name} waits until the turn is over: {command.wait}", hint=hint)
        return
    if app.status.figures.turn_running and command.leaves:
        from ml_intern.frontends.tui.screens.questions import Confirm

        detail = f"/{command.name} interrupts it. The session is kept: /resume finds it."
        if not await app.push_screen_wait(Confirm("A turn is running. Leave it?", detail)):
            return
    try:
        await command.run(app, rest)
    except MlInternError as error:
        app.say(error.message, hint=error.hint, bad=True)
