"""``/resume``: go on with another session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.frontends.commands.sessions import open_store
from ml_intern.frontends.tui.screens.sessions import SessionPicker
from ml_intern.protocol import operations as op

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp


async def resume(app: TuiApp, rest: str) -> None:
    """``/resume [id|index|last]``; a picker without one, which leaves everything as it is when it is closed.

    A session that another process has open is joined there.
    """
    picked = rest or await _picked(app)
    if picked:
        app.send(op.Resume(path=picked))


async def _picked(app: TuiApp) -> str | None:
    from ml_intern.session.control import FOLDER

    paths = app.loaded.paths
    store = open_store(paths.sessions_db, paths.spill_dir)
    try:
        return await app.push_screen_wait(SessionPicker(store, leave_out=app.status.figures.session_id, live=paths.state_dir / FOLDER))
    finally:
        await store.aclose()
