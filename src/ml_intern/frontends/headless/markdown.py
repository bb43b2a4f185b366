"""Streamed Markdown: cut into blocks that are finished, each drawn once. Work is linear in the text, however it is cut."""

from __future__ import annotations

import io
import re
from typing import ClassVar

from msgspec import Struct  # and no dataclass: it stands on the path to the first paint

from ml_intern.frontends.sanitize import plain

CODE_PIECE_LINES = 30
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})[ \t]*([^`\s]*)[^`]*$")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_LIST_ITEM = re.compile(r"^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)")


class Block(Struct, frozen=True):
    """Text that can be drawn on its own. A long code block comes in pieces: ``continued`` marks all but the first."""

    text: str
    code: bool = False
    language: str = ""
    continued: bool = False


class MarkdownBlocks:
    """Feed pieces of any size, get blocks. A block of prose ends at a blank line that no indented line follows."""

    def __init__(self) -> None:
        self._partial: list[str] = []
        self._rows: list[str] = []
        self._fence = ""
        self._language = ""
        self._in_code = False
        self._continued = False
        self._blank_since = False

    def feed(self, text: str) -> list[Block]:
        """The blocks that this piece completes."""
        *whole, rest = text.split("\n")
        if not whole:
            self._partial += [rest] if rest else []
            return []
        whole[0] = "".join([*self._partial, whole[0]])
        self._partial = [rest] if rest else []
        blocks: list[Block] = []
        for row in whole:
            self._add(row, blocks)
        return blocks

    def finish(self) -> list[Block]:
        """What is left; afterwards a new text may begin."""
        blocks: list[Block] = []
        if self._partial:
            self._add("".join(self._partial), blocks)
        self._flush(blocks)
        self.__init__()
        return blocks

    def pending(self, rows: int) -> list[str]:
        """The last lines of the block that is still open."""
        last = "".join(self._partial[-4_000:])
        kept = self._rows[-rows:]
        return ([*kept, last] if last else kept)[-rows:]

    def open_block(self) -> Block | None:
        """What would be a block if the text ended here."""
        last = "".join(self._partial)
        text = "\n".join([*self._rows, last] if last else self._rows)
        if not text.strip("\n"):
            return None
        return Block(text, self._in_code, self._language if self._in_code else "", self._in_code and self._continued)

    def _add(self, row: str, blocks: list[Block]) -> None:
        if self._in_code:
            self._add_code(row, blocks)
        elif self._fence:
            self._rows.append(row)
            if self._closes(row):
                self._fence = ""
        elif not row.strip():
            self._blank_since = bool(self._rows)
            if self._rows:
                self._rows.append("")
        else:
            self._add_prose(row, blocks)

    def _add_prose(self, row: str, blocks: list[Block]) -> None:
        if self._blank_since and not row.startswith((" ", "\t")):
            self._flush(blocks)
        self._blank_since = False
        if not (opening := _FENCE.match(row)):
            self._rows.append(row)
            return
        indent, self._fence, language = opening.groups()
        if indent and self._rows and any(map(_LIST_ITEM.match, self._rows)):
            self._rows.append(row)  # a fence inside a list item stays with its list
            return
        self._flush(blocks)
        self._in_code, self._language, self._continued = True, language, False

    def _add_code(self, row: str, blocks: list[Block]) -> None:
        if self._closes(row):
            self._flush(blocks)
            self._in_code, self._fence = False, ""
            return
        self._rows.append(row)
        if len(self._rows) >= CODE_PIECE_LINES:
            self._flush(blocks)

    def _closes(self, row: str) -> bool:
        bare = row.strip()
        return len(bare) >= len(self._fence) and not bare.strip(self._fence[0])

    def _flush(self, blocks: list[Block]) -> None:
        if self._in_code:
            if self._rows:
                blocks.append(Block("\n".join(self._rows), True, self._language, self._continued))
                self._continued = True
        elif text := "\n".join(self._rows).strip("\n"):
            blocks.append(Block(text))
        self._rows = []
        self._blank_since = False


class MarkdownRenderer:
    """Blocks as text with terminal styles, by rich; construct it off the event loop: rich takes a tenth of a second to import."""

    def __init__(self, *, color: bool) -> None:
        from markdown_it import MarkdownIt
        from rich.console import Console
        from rich.markdown import Heading, Markdown, MarkdownElement
        from rich.syntax import Syntax
        from rich.theme import Theme

        parser = MarkdownIt(options_update={"html": False}).enable(["strikethrough", "table"])

        class LeftHeading(Heading):
            """Not centred, not boxed."""

            def __rich_console__(self, console: Console, options: object):  # type: ignore[no-untyped-def]
                self.text.justify = "left"
                yield self.text

        class Reply(Markdown):
            """HTML is text: rich would leave it out."""

            elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": LeftHeading}

            def __init__(self, markup: str) -> None:
                super().__init__("", code_theme=_CODE, hyperlinks=False)
                self.markup = markup
                self.parsed = parser.parse(markup)

        self._markdown, self._syntax = Reply, Syntax
        self._console_type = Console
        self._theme = Theme(_THEME)
        self._color = color

    def render(self, block: Block, columns: int) -> str:
        """The block in at most that many columns, with a line break at its end. Rich markup and control sequences in it mean nothing."""
        page = io.StringIO()
        console = self._console_type(
            file=page,
            force_terminal=True,
            no_color=not self._color,
            width=max(columns, 20),
            theme=self._theme,
            legacy_windows=False,
            highlight=False,
            emoji=False,
            markup=False,
        )
        if block.code:
            language = block.language or "text"
            drawn = self._syntax(plain(block.text), language, theme=_CODE, background_color="default", word_wrap=True, padding=(0, 2))
            console.print(drawn)
        else:
            console.print(self._markdown(plain(block.text)))
        rows = page.getvalue().split("\n")
        shown = [i for i, row in enumerate(rows) if _STYLE.sub("", row).strip()]
        return "".join(f"{row.rstrip()}\n" for row in rows[shown[0] : shown[-1] + 1]) if shown else ""


_CODE = "ansi_dark"  # the terminal's own colours, so that it can be read on any background
_THEME = {
    "markdown.h1": "bold color(221)",
    "markdown.h2": "bold color(221)",
    "markdown.h3": "bold",
    "markdown.code": "color(117)",
    "markdown.link": "color(75)",
    "markdown.link_url": "color(75)",
}
