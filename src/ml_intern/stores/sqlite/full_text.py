"""The full-text index: filled behind the appends, when the writer has nothing else to do, and caught up before a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.stores.base import SearchHit
from ml_intern.stores.search_text import SNIPPET_WORDS, one_line, terms
from ml_intern.stores.sqlite.schema import SEQ_BITS, SEQ_MASK, first_id

if TYPE_CHECKING:
    from sqlite3 import Connection

IDLE_S = 0.2
"""Indexing costs several times what an append costs, so it waits until the session waits for somebody else."""
BATCH_EVENTS = 200
"""Events indexed in one transaction: other processes wait for it."""


class Indexer:
    """A chore of the writer. ``wanted`` is set by an append, in the same thread."""

    def __init__(self) -> None:
        self.wanted = False

    def due_in_s(self) -> float | None:
        return IDLE_S if self.wanted else None

    def do(self, connection: Connection) -> None:
        self.wanted = index_some(connection)


def index_some(connection: Connection) -> bool:
    """Index a batch. Returns whether there may be more to do."""
    behind = "SELECT key, indexed_seq, last_seq FROM sessions WHERE indexed_seq < last_seq LIMIT 1"
    row = connection.execute(behind).fetchone()
    if row is None:
        return False
    key, indexed_seq, last_seq = row
    until = min(last_seq, indexed_seq + BATCH_EVENTS)
    connection.execute(
        "INSERT INTO search (rowid, text) SELECT id, text FROM event_text WHERE id > ? AND id <= ? AND text <> ''",
        (first_id(key) + indexed_seq, first_id(key) + until),
    )
    connection.execute("UPDATE sessions SET indexed_seq = ? WHERE key = ?", (until, key))
    return True


def forget(connection: Connection, session_key: int) -> None:
    """Take a session out of the index. The view must still give the very text that was indexed, so the events go later."""
    connection.execute(
        """INSERT INTO search (search, rowid, text) SELECT 'delete', e.id, e.text FROM event_text e
           WHERE e.id > :first AND e.id <= :first + (SELECT indexed_seq FROM sessions WHERE key = :key) AND e.text <> ''""",
        {"first": first_id(session_key), "key": session_key},
    )


def is_behind(connection: Connection) -> bool:
    return connection.execute("SELECT 1 FROM sessions WHERE indexed_seq < last_seq LIMIT 1").fetchone() is not None


def find_hits(connection: Connection, text: str, limit: int) -> list[SearchHit]:
    """The best hit of each session, the best session first."""
    query = " ".join(f'"{term.text}"{" *" if term.is_prefix else ""}' for term in terms(text))
    if not query:
        return []
    best: dict[int, int] = {}
    for (rowid,) in connection.execute("SELECT rowid FROM search WHERE search MATCH ? ORDER BY rank, rowid DESC", (query,)):
        best.setdefault(rowid >> SEQ_BITS, rowid)
        if len(best) >= limit:
            break
    return [_hit(connection, query, rowid) for rowid in best.values()]


def _hit(connection: Connection, query: str, rowid: int) -> SearchHit:
    (snippet,) = connection.execute(
        f"SELECT snippet(search, 0, '', '', '…', {SNIPPET_WORDS}) FROM search WHERE search MATCH ? AND rowid = ?", (query, rowid)
    ).fetchone()
    (session_id,) = connection.execute("SELECT id FROM sessions WHERE key = ?", (rowid >> SEQ_BITS,)).fetchone()
    return SearchHit(session_id, rowid & SEQ_MASK, one_line(snippet))
