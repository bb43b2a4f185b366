"""Which sessions are open, and where: what the store knows (somebody holds the lease) and what the owner itself says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ml_intern.session.control import Welcome
    from ml_intern.stores.base import SessionRecord


async def open_elsewhere(folder: Path) -> dict[str, Welcome]:
    """By session id: those whose owner answers in ``folder`` (``session/control.py``), and can therefore be joined."""
    from ml_intern.session.remote_wire import open_sessions

    return {one.session: one for one in await open_sessions(folder)}


def open_words(record: SessionRecord, live: Welcome | None) -> str:
    """In a few words: ``app 4242``, ``headless 4242, running``; ``in use`` where only the store knows; empty where nobody has it."""
    if live is None:
        return "in use" if record.owner else ""
    return f"{live.kind or 'process'} {live.pid}{', running' if live.busy else ''}"
