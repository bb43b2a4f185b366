"""Sixels over their half-blocks. Textual knows cells only: a sixel is painted behind its back, over rows that it has just drawn.

Only a picture that stands in view whole is painted; one that is cut off, or covered by something, shows its half-blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from textual.geometry import Offset, Region
from textual.strip import Strip

from ml_intern.frontends.tui.pictures.gallery import PLACE

Standing: TypeAlias = tuple[tuple[int, Region], ...]
"""The numbers of pictures, and where on the screen each stands, whole and with nothing before it."""
CALM_S = 0.3
"""What is drawn again sooner is moving: text that streams, or a view that is scrolled."""


class SixelOverlay:
    """``moved`` when the view draws its rows anew, ``displayed`` when the app has drawn something, there or elsewhere. ``sixel`` has a
    picture's control data, and ``write`` sends it."""

    def __init__(self, sixel: Callable[[int], str], write: Callable[[str], object]) -> None:
        self._sixel = sixel
        self._write = write
        self._standing: Standing = ()
        self._moved = False
        self._displayed_at = float("-inf")
        self._calm: asyncio.TimerHandle | None = None

    def moved(self) -> None:
        """All that stands in the view is cells again."""
        self._moved = True

    def displayed(self, look: Callable[[], Standing]) -> None:
        """Paint what ``look`` finds, if that or the view has changed: at once where it stood still, else when it does. A sixel takes much
        longer to send than its cells do. A clock that ticks elsewhere changes nothing."""
        standing = look()
        if standing == self._standing and not self._moved:
            return
        self._standing, self._moved = standing, False
        loop = asyncio.get_running_loop()
        still, self._displayed_at = loop.time() - self._displayed_at >= CALM_S, loop.time()
        self.close()
        if still:
            self.paint(standing)
        else:
            self._calm = loop.call_later(CALM_S, lambda: self.paint(look()))

    def close(self) -> None:
        """Nothing is painted later."""
        if self._calm is not None:
            self._calm.cancel()
            self._calm = None

    def paint(self, standing: Standing) -> None:
        """Those whose control data is there."""
        for number, place in standing:
            if data := self._sixel(number):
                self._write(f"\x1b7\x1b[{place.y + 1};{place.x + 1}H{data}\x1b8")


def standing_in(rows: Sequence[Strip], at: Offset, covered: Callable[[Region], bool]) -> Standing:
    """What can be painted over ``rows``, those of a view that begins at ``at`` of the screen."""
    places = ((number, region.translate(at)) for number, region in _whole(rows))
    return tuple((number, place) for number, place in places if not covered(place))


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
