"""``EventStore`` over one SQLite file. See ``threads`` for who does the work, ``schema`` for the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.stores.base import SearchHit, SessionPatch, SessionRecord, StoredEvent
from ml_intern.stores.lease import Owner, current_owner
from ml_intern.stores.spill import remove_spill
from ml_intern.stores.sqlite import full_text, rows
from ml_intern.stores.sqlite.full_text import Indexer
from ml_intern.stores.sqlite.leases import Leases
from ml_intern.stores.sqlite.threads import Reader, Writer
from ml_intern.stores.sqlite.times import utc_now

if TYPE_CHECKING:
    from sqlite3 import Connection

BUSY_TIMEOUT_S = 5.0
"""How long a write waits for another process's before ``StoreLocked``."""


class SqliteStore:
    """Logs in the file ``path``, made for the user alone when it is missing. Nothing is opened before the first call.

    An append that returned survives the death of this process; the last moments before a power failure may be lost
    (WAL with ``synchronous=NORMAL``). ``spill_dir``: where sessions keep long outputs, by default ``spill`` beside the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime] = utc_now,
        owner: Owner | None = None,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        spill_dir: Path | None = None,
    ) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._spill_dir = spill_dir or path.parent / "spill"
        self._leases = Leases(clock, owner or current_owner())
        self._indexer = Indexer()
        self._writer = Writer(path, self._connect, (self._leases, self._indexer))
        self._reader = Reader(path, self._connect_reader)

    def _connect(self) -> Connection:
        from ml_intern.stores.sqlite.connection import open_database

        return open_database(self.path, self._busy_timeout_s)

    def _connect_reader(self) -> Connection:
        from ml_intern.stores.sqlite.connection import open_for_reading

        return open_for_reading(self.path, self._busy_timeout_s)

    def start(self) -> None:
        """Open the file in the background, so that the first append need not. What goes wrong, that append raises."""
        self._writer.start()

    async def create(self, record: SessionRecord) -> None:
        await self._writer.run(lambda connection: rows.insert_session(connection, record))

    async def append(self, session_id: str, events: Sequence[StoredEvent], patch: SessionPatch | None = None) -> None:
        await self._writer.run(lambda connection: self._append(connection, session_id, events, patch))

    def _append(self, connection: Connection, session_id: str, events: Sequence[StoredEvent], patch: SessionPatch | None) -> None:
        if rows.append(connection, self._leases, session_id, events, patch):
            self._indexer.wanted = True

    async def load(self, session_id: str, *, after_seq: int = 0, limit: int | None = None) -> list[StoredEvent]:
        return await self._reader.run(lambda connection: rows.load(connection, session_id, after_seq, limit))

    async def last_seq(self, session_id: str) -> int:
        return await self._reader.run(lambda connection: rows.last_seq(connection, session_id))

    async def record(self, session_id: str) -> SessionRecord:
        return await self._reader.run(lambda connection: rows.record(connection, self._leases, session_id))

    async def sessions(self, *, limit: int | None = None) -> list[SessionRecord]:
        return await self._reader.run(lambda connection: rows.records(connection, self._leases, limit))

    async def find(self, name: str) -> SessionRecord:
        return await self._reader.run(lambda connection: rows.find(connection, self._leases, name))

    async def search(self, text: str, *, limit: int = 20) -> list[SearchHit]:
        if await self._reader.run(full_text.is_behind):
            while await self._writer.run(full_text.index_some):
                pass
        return await self._reader.run(lambda connection: full_text.find_hits(connection, text, limit))

    async def delete(self, session_id: str) -> None:
        await self._writer.run(lambda connection: rows.delete(connection, self._leases, session_id))
        await self._reader.run(lambda _: remove_spill(self._spill_dir, session_id))

    async def acquire(self, session_id: str) -> None:
        await self._writer.run(lambda connection: self._leases.acquire(connection, rows.key_of(connection, session_id), session_id))

    async def release(self, session_id: str) -> None:
        await self._writer.run(lambda connection: rows.release(connection, self._leases, session_id))

    async def events_named(self, names: Sequence[str]) -> list[tuple[str, StoredEvent]]:
        return await self._reader.run(lambda connection: rows.load_named(connection, names))

    async def check(self) -> None:
        """Read the whole file. Raises ``StoreCorrupt`` when it is damaged; for ``ml-intern doctor``."""
        from ml_intern.stores.sqlite.connection import check_health

        await self._reader.run(lambda connection: check_health(connection, self.path))

    async def aclose(self) -> None:
        try:
            if self._leases.held:
                await self._writer.run(self._leases.release_all)
        finally:
            await self._writer.aclose()
            await self._reader.aclose()
