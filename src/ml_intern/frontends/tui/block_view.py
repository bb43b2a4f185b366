"""A list of blocks of which only those near the viewport are drawn, however many there are."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from time import perf_counter

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip

from ml_intern.frontends.tui.blocks.base import Block, Rows
from ml_intern.frontends.tui.blocks.pen import FOLD_KEY, Pen
from ml_intern.frontends.tui.pictures.rows import PictureRows
from ml_intern.frontends.tui.row_index import RowIndex
from ml_intern.frontends.tui.selected_rows import MARK, Passage, SelectableRows, follow_pointer
from ml_intern.frontends.tui.theme import Palette, palette, palette_of

GUTTER = 2
MAX_COLUMNS = 120
"""Text in longer rows is hard to read."""
MIN_COLUMNS = 12
KEPT_DRAWN = 200
"""Blocks whose rows are kept."""
FRAME_S = 1 / 25
PAST_FRAME_S = 0.5
"""While a past session is read nobody needs to see all of it pass by."""
ROWS_OF_A_BLOCK = 1 << 20
"""More than any has: a row's key is its block's position times this, plus its place among the block's rows."""
REST = 3
"""How many times as long as drawing took nothing is drawn: what is slow to draw must not keep the user from typing."""


class BlockView(SelectableRows, PictureRows):
    """Follows its end until the user scrolls up or selects. Heights of blocks that were never near the viewport are guessed."""

    DEFAULT_CSS = """
    BlockView { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; background: $background; }
    """

    class EndSeen(Message):
        """Whether the end is followed has changed, or, ``news``, something came where the user does not look."""

        def __init__(self, *, at_end: bool, news: bool) -> None:
            super().__init__()
            self.at_end = at_end
            self.news = news

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._blocks: list[Block] = []
        self._positions: dict[int, int] = {}
        self._index = RowIndex()
        self._drawn: OrderedDict[int, Rows] = OrderedDict()
        self._dirty: set[int] = set()
        self._columns = 0
        self._following = True
        self._news = False
        self._all_unfolded = False
        self._settling = False
        self._due: asyncio.TimerHandle | None = None
        self._drawing_took_s = 0.0
        self.frame_s = FRAME_S
        """How long changes wait to be drawn together."""
        self._palette: Palette = palette("")
        self._pen: Pen | None = None
        self.fold_key = FOLD_KEY

    # ── content ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def blocks(self) -> Sequence[Block]:
        return self._blocks

    @property
    def following(self) -> bool:
        """Whether new blocks are scrolled into view."""
        return self._following

    def to_end(self) -> None:
        """Show the end, and follow it again."""
        if self._picked is not None:
            self.screen.clear_selection()  # what is selected would stay in view
        self._follow(True)
        self.show_changes()

    def _follow(self, following: bool, *, news: bool = False) -> None:
        if (following, news) != (self._following, self._news):
            self._following, self._news = following, news
            self.post_message(self.EndSeen(at_end=following, news=news))

    def _came_below(self, position: int) -> None:
        if not self._following and not self._news and position >= self._visible()[1]:
            self._follow(False, news=True)

    def add(self, *blocks: Block) -> None:
        """At the end."""
        for block in blocks:
            block.on_change = self._block_changed
            block.folded = block.folded and not self._all_unfolded
            self._positions[id(block)] = len(self._blocks)
            self._blocks.append(block)
            self._index.append(self._guess(block))
            self._came_below(len(self._blocks) - 1)
        self._schedule()

    def truncate(self, count: int) -> None:
        """Keep the first ``count`` blocks."""
        for block in self._blocks[count:]:
            del self._positions[id(block)]
            block.on_change = None
        for position in [at for at in self._drawn if at >= count]:
            del self._drawn[position]
        self._dirty = {at for at in self._dirty if at < count}
        del self._blocks[count:]
        self._index.truncate(count)
        if not count:
            self._follow(True)
        self._schedule()

    def drop(self, block: Block) -> None:
        """Take a block away: for good where it is the last one, else it takes no rows any more."""
        if self._blocks and self._blocks[-1] is block:
            self.truncate(len(self._blocks) - 1)
        else:
            block.hidden = True
            block.changed()

    def fold_all(self, folded: bool) -> None:
        """Fold or unfold every block that can be, and those that come."""
        self._all_unfolded = not folded
        for block in self._blocks:
            if block.foldable:
                block.folded = folded
        self._measure_anew()

    def _block_changed(self, block: Block) -> None:
        if (position := self._positions.get(id(block))) is not None:
            self._dirty.add(position)
            self._came_below(position)
            if block.hidden and position + 1 < len(self._blocks):
                self._dirty.add(position + 1)  # what stands above it is another block now
            self._schedule()

    def _gap(self, position: int) -> bool:
        """Whether there is an empty row above the block."""
        block = self._blocks[position]
        above = position - 1
        while above >= 0 and self._blocks[above].hidden:
            above -= 1
        return above >= 0 and block.gap and not (block.close and type(block) is type(self._blocks[above]))

    def mark_of(self, position: int) -> str:
        """What stands in the gutter beside a block."""
        return ""

    def forget_drawn(self, position: int) -> None:
        """Draw it anew when it is seen next; its height stays."""
        self._drawn.pop(position, None)
        self.refresh()

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _schedule(self) -> None:
        """Show changes with the next frame, however many there are until then."""
        if self._due is None and self.is_attached:
            pause_s = max(self.frame_s, REST * self._drawing_took_s)
            self._due = asyncio.get_running_loop().call_later(pause_s, self.show_changes)

    def show_changes(self) -> None:
        """Draw what has changed, now rather than with the next frame."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self.is_attached and self.size.width:
            began = perf_counter()
            self._settle()
            self._drawing_took_s = perf_counter() - began
            self.refresh()

    def _shown_rows(self) -> Sequence[Strip]:
        return [self._row(self.scroll_offset.y + y) for y in range(self.size.height)]

    async def on_unmount(self) -> None:
        await self.close_pictures()
        if self._due is not None:
            self._due.cancel()

    def on_mount(self) -> None:
        self._restyle()
        self.set_interval(1.0, self._tick)

    def notify_style_update(self) -> None:
        """Another theme."""
        super().notify_style_update()
        if self.is_attached:
            self._restyle()

    def _restyle(self) -> None:
        self._palette = palette_of(self)
        self._pen = None
        self._drawn.clear()
        self._schedule()

    def _tick(self) -> None:
        first, last = self._visible()
        for position in range(first, last):
            if self._blocks[position].animated:
                self._dirty.add(position)
        if self._dirty:
            self._schedule()

    def on_resize(self, event: events.Resize) -> None:
        columns = self._usable()
        if columns != self._columns:
            self._measure_anew()
        else:
            self._settle()

    def _usable(self) -> int:
        return max(min(self.scrollable_content_region.width - GUTTER - 1, MAX_COLUMNS), MIN_COLUMNS)

    def _measure_anew(self) -> None:
        """All heights are guesses again; what is at the top of the viewport stays there."""
        if self._picked is not None:
            self.screen.clear_selection()  # rows are others from now on
        anchor, _ = self._index.find(self.scroll_offset.y) if self._blocks else (0, 0)
        self._columns = self._usable()
        self._pen = None
        self._drawn.clear()
        self._dirty.clear()
        self._index = RowIndex()
        for block in self._blocks:
            self._index.append(self._guess(block))
        if not self._following and self._blocks:
            self._grow()
            self._place(self._index.before(anchor))
        self._settle()
        self.refresh()

    def _guess(self, block: Block) -> int:
        if block.hidden or not (rows := block.guess_rows(self._columns or 80)):
            return 0
        return rows + block.gap

    def _visible(self) -> tuple[int, int]:
        """Positions of the blocks in the viewport: the first, and one after the last."""
        if not self._blocks:
            return 0, 0
        top = self.scroll_offset.y
        return self._index.find(top)[0], self._index.find(top + max(self.size.height, 1) - 1)[0] + 1

    def _settle(self) -> None:
        """Draw what is in the viewport, so that its heights are known, and place the viewport."""
        if self._settling or not self.size.height:
            return
        self._settling = True
        try:
            self._columns = self._columns or self._usable()
            for position in self._dirty:
                self._drawn.pop(position, None)
                self._correct(position, self._guess(self._blocks[position]), unless_drawn=True)
            self._dirty.clear()
            if self._following and self._picked is None:
                self._settle_at_end()
            else:
                self._settle_here()
        finally:
            self._settling = False

    def _correct(self, position: int, rows: int, *, unless_drawn: bool) -> None:
        """The height of a block far away: a guess in place of the old one."""
        first, last = self._visible()
        if unless_drawn and first <= position < last:
            return  # it will be drawn in a moment, and keeps its height until then
        self._index.set(position, rows)

    def _settle_at_end(self) -> None:
        rows, position = 0, len(self._blocks)
        while position and rows < self.size.height:
            position -= 1
            rows += self._measure(position)
        self._grow()
        self._place(self.max_scroll_y)

    def _settle_here(self) -> None:
        if not self._blocks:
            self._grow()
            return
        top = self.scroll_offset.y
        first, offset = self._index.find(top)
        above = self._index.find(top - self.size.height)[0]
        for position in range(above, first):
            self._measure(position)
        rows, position = -offset, first
        while position < len(self._blocks) and rows < self.size.height:
            rows += self._measure(position)
            position += 1
        self._grow()
        self._place(min(self._index.before(first) + offset, self.max_scroll_y))

    def _measure(self, position: int) -> int:
        rows = len(self._rows(position))
        self._index.set(position, rows)
        return rows

    def _rows(self, position: int) -> Rows:
        drawn = self._drawn.get(position)
        if drawn is not None:
            self._drawn.move_to_end(position)
            return drawn
        block = self._blocks[position]
        if self._pen is None:
            self._pen = Pen(self._columns, self._palette, pictures=self.pictures)
            self._pen.fold_key = self.fold_key
        self._pen.now, self._pen.changed = asyncio.get_running_loop().time(), block.changed
        rows = block.draw(self._pen) if not block.hidden else []
        rows = self._finished(rows, self.mark_of(position))
        if rows and self._gap(position):
            rows = [*self._finished([Strip([])], " "), *rows]
        self._drawn[position] = rows
        while len(self._drawn) > KEPT_DRAWN:
            self._drawn.popitem(last=False)
        return rows

    def _grow(self) -> None:
        size = Size(self.scrollable_content_region.width, self._index.total)
        if size != self.virtual_size:
            # not by assignment: that would lay out the whole screen
            self.set_reactive(BlockView.virtual_size, size)  # pyright: ignore[reportArgumentType]  # of the class, it is the reactive
            self._scroll_update(size)

    def _place(self, row: float) -> None:
        """Parts of a row stay: they are how slow scrolling, as of a selection at the edge, gets anywhere."""
        if row != self.scroll_offset.y:
            self.scroll_target_y = self.scroll_y = row

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolled, by the user unless we are just placing the viewport ourselves."""
        super().watch_scroll_y(old_value, new_value)
        if not self._settling:
            at_end = new_value >= self.max_scroll_y - 0.5
            self._follow(at_end, news=self._news and not at_end)
            self._settle()
        self.call_after_refresh(follow_pointer, self.screen)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows of the viewport: they are kept as they are shown, so that scrolling costs next to nothing."""
        top = self.scroll_offset.y
        rows = [self._row(top + y) for y in crop.line_range]
        left, right = crop.column_span
        return rows if (left, right) == (0, self.size.width) else [row.crop(left, right) for row in rows]

    def _row(self, row: int) -> Strip:
        if row >= self._index.total:
            return self._finished([Strip([])], " ")[0]
        position, offset = self._index.find(row)
        rows = self._rows(position)
        drawn = rows[offset] if offset < len(rows) else self._finished([Strip([])], " ")[0]
        return self.highlighted(drawn, position * ROWS_OF_A_BLOCK + offset)

    def _finished(self, rows: Rows, mark: str) -> Rows:
        """With the gutter, the background and the app's filters (no colours, say), as wide as the widget."""
        width, base = self.size.width, self.rich_style
        gutter = Segment(mark.ljust(GUTTER), self._palette.selected + MARK)
        finished = [Strip([gutter, *row] if row else row).apply_style(base).adjust_cell_length(width, base) for row in rows]
        _, background = self.background_colors
        for each in self.get_line_filters():
            finished = [row.apply_filter(each, background) for row in finished]
        return finished

    # ── selecting with the mouse ─────────────────────────────────────────────────────────────────────────────────────

    def key_at(self, y: int) -> int:
        """See ``SelectableRows``."""
        position, offset = self._index.find(min(self.scroll_offset.y + y, self._index.total - 1)) if self._blocks else (0, 0)
        return position * ROWS_OF_A_BLOCK + offset

    def render_line(self, y: int) -> Strip:
        """A row with its offsets: asked for where the mouse is while it selects; what is shown comes from ``render_lines``."""
        return self._row(self.scroll_offset.y + y).apply_offsets(0, self.key_at(y))

    def passages(self, first: int, last: int) -> Iterable[Passage]:
        """See ``SelectableRows``."""
        for position in range(first // ROWS_OF_A_BLOCK, min(last // ROWS_OF_A_BLOCK + 1, len(self._blocks))):
            rows = enumerate(self._rows(position), position * ROWS_OF_A_BLOCK)
            yield Passage([each for each in rows if first <= each[0] <= last], self._blocks[position].text)

    def selection_updated(self, selection: Selection | None) -> None:
        super().selection_updated(selection)  # what is selected does not scroll away: see `_settle`
        self._schedule()
