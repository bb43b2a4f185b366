"""What a person takes for one character: a flag, a family, a letter with its accents (UAX #29, extended grapheme clusters)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

MOST_BACK = 64
"""A cluster is looked for in so many code points before the cursor; longer ones (nobody writes them) are taken in parts."""


def start_before(text: str, position: int) -> int:
    """Where the character begins that ends at this position, or goes on behind it."""
    if position <= 0:
        return 0
    if text[position - 1].isascii() and not _joins(text, position):
        return position - 1
    begin = max(position - MOST_BACK, 0)
    while begin and "\U0001f1e6" <= text[begin] <= "\U0001f1ff":  # halves of flags: only counted from the first they make pairs
        begin -= 1
    return max(takewhile(lambda start: start < position, _starts(text, begin)), default=position - 1)


def end_after(text: str, position: int) -> int:
    """Where the character ends in which this position is, or which begins there."""
    if position >= len(text):
        return len(text)
    if text[position].isascii() and not _joins(text, position + 1):
        return position + 1
    begin = position if position == 0 else start_before(text, position + 1)
    return next((start for start in _starts(text, begin) if start > position), len(text))


def _joins(text: str, position: int) -> bool:
    """Whether what stands there might belong to the character before it."""
    return position < len(text) and not text[position].isascii()


def _starts(text: str, begin: int) -> Iterator[int]:
    """Of the clusters from there on."""
    import regex  # after the first paint, and only for text that needs it

    return (found.start() for found in regex.finditer(r"\X", text, pos=begin))
