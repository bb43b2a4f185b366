"""What a slash command is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct  # and no dataclass: it stands on the path to the first paint

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

Run: TypeAlias = "Callable[[TuiApp, str], Awaitable[None]]"
"""Given the app and what stands behind the name, stripped."""


class Command(Struct, frozen=True, kw_only=True):
    """``name`` is without the slash. ``choices`` complete the argument; ``details`` are for ``/help name``.

    ``wait`` says why the command does not work while a turn runs; ``leaves`` that it would end the turn, so that the user is
    asked first. A command with neither works at any time.
    """

    name: str
    summary: str
    run: Run
    arguments: str = ""
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    details: str = ""
    wait: str = ""
    leaves: bool = False


def later(module: str, name: str) -> Run:
    """``name`` of ``commands/<module>.py``, imported when it is first run: the start pays for none of them."""

    async def run(app: TuiApp, rest: str) -> None:
        found: Run = getattr(import_module(f"{__package__}.{module}"), name)
        await found(app, rest)

    return run
