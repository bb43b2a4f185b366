"""Messages that were sent and have not arrived: they wait for the next step, or for the end of the turn."""

from __future__ import annotations

from textual.strip import Strip
from textual.widget import Widget

from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.frontends.tui.theme import palette_of
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope

MOST_ROWS = 4


class WaitingLines(Widget):
    """An ``EventReader``; no row while nothing waits. A session that was joined tells of a message in the same events."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "WaitingLines { height: 0; padding: 0 1; background: $background; color: $foreground; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._steering: list[str] = []
        """Handed to the session, which reads them before its next step."""
        self._later: tuple[str, ...] = ()

    def sent(self, text: str) -> None:
        """A message went to the session; while a turn runs it waits there."""
        if own_app(self).figures.turn_running:
            self._steering.append(text)
            self._changed()

    def keep_back(self, texts: tuple[str, ...]) -> None:
        """What waits for the end of the turn, oldest first."""
        self._later = texts
        self._changed()

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self._steering.clear()
        self._changed()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        match envelope.event:
            case e.UserMessageAdded(content=text) if text in self._steering:
                self._steering.remove(text)
            case e.ErrorRaised(kind="HookBlocked") if self._steering:
                self._steering.pop(0)
            case e.SessionShutdown() | e.ConnectionChanged(over=True):
                self._steering.clear()
            case _:
                return
        self._changed()

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self) -> list[Line]:
        """The newest last; of many the oldest are counted."""
        told = [("handed over, read at the next step", text) for text in self._steering] + [
            ("waits for the end of the turn", text) for text in self._later
        ]
        more = len(told) - MOST_ROWS
        shown = told[-(MOST_ROWS - 1) :] if more > 0 else told
        rows = [line(("dim", f"↳ {how}: {' '.join(text.split())}")) for how, text in shown]
        if self._later:
            rows[-1] = line(("dim", "↳ waits for the end of the turn (↑ takes it back): " + " ".join(self._later[-1].split())))
        return [line(("dim", f"↳ {more + 1} more")), *rows] if more > 0 else rows

    def _changed(self) -> None:
        self.styles.height = len(self.rows())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        columns, base, rows = self.size.width, self.rich_style, self.rows()
        row = Pen(columns, palette_of(self)).line(rows[y]) if y < len(rows) else Strip.blank(columns, base)
        return row.apply_style(base).adjust_cell_length(columns, base)
