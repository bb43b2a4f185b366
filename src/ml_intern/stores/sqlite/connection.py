"""Opens the file, checks that it is ours, and turns what SQLite raises into our errors. Imported by the store's threads alone."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from ml_intern.config.paths import make_private
from ml_intern.errors import MlInternError, StoreCorrupt, StoreError, StoreLocked
from ml_intern.stores.sqlite.schema import ADDED_COLUMNS, APPLICATION_ID, CREATE, SCHEMA_VERSION

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REFUSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
_PRIMARY_CODE = 0xFF
"""The upper bits of an error code only refine it: https://www.sqlite.org/rescode.html."""


def open_database(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection to the store in ``path``, which is made when it is missing or empty. Raises ``StoreError``."""
    try:
        _make_file(path)
        connection = sqlite3.connect(path.absolute().as_uri() + "?mode=rw", uri=True, isolation_level=None, timeout=busy_timeout_s)
    except OSError as error:
        raise StoreError(
            f"The session store {path} cannot be made: {error.strerror}.", hint="Free the path, or set XDG_DATA_HOME to a folder of yours."
        ) from error
    except sqlite3.Error as error:
        raise as_store_error(error, path) from error
    try:
        make_or_check(connection, path)
    except (sqlite3.Error, StoreError) as error:
        connection.close()
        raise as_store_error(error, path) from error
    return connection


def open_for_reading(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """The same, for a connection that never writes."""
    connection = open_database(path, busy_timeout_s)
    connection.execute("PRAGMA query_only = ON")
    return connection


def as_store_error(error: BaseException, path: Path) -> BaseException:
    """Ours for theirs, by SQLite's result code. What is not SQLite's is returned as it is."""
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE  # absent when Python itself raised it
    if code in _LOCKED:
        return StoreLocked(
            f"The session store {path} is locked by another process.", hint="Try again; if it stays so, end the other process."
        )
    if code in _CORRUPT:
        return _corrupt(path, f"is damaged or is no SQLite file ({error})")
    if code == sqlite3.SQLITE_FULL:
        return StoreError(f"The disk is full: nothing more can be written to {path}.", hint="Free some space.")
    if code in _REFUSED:
        return StoreError(
            f"The session store {path} cannot be opened or written ({error}).", hint="Check who may write the file and its folder."
        )
    return StoreError(f"The session store {path} failed: {error}.", hint="Look at it with: ml-intern doctor")


def check_health(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole file. Raises ``StoreCorrupt`` with SQLite's first complaint."""
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise _corrupt(path, f"is damaged ({answer})")


def _make_file(path: Path) -> None:
    """An empty file that only the user can read. SQLite gives its companions (-wal, -shm) the same mode."""
    make_private(path.parent)
    # one that exists is never opened here: closing a second descriptor would drop the locks that SQLite holds in this process
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def make_or_check(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables where there is nothing, and refuse what is not ours. Raises ``StoreError`` and ``sqlite3.Error``."""
    empty = _is_empty(connection)  # looked at first: another process may be making it, and its tables come with their stamp
    application_id, version = _stamp(connection)
    if empty and (application_id, version) == (0, 0):
        _create(connection)
        application_id, version = _stamp(connection)
    if application_id != APPLICATION_ID:
        raise _corrupt(path, "belongs to another program")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"The session store {path} was written by a newer ml-intern (format {version}, this one reads {SCHEMA_VERSION}).",
            hint="Upgrade ml-intern.",
        )
    connection.execute("SELECT last_seq, indexed_seq FROM sessions LIMIT 1").fetchone()
    if _lacking(connection):
        _add_columns(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 16000000")


def _stamp(connection: sqlite3.Connection) -> tuple[int, int]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()  # the last, for it says whose the file is
    return application_id, version


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _lacking(connection: sqlite3.Connection) -> list[str]:
    """The statements that add what this store was made without."""
    there = {row[1] for row in connection.execute("PRAGMA table_info(sessions)")}
    return [statement for name, statement in ADDED_COLUMNS.items() if name not in there]


def _add_columns(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _lacking(connection):  # another process may have done so by the time we hold the lock
            connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process has done so by the time we hold the lock."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & _PRIMARY_CODE not in _LOCKED:
            raise
        # another process is making the same file this very moment; the mode is a property of the file, so that one sets it
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection):
            for statement in CREATE:
                connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _corrupt(path: Path, what: str) -> MlInternError:
    return StoreCorrupt(
        f"The session store {path} {what}. Nothing was written to it.",
        hint=f"To start afresh and keep it: mv '{path}' '{path}.broken'. To see what is wrong: ml-intern doctor",
    )
