"""``/jobs``: the live table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.frontends.tui.screens.jobs import JobsScreen

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp


async def show_jobs(app: TuiApp, _: str) -> None:
    """``/jobs``"""
    desk = app.backend.jobs if app.backend is not None else None
    recall = app.recall
    await app.push_screen_wait(
        JobsScreen(lambda: [row._replace(aside_usd=recall.ledger.aside_of(job_id)) for job_id, row in recall.jobs.items()], desk)
    )
