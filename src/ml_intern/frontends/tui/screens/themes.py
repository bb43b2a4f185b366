"""A picker of themes that puts each one on as the cursor comes to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.tui.screens.picker import Choice, Picker


class ThemePicker(Picker[str]):
    """``names``: name, row, and a sentence about it. Leaving puts the old one back on."""

    def __init__(self, names: Sequence[tuple[str, Line, str]], put_on: Callable[[str], None]) -> None:
        choices = [Choice(value=name, row=row, words=f"{name} {about}", about=(line(about),)) for name, row, about in names]
        super().__init__("Theme", choices)
        self._put_on = put_on
        self._before = ""

    def on_mount(self) -> None:
        self._before = self.tui.theme_word

    def looked_at(self, choice: Choice[str]) -> None:
        """See ``Picker``."""
        self._put_on(choice.value)

    def action_leave(self) -> None:
        self._put_on(self._before)
        super().action_leave()
