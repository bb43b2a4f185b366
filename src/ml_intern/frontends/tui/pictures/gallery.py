"""The pictures of a conversation: each is read once, kept while it is likely to be drawn again, and taken back from the terminal."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct  # and no dataclass: these stand on the path to the first paint
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from ml_intern.frontends.tui.pictures.wish import Loaded, Wish
    from ml_intern.frontends.tui.terminal.abilities import Abilities, Colour, Way

KEPT = 24
MAX_COLUMNS = 72
PLACE = "picture"
"""In the meta of a style: which picture these cells stand for (a number), which row of it, of how many, and of how many columns."""
Rows: TypeAlias = Sequence[Strip]
Write: TypeAlias = Callable[[str], bool]


class Shown(Struct, kw_only=True):
    """A picture that is there: what stands in its cells, and a note about it."""

    number: int
    loaded: Loaded
    rows: Rows = ()
    sent: bool = False

    @property
    def note(self) -> str:
        """Its size, or why it is not shown."""
        width, height = self.loaded.size
        return self.loaded.problem or f"{width} × {height} pixels"


class Gallery:
    """``folder`` is where relative paths begin; ``write`` sends control data to the terminal, false while it cannot be."""

    def __init__(self, *, way: Way = "blocks", folder: Path = Path("/"), write: Write = lambda _: False) -> None:
        self.way: Way = way
        self.cell = (10, 20)
        self.multiplexed = False
        self.write = write
        self.folder = folder
        self._kept: OrderedDict[Wish, Shown] = OrderedDict()
        self._loading: dict[Wish, list[Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = count(_first_number())

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")

    def use(self, way: Way, abilities: Abilities) -> bool:
        """From now on pictures are shown so; whether that changes anything."""
        before = self.way, self.cell
        self.way, self.cell, self.multiplexed = way, abilities.cell, abilities.multiplexed
        return before != (self.way, self.cell)

    def picture(
        self, path: str, columns: int, rows: int, background: Colour | None, changed: Callable[[], None], *, data: str = ""
    ) -> Shown | None:
        """What there is of it now, at most that many cells; None at first, and ``changed`` is called when it is there. ``data`` instead of
        a path: its bytes as base64."""
        from ml_intern.frontends.tui.pictures.wish import Wish

        size = min(columns, MAX_COLUMNS), rows
        file = "" if data else str(self.folder / path)
        wish = Wish(path=file, columns=size[0], rows=size[1], way=self.way, cell=self.cell, background=background, data=data)
        if wish in self._kept:
            self._kept.move_to_end(wish)
            return self._kept[wish]
        waiting = self._loading.setdefault(wish, [])
        waiting.append(changed)
        if len(waiting) == 1:
            task = asyncio.get_running_loop().create_task(self._load(wish))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return None

    def sixel(self, number: int) -> str:
        """The control data of a picture that is kept; empty for any other."""
        return next((shown.loaded.sixel for shown in self._kept.values() if shown.number == number), "")

    def take_back(self) -> None:
        """The terminal forgets what it was sent."""
        for shown in self._kept.values():
            self._take_back(shown)

    def send_again(self) -> None:
        """The terminal is ours again."""
        for shown in self._kept.values():
            self._send(shown)

    async def aclose(self) -> None:
        """Nothing more is loaded."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _load(self, wish: Wish) -> None:
        loaded = await asyncio.get_running_loop().run_in_executor(self._thread, _load, wish)
        number = next(self._numbers)
        shown = self._kept[wish] = Shown(number=number, loaded=loaded, rows=_cells(loaded, number))
        self._send(shown)
        while len(self._kept) > KEPT:
            self._take_back(self._kept.popitem(last=False)[1])
        for changed in self._loading.pop(wish):
            changed()

    def _send(self, shown: Shown) -> None:
        if (png := shown.loaded.png) and not shown.sent:
            from ml_intern.frontends.tui.pictures.kitty import transmission

            size = shown.loaded.columns, shown.loaded.rows
            shown.sent = self.write(transmission(shown.number, png, *size, multiplexed=self.multiplexed))

    def _take_back(self, shown: Shown) -> None:
        if shown.sent:
            from ml_intern.frontends.tui.pictures.kitty import deletion

            shown.sent = not self.write(deletion(shown.number, multiplexed=self.multiplexed))


def _load(wish: Wish) -> Loaded:
    from ml_intern.frontends.tui.pictures.file import load  # Pillow: in the thread

    return load(wish)


def _first_number() -> int:
    """Numbers are colours, of 24 bits; another program in the same window should have others."""
    return (1 + os.getpid() % 0xFFFE) << 8


def _cells(loaded: Loaded, number: int) -> Rows:
    if loaded.png:
        from ml_intern.frontends.tui.pictures.kitty import placeholders

        style = Style(color=Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255))
        return [Strip([Segment(placeholders(row, loaded.columns), style)]) for row in range(loaded.rows)]
    halves = zip(loaded.pixels[::2], loaded.pixels[1::2], strict=True)
    places = (Style(meta={PLACE: (number, row, loaded.rows, loaded.columns)}) if loaded.sixel else None for row in range(loaded.rows))
    return [_half_blocks(upper, lower, place) for (upper, lower), place in zip(halves, places, strict=True)]


def _half_blocks(upper: Sequence[Colour], lower: Sequence[Colour], place: Style | None) -> Strip:
    """Two rows of pixels in one of cells."""
    styles = (Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom)) for top, bottom in zip(upper, lower, strict=True))
    return Strip([Segment("▀", style + place if place else style) for style in styles])
