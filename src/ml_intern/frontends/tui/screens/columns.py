"""Rows of a list in columns as wide as what stands in them; where there is too little room, the least important ones go, whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ml_intern.frontends.headless.text import Line, Span, bare, clip_text, line, width

Cells: TypeAlias = tuple[Line, ...]
"""One for each column; where there are fewer, the last one takes the rest of the row, and is not measured."""
GAP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """``keep``: of two, the one with less goes first. ``least``: it may be cut to so many cells; 0: it is whole or not there."""

    keep: int
    least: int = 0
    right: bool = False


def widths(columns: Sequence[Column], rows: Sequence[Cells], room: int) -> tuple[int, ...]:
    """How wide each is in ``room`` cells; 0: it is not there, as one that is empty in every row."""
    whole = [0] * len(columns)
    for row in rows:
        for i, cell in enumerate(row if len(row) == len(columns) else row[:-1]):
            whole[i] = max(whole[i], width(bare(cell)))
    least = [min(column.least or cells, cells) for column, cells in zip(columns, whole, strict=True)]
    order = sorted(range(len(columns)), key=lambda i: columns[i].keep)
    for i in order[:-1]:  # one is always left
        if _needed(least) <= room:
            break
        whole[i] = least[i] = 0
    for i in order:
        over = _needed(whole) - room
        if over > 0:
            whole[i] -= min(over, whole[i] - least[i])
    return tuple(whole)


def _needed(cells: Sequence[int]) -> int:
    there = [each for each in cells if each]
    return sum(there) + GAP * (len(there) - 1)


def laid_out(columns: Sequence[Column], row: Cells, wide: Sequence[int], room: int = 0) -> Line:
    """The row, with what does not fit cut. What runs on is seen: what stands before it gives way, in ``room`` cells."""
    runs_on: Line = row[-1] if len(row) < len(columns) else ()
    spans: list[Span] = []
    gap: Span = ("", " " * GAP)
    for i, cell in enumerate(row[:-1] if runs_on else row):
        if not wide[i]:
            continue
        if spans:
            spans.append(gap)
        cells = wide[i]
        if runs_on and room:
            cells = min(cells, max(room - GAP - width(bare(runs_on)), columns[i].least))
        cut = _cut(cell, cells)
        space: Span = ("", " " * (cells - width(bare(cut))))
        spans.extend((space, *cut) if columns[i].right else (*cut, space))
    if runs_on:
        spans += [gap, *runs_on]
    return line(*spans)


def _cut(cell: Line, cells: int) -> Line:
    if width(bare(cell)) <= cells:
        return cell
    cut: list[Span] = []
    for style, text in cell:
        shown = clip_text(text, cells)
        cut.append((style, shown))
        cells -= width(shown)
    return tuple(cut)
