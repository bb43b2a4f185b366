"""A full-text index of documentation on disk: sets of pages, pages in sections, found by SQLite's FTS5.

It holds what can be fetched again, so a damaged or outdated file is thrown away and begun anew. One thread writes and one
reads, each with a connection of its own (WAL): a search does not wait for a set that is being indexed.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ml_intern.config.paths import make_private
from ml_intern.errors import ToolError
from ml_intern.gateways import doc_index_rows as rows
from ml_intern.gateways.doc_index_rows import Entry, Found, Hit, KnownPage, NewPage, SetState, StoredPage

T = TypeVar("T")

SCHEMA_VERSION = 1
MAX_BYTES = 300 * 1024 * 1024
"""Page text of all sets together; beyond it, the sets that nobody asked for longest are dropped."""
_TOUCH_AFTER_S = 3600.0
_NOT_A_DATABASE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
CREATE TABLE sets(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, etag TEXT NOT NULL DEFAULT '', checked_at REAL NOT NULL DEFAULT 0,
    complete INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '', used_at REAL NOT NULL DEFAULT 0);
CREATE TABLE pages(id INTEGER PRIMARY KEY, set_id INTEGER NOT NULL, path TEXT NOT NULL, title TEXT NOT NULL, position INTEGER NOT NULL,
    etag TEXT NOT NULL, digest TEXT NOT NULL, fetched_at REAL NOT NULL, size INTEGER NOT NULL, UNIQUE(set_id, path));
CREATE INDEX pages_by_path ON pages(path);
CREATE TABLE sections(id INTEGER PRIMARY KEY, page_id INTEGER NOT NULL, title TEXT NOT NULL, heading TEXT NOT NULL,
    body TEXT NOT NULL, anchor TEXT NOT NULL, level INTEGER NOT NULL);
CREATE INDEX sections_by_page ON sections(page_id);
"""


class DocIndex:
    """Opened by its first use. ``now`` is seconds since the epoch."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._now = now
        self._max_bytes = max_bytes
        self._opening = threading.Lock()
        self._writer = _Worker("docs-write", self._open)
        self._reader = _Worker("docs-read", self._open)

    async def states(self, names: Sequence[str]) -> dict[str, SetState]:
        """Of those sets that are there."""
        return await self._reader.run(lambda db: rows.states(db, names))

    async def known(self, name: str) -> dict[str, KnownPage]:
        """The pages of a set, by path."""
        return await self._reader.run(lambda db: rows.known(db, name))

    async def put(self, name: str, pages: Sequence[NewPage]) -> int:
        """Add or replace pages; what did not change costs next to nothing. Returns how many changed."""
        return await self._writer.run(lambda db: rows.put(db, name, pages, self._now()))

    async def finish(self, name: str, order: Sequence[str], *, etag: str = "", complete: bool = True, note: str = "") -> None:
        """Say what the set consists of now: paths that are not in ``order`` go."""

        def work(db: sqlite3.Connection) -> None:
            rows.finish(db, name, order, (etag, self._now(), complete, note))
            rows.evict(db, name, self._max_bytes)

        await self._writer.run(work)

    async def checked(self, name: str) -> None:
        """It is as it was."""
        now = self._now()
        await self._writer.run(lambda db: rows.checked(db, name, now))

    async def contents(self, names: Sequence[str], offset: int, count: int) -> tuple[list[Entry], int]:
        """Some lines of the table of contents of sets, and how many there are."""
        await self._touch(names)
        return await self._reader.run(lambda db: rows.contents(db, names, offset, count))

    async def search(self, names: Sequence[str], query: str, offset: int, count: int) -> Found:
        """The pages that say it best; those with every word of the query before all others."""
        await self._touch(names)
        return await self._reader.run(lambda db: rows.search(db, names, query, offset, count))

    async def page(self, path: str) -> StoredPage | None:
        """A page by its path."""
        return await self._reader.run(lambda db: rows.page(db, path))

    async def aclose(self) -> None:
        """Close the file; it opens again when it is used."""
        await self._reader.aclose()
        await self._writer.aclose()

    async def _touch(self, names: Sequence[str]) -> None:
        now = self._now()
        if await self._reader.run(lambda db: rows.last_used(db, names)) < now - _TOUCH_AFTER_S:
            await self._writer.run(lambda db: rows.touch(db, names, now))

    def _open(self) -> sqlite3.Connection:
        with self._opening:
            try:
                return _opened(self._path)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NOT_A_DATABASE:
                    raise
            for end in ("", "-wal", "-shm"):
                Path(f"{self._path}{end}").unlink(missing_ok=True)
            return _opened(self._path)


class _Worker:
    """A thread with a connection of its own."""

    def __init__(self, name: str, opened: Callable[[], sqlite3.Connection]) -> None:
        self._name = name
        self._opened = opened
        self._pool: ThreadPoolExecutor | None = None
        self._db: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """In a transaction. Raises ``ToolError`` when the file cannot be used."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._db is None:
                self._db = self._opened()
            with self._db:
                return work(self._db)
        except (sqlite3.Error, OSError) as error:
            raise ToolError(
                f"The documentation index cannot be used: {error}.", hint="Check the cache folder; the file docs.sqlite may be deleted."
            ) from error

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.get_running_loop().run_in_executor(pool, self._close)
            pool.shutdown(wait=False)

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()


def _opened(path: Path) -> sqlite3.Connection:
    make_private(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    db = sqlite3.connect(path, timeout=15.0, check_same_thread=False)
    try:
        with suppress(sqlite3.OperationalError):
            # two that make the file in the same moment: SQLite refuses one of them at once, and the other's mode is the file's
            db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -16000")
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            _begin_anew(db)
        db.execute("COMMIT")
        db.execute("SELECT count(*) FROM sets, sections LIMIT 0").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _begin_anew(db: sqlite3.Connection) -> None:
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND (sql LIKE '%VIRTUAL%' OR name IN ('sections', 'pages', 'sets'))"
    for (name,) in db.execute(tables).fetchall():
        db.execute(f"DROP TABLE {name}")
    for statement in _SCHEMA.strip().split(";\n"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


__all__ = ["DocIndex", "Entry", "Found", "Hit", "KnownPage", "NewPage", "SetState", "StoredPage"]
