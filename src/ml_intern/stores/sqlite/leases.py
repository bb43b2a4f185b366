"""Leases in the file, and their renewal by the writer's thread. Everything here runs in that thread, inside a transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from ml_intern.stores.lease import HEARTBEAT_S, Lease, Owner, busy, is_alive
from ml_intern.stores.sqlite.times import from_us, to_us

if TYPE_CHECKING:
    from sqlite3 import Connection

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Owner).decode


class Leases:
    """The leases that this store holds. Also a chore of the writer: it renews them."""

    def __init__(self, clock: Callable[[], datetime], owner: Owner) -> None:
        self.owner = owner
        self._clock = clock
        self._held: set[int] = set()
        self._renewed_at = 0.0

    @property
    def held(self) -> bool:
        """Whether any session is owned."""
        return bool(self._held)

    def acquire(self, connection: Connection, session_key: int, session_id: str) -> None:
        """Raises ``SessionBusy``."""
        lease = self.find(connection, session_key)
        if lease is not None and lease.owner != self.owner and self.is_alive(lease):
            raise busy(session_id, lease, self.owner)
        if lease is None or lease.owner != self.owner:
            now = to_us(self._clock())
            row = (session_key, self.owner.instance, _encode(self.owner), now, now)
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)", row)
        if not self._held:
            self._renewed_at = time.monotonic()
        self._held.add(session_key)

    def release(self, connection: Connection, session_key: int) -> None:
        self._held.discard(session_key)
        connection.execute("DELETE FROM leases WHERE session = ? AND instance = ?", (session_key, self.owner.instance))

    def release_all(self, connection: Connection) -> None:
        self._held.clear()
        connection.execute("DELETE FROM leases WHERE instance = ?", (self.owner.instance,))

    def find(self, connection: Connection, session_key: int) -> Lease | None:
        row = connection.execute("SELECT owner, since, beat_at FROM leases WHERE session = ?", (session_key,)).fetchone()
        return None if row is None else self.read(*row)

    def read(self, owner: bytes, since: int, beat_at: int) -> Lease:
        """A lease from its columns."""
        return Lease(_decode(owner), from_us(since), from_us(beat_at))

    def is_alive(self, lease: Lease) -> bool:
        return is_alive(lease, self.owner, self._clock())

    def due_in_s(self) -> float | None:
        if not self._held:
            return None
        return max(0.0, self._renewed_at + HEARTBEAT_S - time.monotonic())

    def do(self, connection: Connection) -> None:
        """Renew."""
        self._renewed_at = time.monotonic()
        connection.execute("UPDATE leases SET beat_at = ? WHERE instance = ?", (to_us(self._clock()), self.owner.instance))
