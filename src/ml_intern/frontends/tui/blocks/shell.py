"""A shell line of the user's own: its live output, then how it ended and what it printed."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip

from ml_intern.frontends.headless.text import Style, line
from ml_intern.frontends.tui.blocks.base import Block, Rows, guess_wrapped
from ml_intern.frontends.tui.blocks.pen import Pen, joined
from ml_intern.frontends.tui.blocks.tool import INDENT, LIVE_CHARS, OUTPUT_ROWS, even_lines, middle_out, tail_rows
from ml_intern.frontends.tui.selected_rows import MARK
from ml_intern.protocol.amounts import clock, duration

LIVE_ROWS, LIVE_ROWS_UNFOLDED = 10, 40
FOLDED_ROWS = 30
"""Of the output, its end; the user asked for it, so that more of it is shown than of a tool's."""
FOLDED_CHARS = 200 * FOLDED_ROWS


class ShellBlock(Block):
    """One line after ``!``. ``started_at`` is the event loop's time."""

    foldable = True

    def __init__(self, shell_line: str, *, started_at: float) -> None:
        super().__init__()
        self._line = shell_line
        self._started_at = started_at
        self._output = ""
        self._note = ""
        self._ended: tuple[str, Style, str] | None = None
        """Mark, its style, and what stands at the right."""

    def write(self, text: str) -> None:
        """It printed this."""
        self._output = (self._output + even_lines(text))[-LIVE_CHARS:]
        self.changed()

    def finish(self, output: str, outcome: str, note: str, *, duration_s: float, good: bool) -> None:
        """It ended, having printed this in all."""
        self._output, self._note = middle_out(even_lines(output).rstrip()), note
        right = " · ".join(filter(None, (outcome, duration(duration_s))))
        self._ended = ("✓", "good", right) if good else ("✗", "bad", right)
        self.changed()

    @property
    def text(self) -> str:
        return self._output

    @property
    def animated(self) -> bool:
        return self._ended is None

    def draw(self, pen: Pen) -> Rows:
        inner = pen.narrower(INDENT)
        rows = self._running_rows(inner) if self._ended is None else self._ended_rows(inner)
        return [self._head(pen), *(Strip([Segment(" " * INDENT, MARK), *row]) for row in rows)]

    def _head(self, pen: Pen) -> Strip:
        running = ("●", "tool", f"{clock(max(pen.now - self._started_at, 0.0))} · Esc stops it")
        mark, style, right = self._ended or running
        left = pen.narrower(len(right) + 2).line(line((style, mark), f" ! {self._line}"))
        return joined(left, Strip([Segment(right, pen.palette.styles["dim"])]), pen.columns)

    def _running_rows(self, pen: Pen) -> Rows:
        return tail_rows(self._output, LIVE_ROWS if self.folded else LIVE_ROWS_UNFOLDED, pen)

    def _ended_rows(self, pen: Pen) -> Rows:
        shown = self._output if not self.folded else self._output[-FOLDED_CHARS:]
        rows = pen.wrapped(shown) if shown else pen.lines([line(("dim", "(no output)"))])
        most = FOLDED_ROWS if self.folded else OUTPUT_ROWS
        if len(rows) > most or len(shown) < len(self._output):
            rows = [pen.line(line(("dim", f"… more above: {len(self._output):,} characters in all"))), *rows[-most + 1 :]]
        return [*rows, *(pen.wrapped(self._note, pen.palette.styles["dim"]) if self._note else ())]

    def guess_rows(self, columns: int) -> int:
        most = (LIVE_ROWS if self.folded else LIVE_ROWS_UNFOLDED) if self._ended is None else FOLDED_ROWS if self.folded else OUTPUT_ROWS
        return 1 + min(guess_wrapped(self._output, columns), most) + bool(self._note)
