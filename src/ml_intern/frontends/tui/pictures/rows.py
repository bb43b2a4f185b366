"""Rows with pictures in them: a widget's part that knows how the terminal shows those, and paints what Textual cannot."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ml_intern.frontends.tui.pictures.gallery import Gallery

if TYPE_CHECKING:
    from ml_intern.frontends.tui.pictures.overlay import SixelOverlay, Standing
    from ml_intern.frontends.tui.terminal.abilities import Abilities, Way


class PictureRows(ScrollView):
    """A widget that draws rows, pictures among them."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pictures = Gallery()
        self._overlay: SixelOverlay | None = None

    @abstractmethod
    def _shown_rows(self) -> Sequence[Strip]:
        """Those of the viewport."""

    @abstractmethod
    def _restyle(self) -> None:
        """Draw everything anew."""

    def show_pictures(self, way: Way, abilities: Abilities) -> None:
        """Show pictures this way, those that are drawn already too."""
        if self.pictures.use(way, abilities):
            if way == "sixel" and self._overlay is None:
                from ml_intern.frontends.tui.pictures.overlay import SixelOverlay

                self._overlay = SixelOverlay(self.pictures.sixel, self.pictures.write)
            self._restyle()

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        if self._overlay is not None:
            self._overlay.moved()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def after_display(self) -> None:
        """What stands on the terminal is what Textual drew: what it cannot is painted now, or once the view is calm."""
        if self._overlay is not None and self.pictures.way == "sixel":
            self._overlay.displayed(self._standing)

    def _standing(self) -> Standing:
        from ml_intern.frontends.tui.pictures.overlay import standing_in

        return standing_in(self._shown_rows(), self.region.offset, self._covered) if self.screen.is_current else ()

    def _covered(self, region: Region) -> bool:
        """Whether something stands there before this widget."""
        around = set(self.ancestors_with_self)
        return any(each.display and each not in around and each.region.overlaps(region) for each in self.screen.query("*"))

    async def close_pictures(self) -> None:
        """Nothing more is loaded or painted."""
        await self.pictures.aclose()
        if self._overlay is not None:
            self._overlay.close()
