"""The SQL of the store: functions over a connection. The reading ones run outside a transaction, the others inside one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ml_intern.errors import SessionNotFound, StoreError
from ml_intern.stores.base import SessionPatch, SessionRecord, StoredEvent
from ml_intern.stores.lease import busy, not_owned, seq_taken
from ml_intern.stores.names import ambiguous, matching_ids, not_found
from ml_intern.stores.search_text import TEXT_FIELDS
from ml_intern.stores.sqlite import full_text
from ml_intern.stores.sqlite.leases import Leases
from ml_intern.stores.sqlite.schema import SEQ_BITS, SEQ_MASK, first_id, last_id
from ml_intern.stores.sqlite.times import from_us, to_us

if TYPE_CHECKING:
    from sqlite3 import Connection

_RECORD = """SELECT s.id, s.created_at, s.updated_at, s.cwd, s.model, s.title, s.preview, s.turn_count, s.event_count,
    s.size_bytes, s.cost_usd, s.unpriced_calls, s.reserved_usd, s.parent_id, l.owner, l.since, l.beat_at
    FROM sessions s LEFT JOIN leases l ON l.session = s.key"""
MAX_PAGES_FREED = 50_000
"""At one time (200 MB): other processes wait. The rest stays in the file and is used again."""
_NEWEST_FIRST = "ORDER BY updated_at DESC, key DESC"
_APPENDED = """UPDATE sessions SET last_seq = ?, event_count = event_count + ?, size_bytes = size_bytes + ?,
    updated_at = max(updated_at, ?) WHERE key = ?"""
_PATCHED = """UPDATE sessions SET title = coalesce(?, title), preview = coalesce(?, preview), model = coalesce(?, model),
    turn_count = coalesce(?, turn_count), cost_usd = coalesce(?, cost_usd),
    unpriced_calls = coalesce(?, unpriced_calls), reserved_usd = coalesce(?, reserved_usd) WHERE key = ?"""


def insert_session(connection: Connection, record: SessionRecord) -> None:
    """Raises ``StoreError`` when the id is taken."""
    if connection.execute("SELECT 1 FROM sessions WHERE id = ?", (record.id,)).fetchone():
        raise StoreError(f"There already is a session {record.id}.")
    connection.execute(
        """INSERT INTO sessions (id, created_at, updated_at, cwd, model, title, preview, turn_count, cost_usd, unpriced_calls, reserved_usd,
           parent_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            record.id,
            to_us(record.created_at),
            to_us(record.updated_at),
            record.cwd,
            record.model,
            record.title,
            record.preview,
            record.turn_count,
            record.cost_usd,
            record.unpriced_calls,
            record.reserved_usd,
            record.parent_id,
        ),
    )


def key_of(connection: Connection, session_id: str) -> int:
    """Raises ``SessionNotFound``."""
    row = connection.execute("SELECT key FROM sessions WHERE id = ?", (session_id,)).fetchone()
    if row is None:
        raise not_found(session_id)
    return row[0]


def append(connection: Connection, leases: Leases, session_id: str, events: Sequence[StoredEvent], patch: SessionPatch | None) -> bool:
    """Returns whether there is something to index. Raises ``SessionBusy``, ``SessionNotFound``."""
    row = connection.execute(
        "SELECT key, last_seq, instance FROM sessions LEFT JOIN leases ON session = key WHERE id = ?", (session_id,)
    ).fetchone()
    if row is None:
        raise not_found(session_id)
    key, last_seq, instance = row
    if instance != leases.owner.instance:
        lease = leases.find(connection, key)
        raise not_owned(session_id) if lease is None else busy(session_id, lease, leases.owner)
    if events:
        _insert_events(connection, key, session_id, last_seq, events)
    if patch is not None:
        columns = (patch.title, patch.preview, patch.model, patch.turn_count, patch.cost_usd, patch.unpriced_calls, patch.reserved_usd)
        connection.execute(_PATCHED, (*columns, key))
    return any(event.type in TEXT_FIELDS for event in events)


def _insert_events(connection: Connection, key: int, session_id: str, last_seq: int, events: Sequence[StoredEvent]) -> None:
    first, top = first_id(key), last_seq
    rows: list[tuple[int, int, str, int, bytes]] = []
    for event in events:
        if not top < event.seq <= SEQ_MASK:
            raise seq_taken(session_id, event.seq, top)
        top = event.seq
        rows.append((first + top, to_us(event.at), event.type, event.version, event.data))
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
    size_bytes = sum(len(event.data) for event in events)
    connection.execute(_APPENDED, (top, len(rows), size_bytes, rows[-1][1], key))


def load(connection: Connection, session_id: str, after_seq: int, limit: int | None) -> list[StoredEvent]:
    key = key_of(connection, session_id)
    found = connection.execute(
        "SELECT id, at, type, data, version FROM events WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
        (first_id(key) + after_seq, last_id(key), -1 if limit is None else limit),
    )
    return [StoredEvent(row_id & SEQ_MASK, from_us(at), name, data, version) for row_id, at, name, data, version in found]


def load_named(connection: Connection, names: Sequence[str]) -> list[tuple[str, StoredEvent]]:
    """Events of these types over all sessions, with the session's id."""
    found = connection.execute(
        f"""SELECT e.id, s.id, e.at, e.type, e.data, e.version FROM events e JOIN sessions s ON s.key = e.id >> {SEQ_BITS}
            WHERE e.type IN ({", ".join("?" * len(names))}) ORDER BY e.id""",
        tuple(names),
    )
    return [
        (session_id, StoredEvent(row_id & SEQ_MASK, from_us(at), name, data, version))
        for row_id, session_id, at, name, data, version in found
    ]


def last_seq(connection: Connection, session_id: str) -> int:
    row = connection.execute("SELECT last_seq FROM sessions WHERE id = ?", (session_id,)).fetchone()
    if row is None:
        raise not_found(session_id)
    return row[0]


def record(connection: Connection, leases: Leases, session_id: str) -> SessionRecord:
    row = connection.execute(f"{_RECORD} WHERE id = ?", (session_id,)).fetchone()
    if row is None:
        raise not_found(session_id)
    return _record(row, leases)


def records(connection: Connection, leases: Leases, limit: int | None) -> list[SessionRecord]:
    found = connection.execute(f"{_RECORD} {_NEWEST_FIRST} LIMIT ?", (-1 if limit is None else limit,))
    return [_record(row, leases) for row in found]


def find(connection: Connection, leases: Leases, name: str) -> SessionRecord:
    ids = [row[0] for row in connection.execute(f"SELECT id FROM sessions {_NEWEST_FIRST}")]
    match matching_ids(name, ids):
        case []:
            raise not_found(name)
        case [only]:
            return record(connection, leases, only)
        case several:
            raise _ambiguous(connection, leases, name, several)


def _ambiguous(connection: Connection, leases: Leases, name: str, ids: list[str]) -> SessionNotFound:
    return ambiguous(name, [record(connection, leases, session_id) for session_id in ids])


def _record(row: tuple[Any, ...], leases: Leases) -> SessionRecord:
    lease = None if row[14] is None else leases.read(*row[14:17])
    return SessionRecord(
        id=row[0],
        created_at=from_us(row[1]),
        updated_at=from_us(row[2]),
        cwd=row[3],
        model=row[4],
        title=row[5],
        preview=row[6],
        turn_count=row[7],
        event_count=row[8],
        size_bytes=row[9],
        cost_usd=row[10],
        unpriced_calls=row[11],
        reserved_usd=row[12],
        parent_id=row[13],
        owner=lease.describe() if lease is not None and leases.is_alive(lease) else "",
    )


def release(connection: Connection, leases: Leases, session_id: str) -> None:
    row = connection.execute("SELECT key FROM sessions WHERE id = ?", (session_id,)).fetchone()
    if row is not None:
        leases.release(connection, row[0])


def delete(connection: Connection, leases: Leases, session_id: str) -> None:
    """Raises ``SessionBusy`` when somebody alive owns it, this process included."""
    key = key_of(connection, session_id)
    lease = leases.find(connection, key)
    if lease is not None and leases.is_alive(lease):
        raise busy(session_id, lease, leases.owner)
    full_text.forget(connection, key)
    connection.execute("DELETE FROM events WHERE id > ? AND id <= ?", (first_id(key), last_id(key)))
    connection.execute("DELETE FROM leases WHERE session = ?", (key,))
    connection.execute("DELETE FROM sessions WHERE key = ?", (key,))
    _shrink(connection)


def _shrink(connection: Connection) -> None:
    """Give free pages back to the disk. One statement frees one page: sqlite3 steps a statement without columns once."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, MAX_PAGES_FREED)):
        connection.execute("PRAGMA incremental_vacuum(1)")
