"""The conversation: what the user does with its blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from ml_intern.frontends.headless.text import Line
from ml_intern.frontends.tui.block_view import ROWS_OF_A_BLOCK, BlockView
from ml_intern.frontends.tui.blocks.base import Block
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.selected_rows import ROW_END

Greeting: TypeAlias = Callable[[int, int], Sequence[Line]]


class Conversation(BlockView, can_focus=True):
    """Blocks with keys: one of them can be selected, unfolded, copied, opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "select(-1)", "Block above", show=False),
        Binding("down", "select(1)", "Block below", show=False),
        Binding("enter,space", "fold", "Fold or unfold; open the link of what does not fold", show=False),
        Binding("c,y", "copy", "Copy the block", show=False),
        Binding("o", "open", "Open its link, or choose one of several", show=False),
        Binding("escape", "leave", "Back to the composer", show=False),
    ]
    selected: reactive[int | None] = reactive(None)
    greeting: Greeting | None = None
    """What stands there as long as nothing else does, for so many columns and rows."""

    class Copied(Message):
        """A block's text was asked for."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Opened(Message):
        """Links are to be opened: one of them. ``said`` is the text that was clicked on."""

        def __init__(self, urls: Sequence[str], said: str = "") -> None:
            super().__init__()
            self.urls = tuple(urls)
            self.said = said

    class Left(Message):
        """The user wants to write."""

    def focus_on_click(self) -> bool:
        """The mouse selects, folds and opens; whoever writes goes on writing."""
        return False

    def show_greeting(self) -> None:
        """It says something else now."""
        if not self._blocks:
            self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """The greeting is made once for all its rows."""
        if self._blocks or self.greeting is None:
            return super().render_lines(crop)
        rows = self._greeted(self.greeting)[crop.y : crop.bottom]
        left, right = crop.column_span
        return rows if (left, right) == (0, self.size.width) else [row.crop(left, right) for row in rows]

    def _row(self, row: int) -> Strip:
        if self._blocks or self.greeting is None:
            return super()._row(row)
        rows = self._greeted(self.greeting)
        return rows[min(row, len(rows) - 1)]

    def _greeted(self, greeting: Greeting) -> list[Strip]:
        """As high as the widget, and an empty row below."""
        columns, height = self._usable(), self.size.height
        pen = Pen(columns, self._palette)
        shown = self._finished([*(pen.line(row) for row in greeting(columns, height)), Strip([])], " ")
        blank = shown.pop()
        return [*shown[:height], *([blank] * (height + 1 - len(shown)))]

    def mark_of(self, position: int) -> str:
        return "▌" if position == self.selected else ""

    def truncate(self, count: int) -> None:
        if self.selected is not None and self.selected >= count:
            self.selected = None
        super().truncate(count)

    def on_click(self, event: events.Click) -> None:
        """A click unfolds, opens a link, or folds by the first row; a second one selects the word, a third one the block."""
        event.prevent_default()  # Textual would select the whole conversation
        row = self.scroll_offset.y + event.y
        if row >= self._index.total:
            return
        if event.chain > 1:
            self._select_around(self.key_at(event.y), event)
            return
        if self._picked is not None:  # the end of a drag
            return
        position, offset = self._index.find(row)
        block = self._blocks[position]
        if link := event.style.link:
            self.post_message(self.Opened([link], _label(self._rows(position)[offset], link)))
        elif block.foldable and (block.folded or offset == self._gap(position)):
            self._toggle(position)

    def _select_around(self, key: int, event: events.Click) -> None:
        position = key // ROWS_OF_A_BLOCK
        if event.chain > 2:
            begin = position * ROWS_OF_A_BLOCK
            self.select(Offset(0, begin + self._gap(position)), Offset(ROW_END, begin + len(self._rows(position)) - 1))
        elif (word := self.word_at(Offset(event.x, key))) is not None:
            self.select(*word)
        self.screen.post_message(events.TextSelected())

    def watch_selected(self, old: int | None, new: int | None) -> None:
        """The mark moves."""
        for position in (old, new):
            if position is not None:
                self.forget_drawn(position)

    def action_select(self, step: int) -> None:
        """The next block that can be selected, in that direction."""
        if not self._blocks:
            return
        position = self._visible()[1] if self.selected is None else self.selected
        position += step
        while 0 <= position < len(self._blocks) and not self._can_select(self._blocks[position]):
            position += step
        if 0 <= position < len(self._blocks):
            self.selected = position
            self._show(position)

    @staticmethod
    def _can_select(block: Block) -> bool:
        return block.selectable and not block.hidden

    def _show(self, position: int) -> None:
        """Scroll as little as shows the block; its beginning if it is higher than the viewport."""
        self._measure(position)
        self._grow()
        top, height = self._index.before(position), self._index.height(position)
        if top < self.scroll_offset.y or height > self.size.height:
            self.scroll_to(y=top, animate=False)
        elif top + height > self.scroll_offset.y + self.size.height:
            self.scroll_to(y=top + height - self.size.height, animate=False)
        self.refresh()

    def action_fold(self) -> None:
        if self.selected is not None and self._blocks[self.selected].foldable:
            self._toggle(self.selected)
        else:
            self.action_open()

    def _toggle(self, position: int) -> None:
        block = self._blocks[position]
        block.folded = not block.folded
        block.changed()

    def action_copy(self) -> None:
        if self.selected is not None and (text := self._blocks[self.selected].text):
            self.post_message(self.Copied(text))

    def action_open(self) -> None:
        if self.selected is not None and (links := self._blocks[self.selected].links):
            self.post_message(self.Opened(links))

    def action_leave(self) -> None:
        self.selected = None
        self.post_message(self.Left())


def _label(row: Strip, link: str) -> str:
    """What stands in the row as that link's text."""
    return "".join(part.text for part in row if part.style is not None and part.style.link == link)
