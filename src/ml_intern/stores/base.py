"""The seam to whatever keeps the logs. A store knows bytes, numbers and leases; it knows nothing of what events mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class StoredEvent(Struct, frozen=True):
    """One row of a log: ``data`` is the event's JSON object, ``version`` the schema it was written with."""

    seq: int
    at: datetime
    type: str
    data: bytes
    version: int = 1


class SessionRecord(Struct, frozen=True, kw_only=True):
    """What a list of sessions shows, kept beside the log so that listing reads no log."""

    id: str
    created_at: datetime
    updated_at: datetime
    cwd: str
    model: str
    title: str = ""
    preview: str = ""
    turn_count: int = 0
    event_count: int = 0
    size_bytes: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0
    """Model calls whose price nobody knows: the cost is at least ``cost_usd``."""
    reserved_usd: float = 0.0
    """The most that what runs may still cost; not part of ``cost_usd``."""
    parent_id: str = ""
    owner: str = ""
    """A sentence about the live process that owns it, or empty."""


class SessionPatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Columns of a ``SessionRecord`` to change together with an append; None leaves a column as it is."""

    title: str | None = None
    preview: str | None = None
    model: str | None = None
    turn_count: int | None = None
    cost_usd: float | None = None
    unpriced_calls: int | None = None
    reserved_usd: float | None = None


class SearchHit(Struct, frozen=True):
    """A session that matches a search, with the words around the match."""

    session_id: str
    seq: int
    snippet: str


class EventStore(Protocol):
    """Append-only logs, one per session. All methods raise ``StoreError`` (see ``errors``)."""

    async def create(self, record: SessionRecord) -> None:
        """A new, empty log."""
        ...

    async def append(self, session_id: str, events: Sequence[StoredEvent], patch: SessionPatch | None = None) -> None:
        """Durable when it returns. Raises ``SessionBusy`` when this process does not hold the lease, or a seq is taken."""
        ...

    async def load(self, session_id: str, *, after_seq: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Events in order of seq. Raises ``SessionNotFound``."""
        ...

    async def last_seq(self, session_id: str) -> int:
        """The highest seq, 0 for an empty log. Cheap enough to poll. Raises ``SessionNotFound``."""
        ...

    async def record(self, session_id: str) -> SessionRecord:
        """Raises ``SessionNotFound``."""
        ...

    async def sessions(self, *, limit: int | None = None) -> list[SessionRecord]:
        """The newest first."""
        ...

    async def find(self, name: str) -> SessionRecord:
        """By id, unique prefix, 1-based index into ``sessions()``, or ``last``. Raises ``SessionNotFound``."""
        ...

    async def search(self, text: str, *, limit: int = 20) -> list[SearchHit]:
        """Full-text search over what users and models said and tools answered."""
        ...

    async def delete(self, session_id: str) -> None:
        """Raises ``SessionBusy`` when a live process owns it."""
        ...

    async def acquire(self, session_id: str) -> None:
        """Own the session. The lease of a dead process is taken over. Raises ``SessionBusy`` naming the owner."""
        ...

    async def release(self, session_id: str) -> None:
        """Give the lease back; releasing what is not held does nothing."""
        ...

    async def events_named(self, names: Sequence[str]) -> list[tuple[str, StoredEvent]]:
        """The events of these types, of every session, with its id: for what must be found whichever session left it."""
        ...

    async def aclose(self) -> None:
        """Flush and close."""
        ...
