"""A block of the conversation: data that draws itself at a width. The conversation caches what it drew."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from textual.strip import Strip

from ml_intern.frontends.headless.text import Line, Span, bare, line, width
from ml_intern.frontends.tui.cells import drawable, wrapped

if TYPE_CHECKING:
    from ml_intern.frontends.tui.blocks.pen import Pen

Rows: TypeAlias = list[Strip]


class Block(ABC):
    """One thing in the conversation. Whoever changes it calls ``changed`` afterwards.

    Blocks are no widgets: thousands of them cost memory for their text alone. ``draw`` is called for those near the viewport only.
    """

    foldable: bool = False
    """Whether ``folded`` makes a difference."""
    selectable: ClassVar[bool] = True
    """Whether the arrow keys stop here."""
    gap: bool = True
    """An empty row above."""
    close: ClassVar[bool] = False
    """No empty row between two of this type."""

    def __init__(self) -> None:
        self.folded = True
        self.hidden = False
        self.on_change: Callable[[Block], None] | None = None
        """Set by the conversation that holds the block."""

    @abstractmethod
    def draw(self, pen: Pen) -> Rows:
        """The rows, at most ``pen.columns`` wide, without the gap. Text of others goes through ``pen``, which makes it safe."""

    @abstractmethod
    def guess_rows(self, columns: int) -> int:
        """About how many rows that will be; must be cheap, for it is asked of every block there is."""

    @property
    def text(self) -> str:
        """What copying gives."""
        return ""

    @property
    def links(self) -> Sequence[str]:
        """What opening opens; only http and https are."""
        return ()

    @property
    def animated(self) -> bool:
        """Whether it shows a time that passes: drawn anew every second while that is so."""
        return False

    def changed(self) -> None:
        """Draw it anew."""
        if self.on_change is not None:
            self.on_change(self)


def guess_wrapped(text: str, columns: int) -> int:
    """About how many rows a text takes."""
    return text.count("\n") + 1 + len(text) // max(columns, 1)


LEAST_CELLS = 20
"""A column that is narrower is none to read in."""


def wrapped_lines(rows: Sequence[Line], columns: int) -> list[Line]:
    """Lines broken at the width, with their indent kept; of several spans the first one is a column of its own, and stays one."""
    broken: list[Line] = []
    for row in rows:
        if len(row) != 1:
            broken.extend(_wrapped_beside(row, columns))
            continue
        ((style, text),) = row
        indent = " " * (len(text) - len(text.lstrip(" ")))
        broken.extend(line((style, indent + part)) for part in wrapped(text[len(indent) :], columns - len(indent)))
    return broken


def _wrapped_beside(row: Line, columns: int) -> list[Line]:
    if not row or sum(width(text) for _, text in row) <= columns:
        return [row]
    head, *rest = row
    room, indent = columns - width(head[1]), " " * width(head[1])
    broken: list[Line] = []
    spans: list[Span] = [head]
    if room < LEAST_CELLS:  # no room beside it: below it
        broken.append(line((head[0], head[1].rstrip())))
        indent = "    "
        spans = [("", indent)]
        room = columns - len(indent)
        rest = _cut(rest, len(text := bare(tuple(rest))) - len(text.lstrip()), sys.maxsize)
    elif rest[0][1].startswith(" "):
        indent += " "
        room -= 1
        spans = [head, ("", " ")]
        rest = _cut(rest, 1, sys.maxsize)
    for part in _parts(rest, room):
        broken.append(line(*spans, *part))
        spans = [("", indent)]
    return broken


def _parts(spans: Sequence[Span], cells: int) -> Iterator[list[Span]]:
    """The spans in rows of at most that many cells, each in its style."""
    text, at = "".join(drawable(text) for _, text in spans), 0
    for part in wrapped(text, cells):
        at = max(text.find(part, at), at)  # a row leaves out the space that it was broken at
        yield _cut(spans, at, at + len(part))
        at += len(part)


def _cut(spans: Sequence[Span], begin: int, end: int) -> list[Span]:
    cut: list[Span] = []
    for style, written in spans:
        text = drawable(written)
        if piece := text[max(begin, 0) : max(end, 0)]:
            cut.append((style, piece))
        begin, end = begin - len(text), end - len(text)
    return cut
