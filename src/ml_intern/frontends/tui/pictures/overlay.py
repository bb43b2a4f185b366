"""Sixels over their half-blocks. Textual knows cells only: a sixel is painted behind its back, over rows that it has just drawn.

Only a picture that stands in view whole is painted; one that is cut off, or covered by something, shows its half-blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from textual.geometry import Offset, Region
from textual.strip import Strip

from ml_intern.frontends.tui.pictures.gallery import PLACE

CALM_S = 0.3
"""What is drawn again sooner is moving: text that streams, or a view that is scrolled."""


class SixelOverlay:
    """``repainted`` as Textual draws rows of the view, ``paint`` when it has drawn them all. ``sixel`` has a picture's control data, and
    ``write`` sends it."""

    def __init__(self, sixel: Callable[[int], str], write: Callable[[str], object]) -> None:
        self._sixel = sixel
        self._write = write
        self._due: set[int] = set()
        self._displayed_at = float("-inf")
        self._calm: asyncio.TimerHandle | None = None

    def repainted(self, rows: range) -> None:
        """What stood in these rows of the view is cells again."""
        self._due.update(rows)

    def displayed(self, paint: Callable[[], None]) -> None:
        """Call ``paint`` for what is due: at once where the view stood still, else when it does. A sixel takes much longer to send than
        its cells do."""
        if not self._due:
            return
        loop = asyncio.get_running_loop()
        still, self._displayed_at = loop.time() - self._displayed_at >= CALM_S, loop.time()
        self.close()
        if still:
            paint()
        else:
            self._calm = loop.call_later(CALM_S, paint)

    def close(self) -> None:
        """Nothing is painted later."""
        if self._calm is not None:
            self._calm.cancel()
            self._calm = None

    def paint(self, rows: Sequence[Strip], at: Offset, covered: Callable[[Region], bool]) -> None:
        """``rows`` are those of the view, which begins at ``at`` of the screen."""
        if not self._due:
            return
        for number, region in _whole(rows):
            place = region.translate(at)
            if self._due.isdisjoint(range(region.y, region.bottom)) or covered(place) or not (data := self._sixel(number)):
                continue
            self._write(f"\x1b7\x1b[{place.y + 1};{place.x + 1}H{data}\x1b8")
        self._due.clear()


def _whole(rows: Sequence[Strip]) -> Iterator[tuple[int, Region]]:
    """The number of each picture all of whose rows are there, and where it stands."""
    for y, row in enumerate(rows):
        x = 0
        for segment in row:
            number, at, height, width = segment.style.meta.get(PLACE, _NOWHERE) if segment.style is not None else _NOWHERE
            if height and at == 0 and y + height <= len(rows):
                yield number, Region(x, y, width, height)
            if height:
                break
            x += segment.cell_length


_NOWHERE = (0, 0, 0, 0)
