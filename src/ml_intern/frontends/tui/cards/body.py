"""The inside of a card: what will run, drawn as data, highlighted, scrolled by the card."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.cards.facts import MONEY, facts, shown_arguments
from ml_intern.frontends.tui.selected_rows import Passage, SelectableRows
from ml_intern.frontends.tui.theme import palette_of
from ml_intern.protocol.display import Diff, Job, Link, Picture, Plan, Table, Text
from ml_intern.protocol.events import PendingTool
from ml_intern.protocol.invisible import marks
from ml_intern.protocol.shown_call import shown_call, warning

_WORD = re.compile("[A-Za-z0-9_.:/@+-]{1,40}")
"""What needs no row of its own: nothing in it could be taken for another argument."""


class CallBody(SelectableRows):
    """Draws a pending call at whatever width it has."""

    DEFAULT_CSS = "CallBody { height: auto; width: 1fr; }"

    def __init__(self, tool: PendingTool) -> None:
        super().__init__()
        self._tool = shown_call(tool)
        self._warning = warning(tool)
        self._rows: list[Strip] = []
        self._width = 0

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """Textual asks before it draws."""
        return len(self._drawn(width))

    def render_line(self, y: int) -> Strip:
        rows, ground = self._drawn(self.size.width), self.rich_style
        row = rows[y] if y < len(rows) else Strip([])
        over = Style(bgcolor=ground.bgcolor)  # highlighted code brings a background of its own
        drawn = Strip([Segment(part.text, ground + (part.style or Style.null()) + over) for part in row])
        return self.selectable(drawn.adjust_cell_length(self.size.width, ground), y)

    def key_at(self, y: int) -> int:
        """See ``SelectableRows``."""
        return min(y, max(len(self._rows) - 1, 0))

    def passages(self, first: int, last: int) -> Iterable[Passage]:
        """See ``SelectableRows``."""
        arguments = "\n".join(text for _, text, _ in shown_arguments(self._tool))
        shown = "\n".join(item.text for item in self._tool.display if isinstance(item, Text))
        yield Passage(list(enumerate(self._rows))[first : last + 1], f"{arguments}\n{shown}")

    def _drawn(self, width: int) -> list[Strip]:
        if width != self._width:
            pen = Pen(width, palette_of(self))
            warn = pen.palette.styles["warn"]
            invisible = pen.wrapped(self._warning, warn) if self._warning else []
            self._rows = [*invisible, *(_with_marks(row, warn) for row in call_rows(self._tool, pen))]
            self._width = width
        return self._rows


def call_rows(tool: PendingTool, pen: Pen) -> list[Strip]:
    """Everything that there is to know of the call."""
    rows = [strip for row in facts(tool) for strip in _fact(row, pen)]
    if tool.tool in MONEY:
        return rows
    for item in tool.display:
        match item:
            case Text(text=text, language=language):
                rows += pen.code(text, language) if language else pen.wrapped(text)
            case Diff(unified=unified):
                rows += pen.code(unified, "diff")
            case Link(title=title, url=url):
                rows.append(pen.link(title, url))
            case Table(columns=columns, rows=cells):
                rows += [strip for row in (columns, *cells) for strip in pen.wrapped("  ".join(row))]
            case Picture(path=path):
                rows += pen.wrapped(path)
            case Plan(items=items):
                rows += [strip for each in items for strip in pen.wrapped(f"- {each.content}")]
            case Job(command=command):
                rows += pen.wrapped(command)
    return [*rows, *_arguments(tool, pen)]


def _arguments(tool: PendingTool, pen: Pen) -> list[Strip]:
    """Those that nothing else shows: single words together, the others each on its own."""
    rows: list[Strip] = []
    shown = shown_arguments(tool)
    if words := [f"{name}: {text}" for name, text, _ in shown if _WORD.fullmatch(text)]:
        rows += pen.wrapped(" · ".join(words))
    for name, text, language in shown:
        if _WORD.fullmatch(text):
            continue
        if language or "\n" in text:
            rows += [pen.line(line(("dim", f"{name}:"))), *pen.code(text, language)]
        else:
            rows += pen.wrapped(f"{name}: {text}")
    return rows


def _with_marks(row: Strip, warn: Style) -> Strip:
    """What stands for something invisible, as a warning."""
    return Strip([piece for part in row for piece in _pieces(part, warn)]) if marks(row.text) else row


def _pieces(part: Segment, warn: Style) -> Iterator[Segment]:
    done, style = 0, part.style or Style.null()
    for start, end in marks(part.text):
        if start > done:
            yield Segment(part.text[done:start], style)
        yield Segment(part.text[start:end], style + warn + Style(bold=True))
        done = end
    if done < len(part.text):
        yield Segment(part.text[done:], style)


def _fact(row: Line, pen: Pen) -> Sequence[Strip]:
    (style, _), *_ = row
    return pen.wrapped("".join(text for _, text in row), pen.palette.styles.get(style))
