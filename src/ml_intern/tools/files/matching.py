"""Where ``old_str`` stands in a file: exactly, or else but for blanks at line ends, indentation and look-alike characters.

Every pass compares a *view* of the file (some characters left out or folded) with the same view of ``old_str``; a view knows
where each of its characters comes from, so that what is found is a span of the file itself and nothing beside it is touched.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from msgspec import Struct

from ml_intern.errors import ToolError

_FOLDS = {
    "–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "\u2002": " ", "\u2003": " ",
    "\u200b": "", "\ufeff": "",
}  # fmt: skip
"""Dashes, quotes and blanks that models write for one another; zero-width ones are left out."""


class Span(Struct, frozen=True):
    """Characters ``start`` to ``end`` of the file. ``loose``: indentation was not compared."""

    start: int
    end: int
    loose: bool = False


class Found(Struct, frozen=True):
    """All places of one pass. ``note`` says how loosely it had to look, empty for an exact match."""

    spans: tuple[Span, ...]
    note: str = ""


class _Pass(Struct, frozen=True):
    """What a view leaves out of each line (blanks on the left, on the right) and whether look-alikes are folded."""

    note: str
    left: bool = False
    right: bool = False
    fold: bool = False


_PASSES = (
    _Pass("matched with the file's own line ends"),
    _Pass("matched without blanks at line ends", right=True),
    _Pass("matched without indentation", left=True, right=True),
    _Pass("matched with look-alike characters (dashes, quotes, blanks) taken as equal", left=True, right=True, fold=True),
)


def find(text: str, old: str) -> Found | None:
    """The places of ``old`` in ``text`` by the strictest pass that finds any. ``old`` must not be empty."""
    if old in text:
        return Found(tuple(Span(start, start + len(old)) for start in _occurrences(text, old)))
    for step in _PASSES:
        if spans := _search(text, old, step):
            return Found(spans, step.note)
    return None


def _occurrences(text: str, wanted: str) -> list[int]:
    places: list[int] = []
    start = text.find(wanted)
    while start >= 0:
        places.append(start)
        start = text.find(wanted, start + len(wanted))
    return places


# ── views ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _lines(text: str) -> list[tuple[int, int, bool]]:
    """(start, end without the newline, whether a newline follows) of each line; CR LF and CR count as newlines."""
    lines: list[tuple[int, int, bool]] = []
    start = 0
    for newline in re.finditer(r"\r\n|\n|\r", text):
        lines.append((start, newline.start(), True))
        start = newline.end()
    lines.append((start, len(text), False))
    return lines


def _view(text: str, step: _Pass) -> tuple[list[str], list[int]]:
    """The characters of the view, and where each comes from."""
    characters: list[str] = []
    places: list[int] = []
    for start, end, newline in _lines(text):
        first, last = _trimmed(text, start, end, step)
        for place in range(first, last):
            character = _FOLDS.get(text[place], text[place]) if step.fold else text[place]
            if character:
                characters.append(character)
                places.append(place)
        if newline:
            characters.append("\n")
            places.append(end)
    return characters, places


def _trimmed(text: str, start: int, end: int, step: _Pass) -> tuple[int, int]:
    def blank(place: int) -> bool:
        character = _FOLDS.get(text[place], text[place]) if step.fold else text[place]
        return not character.strip()

    while step.right and end > start and blank(end - 1):
        end -= 1
    while step.left and start < end and blank(start):
        start += 1
    return start, end


# ── one pass ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _search(text: str, old: str, step: _Pass) -> tuple[Span, ...]:
    characters, places = _view(text, step)
    wanted = "".join(_view(old, step)[0])
    if not wanted.strip():
        return ()
    # Where blanks at its ends were left out, it must begin or end a line, as blanks and words do there.
    whole_start = step.left and old[0] in " \t"
    whole_end = step.right and old[-1] in " \t"
    seen = "".join(characters)
    spans: list[Span] = []
    for at in _occurrences(seen, wanted):
        end = at + len(wanted)
        if whole_start and at > 0 and seen[at - 1] != "\n":
            continue
        if whole_end and end < len(seen) and seen[end] != "\n":
            continue
        spans.append(_span(text, places[at], places[end - 1], loose=step.left))
    return tuple(spans)


def _span(text: str, first: int, last: int, *, loose: bool) -> Span:
    return Span(first, last + (2 if text.startswith("\r\n", last) else 1), loose)


# ── what goes in its place ───────────────────────────────────────────────────────────────────────────────────────────


def fitted(text: str, new: str, old: str, span: Span, newline: str) -> str:
    """``new`` with the file's newlines and, where the match ignored indentation, with the file's instead of ``old``'s."""
    lines = re.split(r"\r\n|\n|\r", new)
    if span.loose:
        before = _line_before(text, span.start)
        indents = _indents(text, old, span, whole_start=not before.strip())
        first, *others = lines
        if not before.strip():  # The span begins behind the file's own indentation, which stays.
            moved = _moved(first, indents)
            first = moved.removeprefix(before) if moved.startswith(before) else moved.lstrip(" \t")
        lines = [first, *(_moved(line, indents) for line in others)]
    return newline.join(lines)


def _indents(text: str, old: str, span: Span, *, whole_start: bool) -> list[tuple[str, str]]:
    """How ``old`` indents and how the file does, for each matched line but a half one; the first of equals counts."""
    written = re.split(r"\r\n|\n|\r", old)
    actual = re.split(r"\r\n|\n|\r", _line_before(text, span.start) + text[span.start : span.end])
    pairs = [(_indent_of(one), _indent_of(other)) for one, other in zip(written, actual, strict=False) if one.strip()]
    return list(dict(reversed(pairs if whole_start else pairs[1:])).items())


def _moved(line: str, indents: list[tuple[str, str]]) -> str:
    indent = _indent_of(line)
    if not line.strip() or not indents:
        return line
    known = [pair for pair in indents if indent.startswith(pair[0])]
    if known:
        written, actual = max(known, key=lambda pair: len(pair[0]))
        return actual + line[len(written) :]
    written, actual = min(indents, key=lambda pair: len(pair[0]))
    return actual[: max(0, len(actual) - (len(written) - len(indent)))] + line.lstrip(" \t")


def _line_before(text: str, at: int) -> str:
    return text[max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1 : at]


def _indent_of(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" \t"))]


# ── when it is not there, or there too often ─────────────────────────────────────────────────────────────────────────


def line_numbers(text: str, spans: tuple[Span, ...]) -> list[int]:
    """The line (from 1) that each span starts in."""
    starts = [start for start, _, _ in _lines(text)]
    return [bisect_right(starts, span.start) for span in spans]


def not_found(text: str, old: str, shown: str) -> ToolError:
    """Says what comes closest, with line numbers, so that the next try can be right."""
    from rapidfuzz import fuzz

    message = f"old_str was not found in {shown}."
    best = fuzz.partial_ratio_alignment(old, text[:_COMPARED_CHARS]) if text else None
    if best is None or best.score < _CLOSE_ENOUGH:
        return ToolError(message, hint="Nothing in the file comes close: read it again.")
    numbers = line_numbers(text, (Span(best.dest_start, best.dest_end), Span(max(best.dest_start, best.dest_end - 1), best.dest_end)))
    lines = re.split(r"\r\n|\n|\r", text)
    first, last = numbers[0], min(numbers[1], numbers[0] + _SHOWN_LINES)
    passage = "\n".join(f"{number:6}\t{lines[number - 1][:400]}" for number in range(first, last + 1))
    return ToolError(f"{message} The closest passage ({best.score:.0f} % alike):\n{passage}\n", hint="Copy old_str from the file as it is.")


_COMPARED_CHARS = 1_000_000
_CLOSE_ENOUGH = 60.0
_SHOWN_LINES = 30
