"""Blocks of words: what the user said, what the model says, and what the app says itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich.segment import Segment
from textual.strip import Strip

from ml_intern.frontends.headless.markdown import Block as Piece
from ml_intern.frontends.headless.text import Line, bare, line, lines
from ml_intern.frontends.tui.blocks.base import Block, Rows, guess_wrapped, wrapped_lines
from ml_intern.frontends.tui.blocks.pen import PICTURE_ROWS, Pen
from ml_intern.frontends.tui.cells import links_in, wrapped
from ml_intern.frontends.tui.selected_rows import MARK
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.messages import Image
from ml_intern.protocol.ran_words import without_ran_words
from ml_intern.protocol.senders import sender_words

USER_ROWS = 12
"""Of a long message, until it is unfolded."""
PART_ROWS = 300
"""Of code that are highlighted together."""
OPEN_CHARS = 12_000
"""Of a paragraph that has no end yet: beyond it, its tail is shown as it was written."""
_LINK_CHARS = 2_000
_HALF_A_LINK = re.compile(r"!?\[[^\[\]\n]{0,200}(?:\](?:\([^()\s]*)?)?\Z")
THINKING_ROWS, THINKING_CHARS = 3, 600
UNSEEN = "the model sees no images: /model"
"""Of pictures that are not sent to it."""


class UserBlock(Block):
    """A message of the user. Long ones are folded, and what was put around the user's own words is seen unfolded only."""

    foldable = True

    def __init__(self, content: str, *, images: Sequence[Image] = (), steering: bool = False, sent_by: str = "") -> None:
        super().__init__()
        self._content = content
        self._said = without_ran_words(content)
        self._images = images
        self._unseen = False
        self._steering = steering
        self._sent_by = sent_by

    @property
    def pictures(self) -> int:
        """How many were sent with it."""
        return len(self._images)

    def tell_sight(self, *, sees: bool) -> None:
        """Whether the model of the session, as it is now, gets the pictures of this message."""
        if self._images and self._unseen is sees:
            self._unseen = not sees
            self.changed()

    @property
    def text(self) -> str:
        return self._said

    def draw(self, pen: Pen) -> Rows:
        style = pen.palette.styles["user"]
        rows = wrapped(self._said if self.folded else self._content, pen.columns - 2)
        hidden = 0
        if self.folded and len(rows) > USER_ROWS:
            hidden = len(rows) - USER_ROWS + 1
            rows = rows[: USER_ROWS - 1]
        drawn = [Strip([Segment("❯ " if not i else "  ", style + MARK), Segment(row, style)]) for i, row in enumerate(rows)]
        drawn += [Strip([Segment("  "), *pen.narrower(2).more(hidden, folded=True)])] if hidden else []
        notes = [self._beside(pen)] if self.folded and self._said != self._content else []
        notes += ["sent while the turn ran"] if self._steering else []
        notes += [f"from {sender_words(self._sent_by)}"] if self._sent_by else []
        return drawn + self._image_rows(pen) + pen.lines([(("dim", f"  {note}"),) for note in notes])

    def _image_rows(self, pen: Pen) -> Rows:
        inner, many = pen.narrower(2), len(self._images) > 1
        most = PICTURE_ROWS if self.folded else 2 * PICTURE_ROWS
        rows: Rows = []
        for number, image in enumerate(self._images, 1):
            rows += inner.kept_picture(image.data, most, f"image {number}" if many else "image")
        if self._unseen:
            rows += inner.lines(wrapped_lines([line(("warn", UNSEEN))], inner.columns))
        return [Strip([Segment("  ", MARK), *row]) for row in rows]

    def guess_rows(self, columns: int) -> int:
        rows = guess_wrapped(self._said if self.folded else self._content, columns - 2)
        pictures = 2 * len(self._images)
        return pictures + (min(rows, USER_ROWS) + (self._said != self._content) if self.folded else rows)

    def _beside(self, pen: Pen) -> str:
        what = "what the command asks the model" if self._said.startswith("/") else "shell output"
        return f"+ {what}: {pen.fold_key} or a click"


class MarkdownBlock(Block):
    """A finished paragraph, list, table or heading of the model's."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self._markup = markup

    @property
    def text(self) -> str:
        return self._markup

    @property
    def links(self) -> Sequence[str]:
        return links_in(self._markup)

    def draw(self, pen: Pen) -> Rows:
        return pen.markdown(self._markup)

    def guess_rows(self, columns: int) -> int:
        return guess_wrapped(self._markup, columns)


class CodeBlock(Block):
    """A fenced block, or a part of a long one. Copying gives all of the code, without the fence."""

    def __init__(self, code: str, language: str = "", *, before: CodeBlock | None = None) -> None:
        super().__init__()
        self._code = code
        self.language = language
        self._whole: list[CodeBlock] = before._whole if before is not None else []
        self._whole.append(self)
        self.gap = before is None

    @property
    def text(self) -> str:
        return "\n".join(part._code for part in self._whole)

    def grow(self, code: str) -> bool:
        """Take more of the same code; false when this part is long enough, for all of it is highlighted anew."""
        if self._code.count("\n") > PART_ROWS:
            return False
        self._code = f"{self._code}\n{code}"
        self.changed()
        return True

    def draw(self, pen: Pen) -> Rows:
        bar = Segment("│ ", pen.palette.styles["dim"] + MARK)
        return [Strip([bar, *row]) for row in pen.narrower(2).code(self._code, self.language)]

    def guess_rows(self, columns: int) -> int:
        return guess_wrapped(self._code, columns - 2)


def _without_half_a_link(text: str) -> str:
    """A link whose end has not come yet is no link yet: it would stand there as it is written, and jump. Longer ones are shown."""
    half = _HALF_A_LINK.search(text, max(len(text) - _LINK_CHARS, 0))
    return text[: half.start()] if half is not None and text.count("`", 0, half.start()) % 2 == 0 else text


class OpenBlock(Block):
    """The paragraph or the piece of code that is still being written: all that is drawn anew while a reply streams."""

    selectable = False

    def __init__(self, written: Callable[[], Piece | None]) -> None:
        super().__init__()
        self._written = written
        self._rows = 0

    def draw(self, pen: Pen) -> Rows:
        piece = self._written()
        rows = self._draw(piece, pen) if piece is not None else []
        self.gap = bool(rows) and not (piece is not None and piece.continued)
        self._rows = len(rows)
        return rows

    def _draw(self, piece: Piece, pen: Pen) -> Rows:
        if piece.code:
            return CodeBlock(piece.text, piece.language).draw(pen)
        if len(piece.text) > OPEN_CHARS:  # a huge table: as it comes, until it is whole
            return pen.wrapped(piece.text[-OPEN_CHARS:])
        return pen.markdown(_without_half_a_link(piece.text))

    def guess_rows(self, columns: int) -> int:
        return self._rows


class ThinkingBlock(Block):
    """What the model thought: its last rows while it thinks, one row afterwards, all of it when unfolded."""

    foldable = True

    def __init__(self, text: str = "", *, open: bool = False) -> None:
        super().__init__()
        self._parts = [text] if text else []
        self._open = open

    @property
    def text(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def write(self, text: str) -> None:
        """It goes on thinking."""
        self._parts.append(text)
        self.changed()

    def end(self, text: str = "") -> None:
        """It is done; ``text`` is what the log keeps, if anything."""
        if text:
            self._parts = [text]
        self._open = False
        self.changed()

    def draw(self, pen: Pen) -> Rows:
        style = pen.palette.styles["dim"]
        text = self.text.strip()
        if not self.folded:
            body = pen.narrower(2).wrapped(text, style)
        else:
            body = pen.narrower(2).wrapped(text[-THINKING_CHARS:], style)[-THINKING_ROWS:] if self._open else []
        words = len(text.split())
        head = "thinking" if self._open else f"thought · {counted(words, 'word')}"
        return [pen.line(line(("dim", f"✻ {head}"))), *(Strip([Segment("  ", MARK), *row]) for row in body)]

    def guess_rows(self, columns: int) -> int:
        return 1 + guess_wrapped(self.text, columns) if not self.folded else 1 + THINKING_ROWS * self._open


class NoticeBlock(Block):
    """Lines of the app's own, such as an error and what to do about it."""

    selectable = False

    def __init__(self, rows: Sequence[Line], *, gap: bool = True) -> None:
        super().__init__()
        self._rows = tuple(rows)
        self.gap = gap

    @classmethod
    def of(cls, text: str, *, hint: str = "", bad: bool = False) -> NoticeBlock:
        """A sentence and a hint."""
        return cls([*lines(text, "bad" if bad else "dim"), *(lines(hint, "dim", "  ") if hint else [])])

    @property
    def text(self) -> str:
        return "\n".join(map(bare, self._rows))

    def draw(self, pen: Pen) -> Rows:
        return pen.lines(wrapped_lines(self._rows, pen.columns))

    def guess_rows(self, columns: int) -> int:
        return sum(guess_wrapped(bare(row), columns) for row in self._rows)
