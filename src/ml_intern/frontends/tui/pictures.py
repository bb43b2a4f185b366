"""Pictures of the workspace as coloured pixels: read and decoded in a thread, kept while they are likely to be drawn again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from ml_intern.frontends.tui.png import Colour, NotDrawable, Png

MAX_BYTES = 16_000_000
KEPT = 24
MAX_COLUMNS = 72
Pixels: TypeAlias = Sequence[Sequence[Colour]]
_Key: TypeAlias = tuple[str, int, int, Colour]


class Pictures:
    """``folder`` is where relative paths begin. What cannot be drawn (no PNG, too big, not on this machine) has no pixels."""

    def __init__(self) -> None:
        self.folder = Path("/")
        self._kept: OrderedDict[_Key, Pixels] = OrderedDict()
        self._loading: dict[_Key, list[Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")

    def pixels(self, path: str, columns: int, rows: int, background: Colour, changed: Callable[[], None]) -> Pixels:
        """What there is of it now, at most ``columns`` × 2 ``rows``; empty at first, and ``changed`` is called when it is there."""
        key = (str(self.folder / path), min(columns, MAX_COLUMNS), rows, background)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        waiting = self._loading.setdefault(key, [])
        waiting.append(changed)
        if len(waiting) == 1:
            task = asyncio.get_running_loop().create_task(self._load(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return ()

    async def _load(self, key: _Key) -> None:
        pixels = await asyncio.get_running_loop().run_in_executor(self._thread, _decode, *key)
        self._kept[key] = pixels
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        for changed in self._loading.pop(key):
            changed()

    async def aclose(self) -> None:
        """Nothing more is loaded."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._thread.shutdown(wait=False, cancel_futures=True)


def _decode(path: str, columns: int, rows: int, background: Colour) -> Pixels:
    """Pixels are square: two of them stand in one cell, one above the other."""
    with suppress(OSError, NotDrawable):
        file = Path(path)
        if file.stat().st_size <= MAX_BYTES:
            picture = Png(file.read_bytes())
            scale = min(columns / picture.width, 2 * rows / picture.height, 1.0)
            height = max(round(picture.height * scale / 2), 1) * 2
            return picture.scaled(max(round(picture.width * scale), 1), height, background)
    return ()
