"""``/help``: the commands and the keys, and one command in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.dom import DOMNode

from ml_intern.frontends.headless.text import Line, line, lines
from ml_intern.frontends.tui.cards.approval import ApprovalCard
from ml_intern.frontends.tui.cards.card import Card
from ml_intern.frontends.tui.commands.base import Command
from ml_intern.frontends.tui.commands.catalog import COMMANDS, find, near
from ml_intern.frontends.tui.key_names import key_name
from ml_intern.frontends.tui.screens.pager import Pager

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

_NAMES = 26
_KEYS = 22


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
    nodes: list[tuple[str, DOMNode | type[DOMNode]]] = [("everywhere", app), ("composer", app.composer), ("conversation", app.conversation)]
    for place, node in nodes:
        rows += [line(("dim", place)), *_keys(type(node), app), line()]
    rows += [line(("dim", "cards that wait for you"), "  (`keys` in the settings changes any of these by its name in brackets)")]
    rows += [*_keys(ApprovalCard, app), *_keys(Card, app), line()]
    rows += lines("Dragging the mouse selects text and copies it, a double click a word, a triple click a block.", "dim")
    rows += lines("Text that begins with ! is run in your own shell, @ names a file.", "dim")
    return rows


def _keys(kind: type[Any], app: TuiApp) -> list[Line]:
    """Those that our own classes define: what a text field can do anyhow is not told."""
    told: list[Line] = []
    own = app.loaded.settings.keys
    for item in kind.__dict__.get("BINDINGS", ()):
        if isinstance(item, Binding) and item.description:
            keys = ", ".join(key_name(key.strip()) for key in own.get(item.id or "", item.key).split(","))
            name = f"  [{item.id}]" if item.id else ""
            told.append(line(("accent", f"  {keys:<{_KEYS}}"), f" {item.description}", ("dim", name)))
    return told
