"""One change to a text file: the spans that match, and what stands there afterwards. Nothing else of the text differs."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from ml_intern.errors import ToolError
from ml_intern.tools.files.matching import Span, find, fitted, line_numbers, not_found
from ml_intern.tools.files.text_file import TextFile

_LISTED_LINES = 20


class Change(Protocol):
    """What to change: the arguments of ``edit``."""

    @property
    def path(self) -> str: ...
    @property
    def old_str(self) -> str: ...
    @property
    def new_str(self) -> str: ...
    @property
    def replace_all(self) -> bool: ...
    @property
    def mode(self) -> str: ...


class Replaced(Struct, frozen=True):
    """The new text, how many places changed, and how loosely they were matched."""

    text: str
    count: int
    note: str


def replaced(file: TextFile, change: Change) -> Replaced:
    """The file with the change made. Raises ``ToolError`` when its passage is not there, or more than once where one is meant."""
    matches = find(file.text, change.old_str)
    if matches is None:
        raise not_found(file.text, change.old_str, change.path)
    every = change.replace_all or change.mode == "replace_all"
    if len(matches.spans) > 1 and not every:
        numbers = line_numbers(file.text, matches.spans)
        listed = ", ".join(map(str, numbers[:_LISTED_LINES])) + (", …" if len(numbers) > _LISTED_LINES else "")
        raise ToolError(
            f"old_str occurs {len(numbers)} times in {change.path} (lines {listed}).",
            hint="Add lines around it until it is the only one, or set replace_all.",
        )
    pieces: list[str] = []
    at = 0
    for span in matches.spans:
        pieces += [file.text[at : span.start], _changed(file, change, span)]
        at = span.end
    return Replaced("".join([*pieces, file.text[at:]]), len(matches.spans), matches.note)


def _changed(file: TextFile, change: Change, span: Span) -> str:
    new = fitted(file.text, change.new_str, change.old_str, span, file.newline_at(span.start, span.end))
    kept = file.text[span.start : span.end]
    match change.mode:
        case "append_after":
            return kept + new
        case "prepend_before":
            return new + kept
        case _:
            return new
