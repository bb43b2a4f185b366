"""Many lines to scroll through, of which only the visible ones are drawn; more may come at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ml_intern.frontends.headless.text import Line, bare
from ml_intern.frontends.tui.blocks.base import wrapped_lines
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.selected_rows import Passage, SelectableRows, follow_pointer
from ml_intern.frontends.tui.theme import palette_of

MAX_ROWS = 20_000
"""What a log may hold; the oldest rows go first."""


class LinesView(SelectableRows, ScrollView, can_focus=True):
    """``follow``: stay at the end while lines come, as long as the user has not scrolled up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "scroll_up", show=False),
        Binding("j", "scroll_down", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
        Binding("space", "page_down", show=False),
        Binding("b", "page_up", show=False),
    ]
    DEFAULT_CSS = "LinesView { scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; background: $background; }"

    def __init__(self, rows: Sequence[Line] = (), *, follow: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = list(rows)
        self._drawn: list[Line] = []
        self._columns = 0
        self._follow = follow

    @property
    def rows(self) -> Sequence[Line]:
        """What it was given."""
        return self._rows

    def show(self, rows: Iterable[Line]) -> None:
        """These, in place of what was there."""
        self._rows = list(rows)[-MAX_ROWS:]
        self._lay_out()

    def append(self, rows: Sequence[Line]) -> None:
        """More at the end."""
        self._rows += rows
        if len(self._rows) > MAX_ROWS:
            del self._rows[: len(self._rows) - MAX_ROWS * 9 // 10]
            self._lay_out()
            return
        self._drawn += wrapped_lines(rows, self._columns) if self._columns else []
        self._grow()

    def on_resize(self, event: events.Resize) -> None:
        if self.scrollable_content_region.width != self._columns:
            self._lay_out()

    def notify_style_update(self) -> None:
        """Another theme."""
        super().notify_style_update()
        self.refresh()

    def _lay_out(self) -> None:
        self._columns = self.scrollable_content_region.width
        self._drawn = wrapped_lines(self._rows, self._columns) if self._columns else []
        self._grow()

    def _grow(self) -> None:
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self.virtual_size = Size(self._columns, len(self._drawn))
        if self._follow and at_end:
            self.scroll_end(animate=False)
        self.refresh()

    def action_scroll_end(self) -> None:
        """At once: an animation over thousands of rows only delays."""
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def action_scroll_home(self) -> None:
        """At once."""
        self.scroll_to(y=0, animate=False)

    def render_line(self, y: int) -> Strip:
        """One row of the viewport."""
        columns, base = self.size.width, self.rich_style
        row = self.scroll_offset.y + y
        if row >= len(self._drawn):
            return Strip.blank(columns, base).apply_offsets(0, row)
        return self.selectable(self._strip(row).apply_style(base).adjust_cell_length(columns, base), row)

    def _strip(self, row: int) -> Strip:
        return Pen(max(self._columns, 8), palette_of(self)).line(self._drawn[row])

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.call_after_refresh(follow_pointer, self.screen)

    def key_at(self, y: int) -> int:
        """See ``SelectableRows``."""
        return min(self.scroll_offset.y + y, max(len(self._drawn) - 1, 0))

    def passages(self, first: int, last: int) -> Iterable[Passage]:
        """See ``SelectableRows``."""
        rows = range(first, min(last + 1, len(self._drawn)))
        yield Passage([(row, self._strip(row)) for row in rows], "\n".join(map(bare, self._rows)))
