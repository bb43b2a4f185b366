"""A page to read: scrolled with the usual keys, closed with Escape or q."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from ml_intern.frontends.headless.text import Line, bare
from ml_intern.frontends.sanitize import plain
from ml_intern.frontends.tui.screens.frame import FramedScreen
from ml_intern.frontends.tui.screens.lines_view import LinesView

KEYS = ("↑↓ PgUp PgDn scroll · c copy · Esc close", "↑↓ scroll · c copy · Esc close", "c copy · Esc")


class Pager(FramedScreen[None]):
    """Lines under a title; ``add`` puts more below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", show=False),
        Binding("c,y", "copy", "Copy all of it", show=False),
    ]

    def __init__(self, title: str, rows: Sequence[Line] = (), *, follow: bool = False) -> None:
        super().__init__()
        self._title = title
        self._view = LinesView(rows, follow=follow)

    @property
    def key_lines(self) -> Sequence[str]:
        return KEYS

    def compose(self) -> ComposeResult:
        with Vertical(classes="frame") as frame:
            frame.border_title = Content(plain(self._title))
            yield self._view

    def on_mount(self) -> None:
        self._view.focus()

    def add(self, rows: Sequence[Line]) -> None:
        """More at the end."""
        self._view.append(rows)

    def action_close(self) -> None:
        self.dismiss(None)

    def action_copy(self) -> None:
        self.tui.copied("\n".join(map(bare, self._view.rows)))
