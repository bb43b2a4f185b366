"""``/cost``: what was spent and on what, and how far the cap will reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.frontends.spending.tables import cost_rows
from ml_intern.frontends.tui.screens.pager import Pager

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp


async def show_cost(app: TuiApp, _: str) -> None:
    """``/cost``"""
    await app.push_screen_wait(Pager("Cost", cost_rows(app.recall.ledger)))
