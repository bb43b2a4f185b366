"""Give a session that nobody works on a title. The title is an event like all others: the record beside the log follows it."""

from __future__ import annotations

from datetime import UTC, datetime

from ml_intern.protocol.codec import SCHEMA_VERSION, encode_data
from ml_intern.protocol.events import SessionUpdate
from ml_intern.session.scrub import Scrubber
from ml_intern.stores.base import EventStore, SessionPatch, StoredEvent


async def retitle(store: EventStore, session_id: str, title: str) -> None:
    """Raises ``SessionBusy`` when a live process owns the session: there, the title is its own to change."""
    title = Scrubber().scrub(title)
    await store.acquire(session_id)
    try:
        event = SessionUpdate(session_id=session_id, auto_approval={}, title=title)
        seq = await store.last_seq(session_id) + 1
        row = StoredEvent(seq, datetime.now(UTC), event.wire, encode_data(event), SCHEMA_VERSION)
        await store.append(session_id, [row], SessionPatch(title=title))
    finally:
        await store.release(session_id)
