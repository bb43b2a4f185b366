"""The moving part at the foot of the terminal: a few lines that are redrawn, under text that stays."""

from __future__ import annotations

from collections.abc import Sequence

from ml_intern.frontends.headless.output import Console, OutputThread
from ml_intern.frontends.headless.text import Line, Style, bare, clip, width

_SGR: dict[Style, str] = {
    "dim": "2",
    "bold": "1",
    "tool": "1;38;5;221",
    "good": "32",
    "bad": "31",
    "warn": "33",
    "added": "32",
    "removed": "31",
    "accent": "38;5;75",
}
_WITHOUT_COLOR: dict[Style, str] = {"dim": "2", "bold": "1", "tool": "1", "bad": "1", "warn": "1", "accent": "1"}


class LiveRegion:
    """Every write erases the region, writes what stays, and draws the region again, in one piece."""

    def __init__(self, out: OutputThread, console: Console, *, color: bool) -> None:
        self._out = out
        self._console = console
        self._codes = _SGR if color else _WITHOUT_COLOR
        self._drawn: list[int] = []

    def columns(self) -> int:
        """The width of the terminal now."""
        return self._console.size()[0]

    def write(self, permanent: str, moving: Sequence[Line]) -> None:
        """``permanent`` ends with a line break or is empty."""
        columns, rows = self._console.size()
        shown = [clip(row, columns - 1) for row in moving][-max(rows - 2, 1) :]
        text = self._erasing(columns) + permanent + "\n".join(map(self.styled, shown))
        self._drawn = [width(bare(row)) for row in shown]
        if text:
            self._out.stdout(text)

    def styled(self, row: Line) -> str:
        """The line with the terminal's own codes."""
        return "".join(f"\x1b[{self._codes[style]}m{text}\x1b[0m" if style in self._codes else text for style, text in row)

    def last_words(self, row: Line) -> str:
        """The line for standard error, styled if that is a terminal too."""
        return self.styled(row) if self._console.stderr_is_terminal else bare(row)

    def _erasing(self, columns: int) -> str:
        if not self._drawn:
            return ""
        # A terminal that has become narrower has broken the drawn lines into more rows.
        rows = sum(max(1, -(-cells // columns)) for cells in self._drawn)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\x1b[J"
