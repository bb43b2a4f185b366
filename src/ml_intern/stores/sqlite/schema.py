"""The tables. A log entry is one row whose integer key holds session and seq, so that a log lies together in the file.

``events.id`` and ``search.rowid`` are ``session key << 32 | seq``. The full-text index keeps no text of its own: it reads the
events through the view ``event_text``, and ``sessions.indexed_seq`` says how far it has got.
"""

from __future__ import annotations

from ml_intern.stores.search_text import MAX_TEXT_CHARS, TEXT_FIELDS

APPLICATION_ID = 0x4D4C494E
"""``MLIN``; see https://www.sqlite.org/pragma.html#pragma_application_id."""
SCHEMA_VERSION = 1

SEQ_BITS = 32
SEQ_MASK = (1 << SEQ_BITS) - 1

_CASES = " ".join(f"WHEN '{name}' THEN '$.{field}'" for name, field in TEXT_FIELDS.items())
_NAMES = ", ".join(f"'{name}'" for name in TEXT_FIELDS)

CREATE = (
    """CREATE TABLE sessions (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        cwd TEXT NOT NULL,
        model TEXT NOT NULL,
        title TEXT NOT NULL,
        preview TEXT NOT NULL,
        turn_count INTEGER NOT NULL,
        event_count INTEGER NOT NULL DEFAULT 0,
        size_bytes INTEGER NOT NULL DEFAULT 0,
        cost_usd REAL NOT NULL,
        unpriced_calls INTEGER NOT NULL DEFAULT 0,
        parent_id TEXT NOT NULL,
        last_seq INTEGER NOT NULL DEFAULT 0,
        indexed_seq INTEGER NOT NULL DEFAULT 0,
        reserved_usd REAL NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX sessions_by_age ON sessions (updated_at DESC, key DESC)",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        type TEXT NOT NULL,
        version INTEGER NOT NULL,
        data BLOB NOT NULL
    )""",
    """CREATE TABLE leases (
        session INTEGER PRIMARY KEY,
        instance TEXT NOT NULL,
        owner BLOB NOT NULL,
        since INTEGER NOT NULL,
        beat_at INTEGER NOT NULL
    )""",
    f"""CREATE VIEW event_text (id, text) AS
        SELECT id, substr(json_extract(CAST(data AS TEXT), CASE type {_CASES} END), 1, {MAX_TEXT_CHARS})
        FROM events WHERE type IN ({_NAMES}) AND json_valid(CAST(data AS TEXT))""",
    """CREATE VIRTUAL TABLE search USING fts5 (
        text, content = 'event_text', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
    )""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

ADDED_COLUMNS = {"reserved_usd": "ALTER TABLE sessions ADD COLUMN reserved_usd REAL NOT NULL DEFAULT 0"}
"""Of ``sessions``: what a store that was made before them lacks. An ml-intern from then goes on with the others, so the version stays.
It writes nothing into these, though: of a session that it had last, ``reserved_usd`` is out of date until we store an event that is
listed. Only the list of sessions shows it; budgets are counted from the log."""


def first_id(session_key: int) -> int:
    """One below the row id of the session's first event."""
    return session_key << SEQ_BITS


def last_id(session_key: int) -> int:
    """The highest row id that the session could have."""
    return session_key << SEQ_BITS | SEQ_MASK
