"""Rows that can be selected with the mouse: what is highlighted, and the text that copying gives.

Textual finds out what is selected by the offsets in the style of what is under the mouse. Here an offset is a place in a row's whole
text, and a key that says which row it is: keys keep their order, and a row keeps its key while others come and go.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset
from textual.screen import Screen
from textual.selection import SelectEnd, Selection
from textual.strip import Strip
from textual.widget import Widget

MARK = Style(meta={"mark": "part"})
"""Added to the style of what is drawn around text, such as a bar beside code: it is not copied."""
BORDER = Style(meta={"mark": "row"})
"""The same of a row that holds nothing else, such as a rule of a table: all of it is not copied."""
ROW_END = 1 << 30
_NEAR = 400
"""Characters of the source in which the next word of a row is looked for."""


class Passage(NamedTuple):
    """Neighbouring rows of one text, by their keys. ``source`` is that text: it tells which rows only the width has broken."""

    rows: Sequence[tuple[int, Strip]]
    source: str = ""


class SelectableRows(Widget):
    """A widget that draws rows. Its ``render_line`` gives ``selectable(row, key)``."""

    _picked: tuple[Offset, Offset] | None = None

    @abstractmethod
    def key_at(self, y: int) -> int:
        """The key of the row at ``y`` of the viewport."""

    @abstractmethod
    def passages(self, first: int, last: int) -> Iterable[Passage]:
        """All rows from one key to the other."""

    def selectable(self, row: Strip, key: int) -> Strip:
        """The row with its offsets, and highlighted where it is selected."""
        return self.highlighted(row, key).apply_offsets(0, key)

    def highlighted(self, row: Strip, key: int) -> Strip:
        """The row as it is shown."""
        if self._picked is None or (span := _span(self._picked, key)) is None:
            return row
        plain = self.app.no_color  # pyright: ignore[reportUnknownMemberType]  # an app of whatever result
        return _highlighted(row, span, Style(reverse=True) if plain else self.screen.get_component_rich_style("screen--selection"))

    def selection_updated(self, selection: Selection | None) -> None:
        """An end that lies outside the widget is that of what can be seen."""
        self._picked = None
        if selection is not None:
            start = selection.start or Offset(0, self.key_at(0))
            self._picked = start, selection.end or Offset(ROW_END, self.key_at(max(self.size.height - 1, 0)))
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text, without marks and borders; rows that only the width has broken are one again."""
        if self._picked is None:
            return None
        start, end = self._picked
        parts = [_text(passage, self._picked) for passage in self.passages(start.y, end.y)]
        return "\n".join(part for part in parts if part is not None), "\n"

    def select(self, start: Offset, end: Offset) -> None:
        """Select from here to there, as the mouse does."""
        self.screen.selections = {self: Selection(start, end)}

    def word_at(self, place: Offset) -> tuple[Offset, Offset] | None:
        """From where to where the word under the offset goes."""
        rows = [row for passage in self.passages(place.y, place.y) for _, row in passage.rows]
        text = rows[0].text if rows else ""
        if place.x >= len(text) or text[place.x].isspace():
            return None
        start = next((at for at in range(place.x, -1, -1) if text[at].isspace()), -1) + 1
        end = next((at for at in range(place.x, len(text)) if text[at].isspace()), len(text))
        return Offset(start, place.y), Offset(end, place.y)


def follow_pointer(screen: Screen[object]) -> None:
    """What scrolls under the mouse while it selects is selected too: Textual looks again only when the mouse moves."""
    state = screen._select_state  # pyright: ignore[reportPrivateUsage]  # Textual has no public way to go on with a drag
    selecting = screen._selecting  # pyright: ignore[reportPrivateUsage]
    if not selecting or state is None or state.end is None:
        return
    pointer = screen.app.mouse_position  # pyright: ignore[reportUnknownMemberType]  # an app of whatever result
    widget, offset = screen.get_widget_and_offset_at(*pointer)
    if widget is not None and offset is not None:
        end = SelectEnd(state.end.container, widget, offset)
        screen._select_state = state.update_end(pointer, end)  # pyright: ignore[reportPrivateUsage]


def _span(picked: tuple[Offset, Offset], key: int) -> tuple[int, int] | None:
    start, end = picked
    if not start.y <= key <= end.y:
        return None
    return start.x if key == start.y else 0, end.x if key == end.y else ROW_END


def _highlighted(row: Strip, span: tuple[int, int], style: Style) -> Strip:
    start, end = span[0], min(span[1], len(row.text.rstrip()))
    parts: list[Segment] = []
    at = 0
    for segment in row:
        text, own, _ = segment
        low, high = max(start - at, 0), min(end - at, len(text))
        at += len(text)
        if low >= high or _mark(own):
            parts.append(segment)
            continue
        pieces = (text[:low], own), (text[low:high], (own or Style.null()) + style), (text[high:], own)
        parts += [Segment(piece, styled) for piece, styled in pieces if piece]
    return Strip(parts, row.cell_length)


def _mark(style: Style | None) -> str:
    return str(style.meta.get("mark", "")) if style is not None else ""


def _text(passage: Passage, picked: tuple[Offset, Offset]) -> str | None:
    """None where there is nothing but borders."""
    rows = [text for key, row in passage.rows if (text := _row_text(row, _span(picked, key))) is not None]
    return "\n".join(_joined(rows, passage.source)) if rows else None


def _row_text(row: Strip, span: tuple[int, int] | None) -> str | None:
    start, end = span or (0, 0)
    at, text = 0, ""
    for segment in row:
        mark = _mark(segment.style)
        if mark == BORDER.meta["mark"]:
            return None
        if not mark:
            text += segment.text[max(start - at, 0) : max(end - at, 0)]
        at += len(segment.text)
    return text.rstrip()


def _joined(rows: Sequence[str], source: str) -> Iterator[str]:
    """The rows, put together where no line of the source ends between them. Words that cannot be found begin a row."""
    whole, at = rows[0], _behind(rows[0], source, -1)
    for row in rows[1:]:
        gap = _gap(row, source, at)
        if gap is None:
            yield whole
            whole = row
        else:
            whole += gap + row.lstrip()
        at = _behind(row, source, at)
    yield whole


def _gap(row: str, source: str, at: int) -> str | None:
    """What stands in the source between that place and the row, where that is no end of a line; markup is left out."""
    first = next(iter(row.split()), "")
    began = source.find(first, at, at + _NEAR + len(first)) if first and at >= 0 else -1
    gap = source[at:began] if began >= 0 else "\n"
    if "\n" in gap or any(map(str.isalnum, gap)):
        return None
    return gap if gap.isspace() else " " * any(map(str.isspace, gap))


def _behind(row: str, source: str, at: int) -> int:
    """The place in the source behind the row, which begins at ``at`` or somewhere; -1 where it is not to be found."""
    if not (words := row.split()):
        return at
    if at < 0:
        at = max(source.find(row.strip()), source.find(words[0]) if source else -1)
    for word in words:
        found = source.find(word, at, at + _NEAR + len(word)) if at >= 0 else -1
        at = found + len(word) if found >= 0 else -1
    return at
