"""Markdown and code by rich and pygments: text in, rows out. Slow to import: ``Pen`` does so when there is something to draw."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.theme import Theme
from textual.strip import Strip

from ml_intern.frontends.tui.blocks.base import Rows
from ml_intern.frontends.tui.blocks.named_pictures import NamedPicture, parts
from ml_intern.frontends.tui.cells import LINK_SCHEMES, addresses, drawable
from ml_intern.frontends.tui.selected_rows import BORDER, MARK
from ml_intern.frontends.tui.theme import Palette

_QUOTE = "▌"
_RULE = re.compile(" *[─-╿][─-╿ ]*|-{10,}")
"""As rich draws them below the head of a table, and between sections."""

_BOXES: Mapping[str, str] = MappingProxyType({"[ ] ": "☐ ", "[x] ": "☑ "})


class RichPages:
    """Holds what is slow to make: a console for each palette, the Markdown parser."""

    def __init__(self) -> None:
        self._consoles: dict[str, Console] = {}
        self._parser = MarkdownIt(options_update={"html": False}).enable(["strikethrough", "table"])

    def draw(self, renderable: RenderableType, columns: int, palette: Palette) -> Rows:
        """Rows of what rich draws; empty ones at either end are left out."""
        rows = self._rows(renderable, columns, palette)
        while rows and not rows[-1]:
            rows.pop()
        first = next((i for i, row in enumerate(rows) if row), 0)
        return [Strip(row) for row in rows[first:]]

    def markdown(self, text: str, columns: int, palette: Palette, picture: Callable[[NamedPicture], Rows]) -> Rows:
        """HTML in it is text, and nothing of it commands the terminal. ``picture`` draws one that the text names, where it stands."""
        text = drawable(text)
        tokens = self._parser.parse(text)
        rows: Rows = []
        for part in parts(tokens) if "![" in text else (tokens,):
            if isinstance(part, NamedPicture):
                rows += picture(part)
            elif part:
                rows += map(_with_marks, self.draw(_Reply(text, part, palette), columns, palette))
            else:
                rows.append(Strip([]))
        return rows

    def code(self, text: str, language: str, columns: int, palette: Palette) -> Rows:
        """Highlighted where the language is known, its long lines broken; empty rows stay. It has no background of its own: the terminal's
        would stand behind its characters alone, and differ from the theme's.
        """
        shown = Syntax(drawable(text), language or "text", theme=palette.code_theme, word_wrap=True)
        return [Strip(row) for row in self._rows(shown, columns, palette)]

    def _rows(self, renderable: RenderableType, columns: int, palette: Palette) -> list[list[Segment]]:
        console = self._console(palette)
        rows = console.render_lines(renderable, console.options.update(width=columns, height=None), pad=False)
        return [_without_trailing_space(row) for row in rows]

    def _console(self, palette: Palette) -> Console:
        console = self._consoles.get(palette.name)
        if console is None:
            console = self._consoles[palette.name] = Console(
                file=io.StringIO(),
                force_terminal=True,
                color_system="truecolor",
                width=80,
                theme=Theme(dict(palette.markdown)),
                legacy_windows=False,
                highlight=False,
                emoji=False,
                markup=False,
                _environ={},
            )
        return console


class _LeftHeading(Heading):
    """Not centred, not boxed."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Reply(Markdown):
    """HTML is text: rich would leave it out."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _LeftHeading}

    def __init__(self, markup: str, tokens: list[Token], palette: Palette) -> None:
        # rich's own constructor makes a parser for each text, which takes longer than drawing it
        self.markup = markup
        self.parsed = _with_addresses(_with_boxes(tokens))
        self.code_theme = self.inline_code_theme = palette.code_theme
        self.justify = None
        self.style = "none"
        self.hyperlinks = True
        self.inline_code_lexer = None


def _with_boxes(tokens: list[Token]) -> list[Token]:
    """``- [ ]`` and ``- [x]`` are tasks: https://github.github.com/gfm/#task-list-items-extension-"""
    for before, paragraph, inline in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (before.type, paragraph.type) == ("list_item_open", "paragraph_open") and inline.children:
            first = inline.children[0]
            if first.type == "text" and (box := _BOXES.get(first.content[:4].lower())) is not None:
                first.content = box + first.content[4:]
    return tokens


def _with_addresses(tokens: list[Token]) -> list[Token]:
    """A link says where it leads; what leads elsewhere than to the web is no link."""
    for token in tokens:
        if token.children:
            token.children = list(_with_address(token.children))
    return tokens


def _with_address(children: list[Token]) -> Iterator[Token]:
    address, said, inside = "", "", False
    for child in children:
        match child.type:
            case "text" if not inside:
                yield from _with_bare_addresses(child)
            case "link_open":
                address, said, inside = str(child.attrs.get("href", "")), "", True
                if address.startswith(LINK_SCHEMES):
                    yield child
            case "link_close":
                inside = False
                if address != said:
                    yield Token("text", "", 0, content=f" ({address})")
                if address.startswith(LINK_SCHEMES):
                    yield child
            case _:
                said += child.content
                yield child


def _with_bare_addresses(text: Token) -> Iterator[Token]:
    """An address that stands in the text is a link to itself."""
    at = 0
    for start, address in addresses(text.content):
        if start > at:
            yield Token("text", "", 0, content=text.content[at:start])
        yield Token("link_open", "a", 1, attrs={"href": address})
        yield Token("text", "", 0, content=address)
        yield Token("link_close", "a", -1)
        at = start + len(address)
    if at < len(text.content):
        yield Token("text", "", 0, content=text.content[at:]) if at else text


def _with_marks(row: Strip) -> Strip:
    """Rules, and bars beside quotes, are not part of the text."""
    if _RULE.fullmatch(row.text):
        return Strip([Segment(part.text, (part.style or Style.null()) + BORDER) for part in row])
    if row.text.lstrip().startswith(_QUOTE):
        return Strip([Segment(part.text, (part.style or Style.null()) + MARK) if part.text.strip() == _QUOTE else part for part in row])
    return row


def _without_trailing_space(row: list[Segment]) -> list[Segment]:
    while row:
        last = row.pop()
        if text := last.text.rstrip():
            row.append(Segment(text, last.style))
            break
    return row
