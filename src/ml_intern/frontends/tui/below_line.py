"""One row under the conversation while its end is not seen: that there is more, and the key that goes there."""

from __future__ import annotations

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from ml_intern.frontends.headless.text import line
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.frontends.tui.theme import palette_of


class BelowLine(Widget):
    """No row while the end is seen. A click goes there too."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "BelowLine { height: 0; padding: 0 1; background: $background; color: $foreground; }"

    def __init__(self, key: str, *, id: str | None = None) -> None:
        """``key``: the name of the one that goes to the end."""
        super().__init__(id=id)
        self._key = key
        self._news = False

    def tell(self, *, at_end: bool, news: bool) -> None:
        """``news``: something came since the user scrolled up."""
        self._news = news
        self.styles.height = 0 if at_end else 1
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        own_app(self).conversation.to_end()

    def render_line(self, y: int) -> Strip:
        columns, base = self.size.width, self.rich_style
        row = line(("accent", "↓ new below") if self._news else ("dim", "↓ more below"), ("dim", f" · {self._key}"))
        return Pen(columns, palette_of(self)).line(row).apply_style(base).adjust_cell_length(columns, base)
