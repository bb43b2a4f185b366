"""Tables made of styled lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ml_intern.frontends.headless.text import Line, clip_text, line, width
from ml_intern.frontends.sanitize import one_line

GAP = "  "


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = (), widest: Mapping[str, int] | None = None
) -> list[Line]:
    """Aligned columns under dim heads; the last one is as long as it likes. ``right`` names columns of numbers."""
    limits = widest or {}
    cells = [[clip_text(one_line(cell), limits.get(head, 200)) for head, cell in zip(heads, row, strict=True)] for row in rows]
    widths = [max(width(head), *(width(row[i]) for row in cells)) if cells else width(head) for i, head in enumerate(heads)]

    def joined(row: Sequence[str]) -> str:
        padded = [_padded(cell, cells_wide, head in right) for head, cell, cells_wide in zip(heads, row, widths, strict=True)]
        return GAP.join(padded).rstrip()

    return [line(("dim", joined(heads))), *(line(joined(row)) for row in cells)]


def _padded(cell: str, cells: int, right: bool) -> str:
    space = " " * (cells - width(cell))
    return space + cell if right else cell + space
