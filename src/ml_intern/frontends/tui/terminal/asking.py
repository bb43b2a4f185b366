"""Asks the terminal, once the app is on the screen, and fits colours and pictures to what it says. Nothing waits for an answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ml_intern.frontends.tui.terminal.abilities import PLACEHOLDERS, Abilities, Terminal, best_way, questions
from ml_intern.frontends.tui.terminal.answers import Answer

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app_parts import AppParts

TMUX_PATIENCE_S = 2.0
_TMUX = ("tmux", "display-message", "-p", "#{client_termname} #{allow-passthrough}")


class Asking:
    """What is known of the terminal, and who is told."""

    def __init__(self, app: AppParts, terminal: Terminal) -> None:
        self._app = app
        self._terminal = terminal
        self.pictures = app.conversation.pictures
        self._environ = app.loaded.environ
        self.abilities = Abilities()

    def begin(self) -> None:
        """Ask."""
        if (cell := self._terminal.cell_pixels()) is not None:
            self.abilities = replace(self.abilities, cell=cell)
        self.pictures.write = self._terminal.raw
        self._fit()
        asked = questions(self._environ)
        if asked:
            self._terminal.ask(asked)
        if asked and self._environ.get("TMUX"):
            self._app.run_worker(self._ask_tmux, name="tmux")

    def answered(self, answer: Answer) -> None:
        """The terminal said this."""
        light = self.abilities.light
        self.abilities = self.abilities.after(answer)
        if self.abilities.light is not light:
            self._app.terminal_light = self.abilities.light
            self._app.wear(self._app.theme_word)
        if self.abilities.answered:
            self._fit()

    def _fit(self) -> None:
        app = self._app
        colours = None if app.no_color else app.console.color_system
        app.conversation.show_pictures(best_way(app.loaded.settings.terminal.pictures, self.abilities, colours), self.abilities)

    async def _ask_tmux(self) -> None:
        """Whether the terminal around tmux shows pictures, and tmux lets them through: it answers for itself when the terminal is asked."""
        with suppress(OSError, TimeoutError):
            program = await asyncio.create_subprocess_exec(
                *_TMUX, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                said, _ = await asyncio.wait_for(program.communicate(), TMUX_PATIENCE_S)
            finally:
                if program.returncode is None:
                    program.kill()
            self.abilities = after_tmux(self.abilities, said.decode(errors="replace"))
            self._fit()


def after_tmux(abilities: Abilities, said: str) -> Abilities:
    """``said``: the name of the terminal around tmux, and whether control data is let through to it."""
    name, _, passes = said.strip().rpartition(" ")
    if passes not in ("1", "2", "on", "all") or not any(each in name for each in PLACEHOLDERS):
        return abilities
    return replace(abilities, graphics=True, program=name, multiplexed=True)
