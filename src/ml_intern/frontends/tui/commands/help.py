"""``/help``: the commands and the keys, and one command in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.binding import Binding

from ml_intern.config.keys import split_keys
from ml_intern.frontends.headless.text import Line, line, lines
from ml_intern.frontends.tui.cards.approval import ApprovalCard
from ml_intern.frontends.tui.commands.base import Command
from ml_intern.frontends.tui.commands.catalog import COMMANDS, find, near
from ml_intern.frontends.tui.key_names import key_name, keys_of
from ml_intern.frontends.tui.screens.pager import Pager

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

_NAMES = 26
_KEYS = 22
IN_COMPOSER = (
    ("Enter", "Send; to a turn that runs it is told at its next step"),
    ("\\ Enter", "New line, in every terminal"),
    ("↑, ↓", "What was sent before and after, from the first and the last line"),
    ("Tab", "Take what is suggested; without any, go to the conversation: its keys are below"),
)
"""What depends on the text, which no binding can say."""


async def show_help(app: TuiApp, rest: str) -> None:
    """``/help [command]``"""
    if not rest:
        await app.push_screen_wait(Pager("Help", help_rows(app)))
        return
    if (found := find(rest)) is None:
        others = ", ".join(f"/{command.name}" for command in near(rest))
        app.say(f"There is no command {rest}.", hint=f"Did you mean {others}?" if others else "/help lists them.", bad=True)
        return
    app.say(_about(found[0]))


def _about(command: Command) -> str:
    aliases = f" (also {', '.join('/' + alias for alias in command.aliases)})" if command.aliases else ""
    parts = [f"/{command.name} {command.arguments}".rstrip() + aliases, f"{command.summary}."]
    if command.choices:
        parts.append(f"One of: {', '.join(command.choices)}.")
    if command.details:
        parts.append(command.details)
    if command.wait:
        parts.append(f"Not while a turn runs: {command.wait}")
    if command.leaves:
        parts.append("While a turn runs it asks first, for it ends the turn.")
    return "\n".join(parts)


def help_rows(app: TuiApp) -> list[Line]:
    """All of it."""
    rows: list[Line] = [line(("bold", "Commands")), line()]
    for command in COMMANDS:
        name = f"/{command.name} {command.arguments}".rstrip()
        if len(name) > _NAMES:
            rows.append(line(("accent", name)))
            name = ""
        rows.append(line(("accent", f"{name:<{_NAMES}}"), f" {command.summary}"))
    rows += [line(), line(("bold", "Keys")), line()]
    composer = [_key(key, what) for key, what in IN_COMPOSER]
    rows += [line(("dim", "everywhere"), "  (`keys` in the settings changes any of these by its name in brackets)"), *_keys(type(app), app)]
    rows += [line(), line(("dim", "composer")), *composer, *_keys(type(app.composer), app)]
    rows += [line(), line(("dim", "conversation")), *_keys(type(app.conversation), app)]
    rows += [line(), line(("dim", "cards that wait for you")), *_keys(ApprovalCard, app), line()]
    rows += lines("Dragging the mouse selects text and copies it, a double click a word, a triple click a block.", "dim")
    rows += lines("Text that begins with ! is run in your own shell, @ names a file.", "dim")
    return rows


def _keys(kind: type[Any], app: TuiApp) -> list[Line]:
    """Those that our own classes define, whichever of them: what a text field can do anyhow is not told."""
    told: dict[str, Line] = {}
    for each in kind.__mro__:
        if each.__module__.partition(".")[0] == "textual":
            break
        for item in each.__dict__.get("BINDINGS", ()):
            if isinstance(item, Binding) and item.description and item.action not in told:
                own = keys_of(app.loaded.settings, item.id) if item.id else split_keys(item.key)
                told[item.action] = _key(", ".join(map(key_name, own)), item.description, f"  [{item.id}]" if item.id else "")
    return list(told.values())


def _key(keys: str, what: str, name: str = "") -> Line:
    return line(("accent", f"  {keys:<{_KEYS}}"), f" {what}", ("dim", name))
