"""Styled lines of text, and how many terminal cells they take. The styles are names: each output draws them its way, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from ml_intern.frontends.sanitize import plain

Style: TypeAlias = Literal["", "dim", "bold", "tool", "good", "bad", "warn", "added", "removed", "accent"]
Span: TypeAlias = tuple[Style, str]
Line: TypeAlias = tuple[Span, ...]

TAB = "    "


def line(*spans: Span | str) -> Line:
    """One line: whatever is in the texts, nothing of it breaks the line or commands the terminal."""
    return tuple(_span(span) for span in spans)


def _span(span: Span | str) -> Span:
    style, text = ("", span) if isinstance(span, str) else span
    return style, plain(text).replace("\n", " ⏎ ").replace("\t", TAB)


def lines(text: str, style: Style = "", indent: str = "") -> list[Line]:
    """A text of several lines."""
    return [line((style, indent + row)) for row in plain(text).split("\n")]


def bare(of: Line) -> str:
    """The text alone."""
    return "".join(text for _, text in of)


_ONE_CELL = "\u00ad\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Format characters that are drawn all the same: the soft hyphen, and marks that stand before a number."""
_WIDE_NOW = (("\u2630", "\u2637"), ("\u268a", "\u268f"), ("\u4dc0", "\u4dff"), ("\U0001d300", "\U0001d376"))
"""Trigrams, hexagrams and counting rods take two cells since Unicode 16, which is newer than Python's tables."""


def width(text: str) -> int:
    """Terminal cells: East Asian wide characters and emoji take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if character.isascii():
        return 1
    import unicodedata

    if character in _ONE_CELL:
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" or any(low <= character <= high for low, high in _WIDE_NOW) else 1


def clip_text(text: str, cells: int) -> str:
    """The text, or its beginning and an ellipsis."""
    if cells <= 0:
        return ""
    if len(text) <= cells and width(text) <= cells:
        return text
    kept, used = 0, 0
    for character in text[:cells]:
        used += _cells(character)
        if used > cells - 1:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def clip(of: Line, cells: int) -> Line:
    """The line in at most that many cells; what is cut is its longest part, so that a time at its end stays."""
    spans = list(of)
    while (excess := sum(width(text) for _, text in spans) - cells) > 0:
        longest = max(range(len(spans)), key=lambda i: width(spans[i][1]))
        style, text = spans[longest]
        shorter = clip_text(text, max(width(text) - excess, len(spans) > 1))
        if shorter == text:
            return ((style, clip_text(text, cells)),)  # narrower than its parts are many
        spans[longest] = (style, shorter)
    return tuple(spans)


def wrap(text: str, cells: int) -> list[str]:
    """The text broken at that many cells, at spaces where there are any."""
    rows: list[str] = []
    for paragraph in text.split("\n"):
        rows.extend(_wrap_paragraph(paragraph.replace("\t", TAB), max(cells, 1)))
    return rows


def _wrap_paragraph(text: str, cells: int) -> Iterable[str]:
    while width(text) > cells:
        fits, used = 0, 0
        for character in text:
            used += _cells(character)
            if used > cells:
                break
            fits += 1
        fits = max(fits, 1)
        at_space = text.rfind(" ", 1, fits + 1)
        cut = at_space if at_space > 0 else fits
        yield text[:cut]
        text = text[cut:].removeprefix(" ")
    yield text
