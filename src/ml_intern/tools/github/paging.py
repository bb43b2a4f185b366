"""Pages of lines and of entries, with the words that say how to get the rest."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

MAX_PAGE_CHARS = 22_000
"""A page and its header always fit into what the one limiter lets through."""
MAX_LINE_CHARS = 4_000


class LinePage(Struct, frozen=True, kw_only=True):
    """Lines ``first`` to ``last``; ``total`` is None when the end was not reached."""

    lines: tuple[str, ...]
    first: int
    last: int
    total: int | None
    more: bool


def line_page(lines: Sequence[str], first: int, *, total: int | None, more: bool = False) -> LinePage:
    """As many of ``lines``, the first of which is line ``first``, as one answer may hold."""
    kept: list[str] = []
    size = 0
    for line in lines:
        cut = line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}… (line cut, {len(line):,} characters)"
        if kept and size + len(cut) + 1 > MAX_PAGE_CHARS:
            break
        kept.append(cut)
        size += len(cut) + 1
    last = first + len(kept) - 1
    goes_on = more or len(kept) < len(lines) or (total is not None and last < total)
    return LinePage(lines=tuple(kept), first=first, last=last, total=total, more=goes_on)
