"""What all screens over the conversation share: a frame with a title above and the keys below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from rich.cells import cell_len
from textual.content import Content
from textual.screen import ModalScreen

from ml_intern.frontends.tui.keyed_app import TakesKeys

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

Result = TypeVar("Result")
WIDE = 100
"""Columns from which on a list and what is about it stand side by side."""
SMALL = 72
"""The columns of a frame with the class ``small``, where there are so many."""
FRAME_CELLS = 6
"""Of a frame's lower line that are not the keys'."""


class FramedScreen(ModalScreen[Result]):
    """Its one child carries the class ``frame``. Escape closes it with ``None`` where nothing else is said."""

    DEFAULT_CSS = """
    FramedScreen { align: center middle; background: $background 70%; }
    FramedScreen .frame {
        width: 92%; max-width: 132; height: 88%; padding: 0 1;
        background: $background; border: round $primary; border-title-color: $primary; border-subtitle-color: $foreground 60%;
    }
    FramedScreen .small { width: 72; max-width: 94%; height: auto; max-height: 80%; }
    FramedScreen.-narrow .frame { width: 100%; height: 100%; }
    FramedScreen.-narrow .small { height: auto; }
    """
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012  # as Textual has it

    @property
    def key_lines(self) -> Sequence[str]:
        """The keys in fewer and fewer words: the first that fit stand below. All of them name the way out."""
        return ()

    @property
    def tui(self) -> TuiApp:
        """The app, by its own type."""
        return cast("TuiApp", self.app)  # pyright: ignore[reportUnknownMemberType]

    def on_mount(self) -> None:
        """The breakpoints are looked at after the first layout: without this the screen would jump. Textual calls this beside a
        subclass's own ``on_mount``.
        """
        wide = self.tui.size.width >= WIDE
        self.set_class(wide, "-wide")
        self.set_class(not wide, "-narrow")
        self._show_keys()
        self.post_message(TakesKeys())

    def on_resize(self) -> None:
        """As with ``on_mount``."""
        self._show_keys()

    def _show_keys(self) -> None:
        frame, columns = self.query_one(".frame"), self.tui.size.width
        outer = min(columns * 94 // 100, SMALL) if frame.has_class("small") else columns if columns < WIDE else columns * 92 // 100
        lines = self.key_lines
        fitting = (keys for keys in lines if cell_len(keys) <= outer - FRAME_CELLS)
        frame.border_subtitle = Content(next(fitting, lines[-1] if lines else ""))
