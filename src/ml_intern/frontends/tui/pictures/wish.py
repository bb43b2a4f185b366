"""A picture as it is wanted, and as it was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ml_intern.frontends.tui.terminal.abilities import Colour, Way

Pixels: TypeAlias = Sequence[Sequence[Colour]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A picture as it is wanted. ``columns`` and ``rows`` are the most it may take; ``cell`` is the size of one, in pixels."""

    path: str
    columns: int
    rows: int
    way: Way
    cell: tuple[int, int]
    background: Colour | None
    """What is behind it; None leaves that to the terminal where it can."""
    data: str = ""
    """The file's bytes as base64, of a picture that a session holds; it has no path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A picture that was read: its own size in pixels, what it takes in cells, and what is sent or drawn."""

    size: tuple[int, int] = (0, 0)
    columns: int = 0
    rows: int = 0
    pixels: Pixels = ()
    """``columns`` × 2 ``rows`` for half-blocks: the whole of it, or what stands in for a sixel that is cut off."""
    png: bytes = b""
    sixel: str = ""
    problem: str = ""
    """Why there is no picture."""
