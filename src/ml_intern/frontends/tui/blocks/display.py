"""What tools ask to be shown, as rows. Nothing here knows a tool by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from rich.segment import Segment
from textual.strip import Strip

from ml_intern.frontends.headless.text import Line, Style, clip_text, line, width
from ml_intern.frontends.tui.blocks.base import Rows
from ml_intern.frontends.tui.blocks.pen import PICTURE_ROWS, Pen
from ml_intern.frontends.tui.cells import even
from ml_intern.protocol import display as d

FOLDED_ROWS = 12
UNFOLDED_ROWS = 400
MIN_COLUMN = 6
JOB_STYLES: dict[str, Style] = {"running": "accent", "completed": "good", "error": "bad", "failed": "bad", "canceled": "dim"}
PLAN_MARKS: dict[str, tuple[str, Style]] = {"completed": ("✓", "good"), "in_progress": ("▸", "bold"), "pending": ("○", "dim")}


def display_rows(items: Iterable[d.Display], pen: Pen, *, folded: bool) -> Rows:
    """All items, each with a bound."""
    limit = FOLDED_ROWS if folded else UNFOLDED_ROWS
    return [row for item in items for row in _item(item, pen, limit)]


def plan_rows(items: Sequence[d.PlanItem], pen: Pen) -> Rows:
    """One row for each item."""
    marks = [(PLAN_MARKS.get(item.status, ("?", "dim")), item) for item in items]
    return pen.lines(line((style, f"{mark} {item.content}")) for (mark, style), item in marks)


def links_of(items: Iterable[d.Display]) -> list[str]:
    """Every address that is shown."""
    urls = [item.url for item in items if isinstance(item, d.Link | d.Job) and item.url]
    return list(dict.fromkeys(urls))


def _item(item: d.Display, pen: Pen, limit: int) -> Rows:
    match item:
        case d.Text():
            text = item.text.removesuffix("\n")  # the end of the last line is no line more
            return shortened(pen.code(cut_text(text, limit), item.language) if item.language else pen.wrapped(text), pen, limit)
        case d.Diff():
            return _diff(item, pen, limit)
        case d.Table():
            return _table(item, pen, limit)
        case d.Link():
            return [pen.link(item.title, item.url)]
        case d.Picture():
            rows = PICTURE_ROWS if limit == FOLDED_ROWS else 2 * PICTURE_ROWS
            return pen.picture(item.path, rows)
        case d.Plan():
            return plan_rows(item.items, pen)
        case d.Job():
            return _job(item, pen)
        case _:
            assert_never(item)


def shortened(rows: Rows, pen: Pen, limit: int) -> Rows:
    """The first rows, and how many more there are."""
    if len(rows) <= limit:
        return rows
    return [*rows[: limit - 1], _more(len(rows) - limit + 1, pen, limit)]


def _more(rows: int, pen: Pen, limit: int) -> Strip:
    return pen.more(rows, folded=limit == FOLDED_ROWS)


def cut_text(text: str, rows: int) -> str:
    """No more than can be shown is highlighted; one row more, so that it is seen that there is more."""
    return "\n".join(text[: rows * 400].split("\n")[: rows + 1])


def _job(job: d.Job, pen: Pen) -> Rows:
    row = line(("accent", job.id), "  ", (JOB_STYLES.get(job.status, ""), job.status), f"  {job.command}")
    return [pen.line(row), *([pen.link("", job.url)] if job.url else [])]


# ── diffs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _diff(diff: d.Diff, pen: Pen, limit: int) -> Rows:
    head = line(("accent", diff.path), ("good", f"  +{diff.added}"), ("bad", f" −{diff.removed}"))
    rows = [row for row in even(diff.unified).split("\n") if row and not row.startswith(("--- ", "+++ "))]
    more = len(rows) - limit + 1 if len(rows) > limit else 0
    drawn = _diff_lines(rows[: limit - 1] if more else rows)
    return [*pen.lines([head, *drawn]), *([_more(more, pen, limit)] if more else [])]


def _diff_lines(rows: Iterable[str]) -> list[Line]:
    """Numbered as in the new file, removed rows as in the old one."""
    old = new = 0
    drawn: list[Line] = []
    for row in rows:
        if row.startswith("@@"):
            old, new = _hunk(row)
            drawn.append(line(("dim", row)))
        elif row.startswith("-"):
            drawn.append(line(("dim", f"{old:>5} "), ("removed", row)))
            old += 1
        elif row.startswith("+"):
            drawn.append(line(("dim", f"{new:>5} "), ("added", row)))
            new += 1
        else:
            drawn.append(line(("dim", f"{new:>5} "), row))
            old, new = old + 1, new + 1
    return drawn


def _hunk(row: str) -> tuple[int, int]:
    """``@@ -12,7 +12,9 @@`` → 12, 12."""
    numbers = [part.split(",")[0][1:] for part in row.split() if part[:1] in "-+" and part[1:2].isdigit()]
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 and all(n.isdecimal() for n in numbers) else (0, 0)


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _table(table: d.Table, pen: Pen, limit: int) -> Rows:
    shown = table.rows[: limit - 1] if len(table.rows) > limit else table.rows
    grid = [[" ".join(even(cell).split()) for cell in row] for row in (table.columns, *shown)]
    widths = _column_widths(grid, pen.columns)
    styles = pen.palette.styles
    rows = pen.lines([line(("bold", table.title))]) if table.title else []
    for number, cells in enumerate(grid):
        text = "  ".join(_padded(cell, room) for cell, room in zip(cells, widths, strict=False)).rstrip()
        rows.append(Strip([Segment(text, styles["bold"] if not number else None)]))
    if len(shown) < len(table.rows):
        rows.append(_more(len(table.rows) - len(shown), pen, limit))
    return rows


def _column_widths(grid: Sequence[Sequence[str]], columns: int) -> list[int]:
    """The widest columns give way first; those that cannot be seen at all are left out."""
    count = max(map(len, grid), default=0)
    widths = [max((width(row[i]) for row in grid if i < len(row)), default=0) for i in range(count)]
    while widths and sum(widths) + 2 * (len(widths) - 1) > columns:
        widest = max(range(len(widths)), key=lambda i: widths[i])
        if widths[widest] <= MIN_COLUMN:
            widths.pop()
            continue
        excess = sum(widths) + 2 * (len(widths) - 1) - columns
        following = max((w for i, w in enumerate(widths) if i != widest), default=0)
        widths[widest] = max(MIN_COLUMN, widths[widest] - max(min(excess, widths[widest] - following), 1))
    return widths


def _padded(cell: str, room: int) -> str:
    cell = clip_text(cell, room)
    return cell + " " * (room - width(cell))
