"""Draws lines and rich renderables as rows of a width, in the colours of a palette."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ml_intern.frontends.headless.text import TAB, Line, clip, line
from ml_intern.frontends.tui.blocks.base import Rows
from ml_intern.frontends.tui.cells import LINK_SCHEMES, addresses, drawable, even, wrapped
from ml_intern.frontends.tui.theme import Palette
from ml_intern.protocol.amounts import counted

if TYPE_CHECKING:
    from ml_intern.frontends.tui.blocks.rich_text import RichPages
    from ml_intern.frontends.tui.pictures.gallery import Gallery


PICTURE_ROWS = 16
FOLD_KEY = "Ctrl-O"


class Pen:
    """``columns`` is what a block may use. ``now`` is the event loop's time, for what shows how long it takes."""

    def __init__(
        self, columns: int, palette: Palette, *, now: float = 0.0, pages: RichPages | None = None, pictures: Gallery | None = None
    ) -> None:
        self.columns = max(columns, 4)
        self.palette = palette
        self.now = now
        self.changed: Callable[[], None] = lambda: None
        """Called when what was asked for is there, so that the block is drawn again."""
        self.fold_key = FOLD_KEY
        self._pages = pages
        self._pictures = pictures

    def narrower(self, by: int) -> Pen:
        """For what stands indented."""
        pen = Pen(self.columns - by, self.palette, now=self.now, pages=self.pages, pictures=self._pictures)
        pen.changed, pen.fold_key = self.changed, self.fold_key
        return pen

    def picture(self, path: str, rows: int, title: str = "picture") -> Rows:
        """A picture, at most that many rows, as well as the terminal shows it; below it the file as a link, and its size."""
        shown = self._pictures.picture(path, self.columns, rows, self.palette.background, self.changed) if self._pictures else None
        file = str(self._pictures.folder / path) if self._pictures else path
        note = f" · {shown.note}" if shown is not None else ""
        return [*(shown.rows if shown is not None else ()), self.file(title, path, file, note=note)]

    def kept_picture(self, data: str, rows: int, title: str) -> Rows:
        """A picture that a session holds, as base64; below it what it is called, and its size. Its file may be another one by now."""
        shown = None
        if self._pictures is not None:
            shown = self._pictures.picture("", self.columns, rows, self.palette.background, self.changed, data=data)
        note = f" · {shown.note}" if shown is not None else ""
        return [*(shown.rows if shown is not None else ()), self.line(line(("accent", title), ("dim", note)))]

    @cached_property
    def pages(self) -> RichPages:
        """Markdown and highlighted code; rich's part of it is imported when the first is drawn."""
        if self._pages is not None:
            return self._pages
        from ml_intern.frontends.tui.blocks.rich_text import RichPages

        return RichPages()

    def line(self, row: Line) -> Strip:
        """One row, cut at the width so that what matters at its end stays."""
        styles = self.palette.styles
        return Strip([Segment(even(text), styles[style]) for style, text in clip(row, self.columns) if text])

    def lines(self, rows: Iterable[Line]) -> Rows:
        """Rows, each cut at the width."""
        return [self.line(row) for row in rows]

    def more(self, rows: int, *, folded: bool) -> Strip:
        """What is not shown, and how to see it, where it can be."""
        how = f": {self.fold_key} or a click" if folded else ""
        return self.line(line(("dim", f"… {counted(rows, 'more row')}{how}")))

    def wrapped(self, text: str, style: Style | None = None) -> Rows:
        """A text of somebody else, broken at the width; addresses in it are links."""
        parts = wrapped(text, self.columns)
        if "://" not in text:
            return [Strip([Segment(part, style)]) for part in parts]
        return _linked(drawable(text).replace("\t", TAB), parts, style or Style.null())

    def link(self, title: str, url: str) -> Strip:
        """A link that the terminal can open; of other schemes than the web's only the text."""
        title, safe = even(title), "".join(even(url).split())
        style = self.palette.styles["accent"]
        if safe.startswith(LINK_SCHEMES):
            style += Style(link=safe, underline=True)
        shown = title if not safe or title == safe else f"{title}  {safe}"
        (text,) = (part for _, part in clip(line(shown), self.columns))
        return Strip([Segment(text, style)])

    def file(self, title: str, path: str, file: str, *, note: str = "") -> Strip:
        """A file of this machine by its name, as a link to its absolute path ``file``."""
        row = self.line(line(("accent", title), f"  {path}", ("dim", note)))
        if not Path(file).is_absolute() or "\0" in file:
            return row
        link = Style(link=Path(file).as_uri())  # percent-encoded: nothing in it commands the terminal
        return Strip([Segment(part.text, (part.style or Style.null()) + link) for part in row])

    def markdown(self, text: str) -> Rows:
        """Markdown of somebody else."""
        return self.pages.markdown(text, self.columns, self.palette, lambda named: self.picture(named.path, PICTURE_ROWS, named.title))

    def code(self, text: str, language: str) -> Rows:
        """Highlighted code of somebody else, its long lines broken."""
        return self.pages.code(text, language, self.columns, self.palette)


def _linked(text: str, parts: Iterable[str], style: Style) -> Rows:
    """The text in its rows, with every address a link: also where a row ends in the middle of one."""
    found = [(start, start + len(address), address) for start, address in addresses(text)]
    rows: Rows = []
    at = 0
    for part in parts:
        at = max(text.find(part, at), at)  # a row leaves out the space or the end of line that it was broken at
        rows.append(Strip(_with_links(part, at, found, style)))
        at += len(part)
    return rows


def _with_links(part: str, at: int, found: Iterable[tuple[int, int, str]], style: Style) -> Iterator[Segment]:
    done = 0
    for start, end, address in found:
        first, last = max(start - at, done), min(end - at, len(part))
        if first >= last:
            continue
        if first > done:
            yield Segment(part[done:first], style)
        yield Segment(part[first:last], style + Style(link=address, underline=True))
        done = last
    if done < len(part) or not part:
        yield Segment(part[done:], style)


def joined(left: Strip, right: Strip, columns: int) -> Strip:
    """The one at the left edge and the other at the right one, if there is room."""
    room = columns - cell_len(left.text) - cell_len(right.text)
    return Strip([*left, Segment(" " * room), *right]) if room > 0 else left
