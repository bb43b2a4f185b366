"""The file itself: who may read it, what is refused, and that nothing which is not ours is ever written to."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from ml_intern.errors import SessionBusy, StoreCorrupt, StoreError, StoreLocked
from ml_intern.stores.base import SessionPatch, SessionRecord, StoredEvent
from ml_intern.stores.lease import EXPIRY, Owner
from ml_intern.stores.sqlite import SqliteStore
from ml_intern.stores.sqlite.connection import make_or_check, open_database
from ml_intern.stores.sqlite.full_text import Indexer, is_behind
from ml_intern.stores.sqlite.leases import Leases

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_record(session_id: str = "s") -> SessionRecord:
    return SessionRecord(id=session_id, created_at=NOW, updated_at=NOW, cwd="/", model="m")


def an_event(seq: int, text: str = "hello") -> StoredEvent:
    return StoredEvent(seq, NOW, "user_message", b'{"content":"%s"}' % text.encode())


async def filled(path: Path, count: int = 3, text: str = "hello") -> None:
    store = SqliteStore(path)
    await store.create(a_record())
    await store.acquire("s")
    await store.append("s", [an_event(seq, text) for seq in range(1, count + 1)])
    await store.aclose()


async def test_folder_and_files_are_the_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "ml-intern" / "sessions.db"
    store = SqliteStore(path)
    await store.create(a_record())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes.keys() >= {"sessions.db", "sessions.db-wal"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await store.aclose()


async def test_making_a_store_object_touches_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "new" / "sessions.db")
    await store.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path)
    store = SqliteStore(path)
    assert [event.seq for event in await store.load("s")] == [1, 2, 3]
    assert [hit.seq for hit in await store.search("hello")] != []
    await store.aclose()


async def test_an_early_start_opens_the_file_and_changes_nothing_else(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "sessions.db")
    store.start()
    store.start()
    await store.create(a_record())
    assert [record.id for record in await store.sessions()] == ["s"]
    await store.aclose()


@pytest.mark.parametrize("before", range(8))
def test_two_that_make_the_same_store_at_once_both_have_it(tmp_path: Path, before: int) -> None:
    """The other one is done just before this one's n-th statement, whichever that is."""
    path, statements = tmp_path / "sessions.db", count()
    path.touch()
    mine = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    mine.set_trace_callback(lambda _: open_database(path, 1.0).close() if next(statements) == before else None)
    make_or_check(mine, path)
    mine.set_trace_callback(None)
    assert next(statements) > before
    assert mine.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    mine.close()


def foreign_text(path: Path) -> None:
    path.write_text("These are my notes.\n" * 100)


def foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    connection.close()


def short_garbage(path: Path) -> None:
    path.write_bytes(b"\x00\x01")


def other_application(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 42")
        connection.execute("CREATE TABLE sessions (last_seq, indexed_seq)")
    connection.close()


@pytest.mark.parametrize("make", [foreign_text, foreign_database, short_garbage, other_application])
async def test_a_file_that_is_not_ours_is_refused_and_left_as_it_is(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "sessions.db"
    make(path)
    before = path.read_bytes()
    store = SqliteStore(path)
    for _ in range(2):  # the second call must not find a half-open store
        with pytest.raises(StoreCorrupt) as caught:
            await store.create(a_record())
        assert str(path) in str(caught.value)
        assert "mv" in caught.value.hint and "ml-intern doctor" in caught.value.hint
    with pytest.raises(StoreCorrupt):
        await store.sessions()
    await store.aclose()
    assert path.read_bytes() == before


async def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="newer ml-intern") as caught:
        await store.create(a_record("t"))
    assert not isinstance(caught.value, StoreCorrupt)
    assert caught.value.hint == "Upgrade ml-intern."
    await store.aclose()
    assert path.read_bytes() == before


async def test_a_store_that_was_made_before_a_column_is_given_it_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE sessions DROP COLUMN reserved_usd")
    connection.close()
    first, second = SqliteStore(path), SqliteStore(path)
    found = await asyncio.gather(first.sessions(), second.sessions())
    assert [[(record.id, record.event_count, record.reserved_usd) for record in each] for each in found] == [[("s", 3, 0.0)]] * 2
    await first.acquire("s")
    await first.append("s", [], SessionPatch(reserved_usd=0.5))
    assert (await second.record("s")).reserved_usd == 0.5
    await first.aclose()
    await second.aclose()


@pytest.mark.parametrize("keep", [0.25, 0.5])
async def test_a_truncated_store_is_reported_as_damaged(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "sessions.db"
    await filled(path, 2_000, "x" * 500)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) // 4096 * 4096])
    store = SqliteStore(path)
    with pytest.raises(StoreCorrupt, match="damaged"):
        await store.check()
    with pytest.raises(StoreCorrupt):
        await store.load("s")
    await store.aclose()


async def test_a_healthy_store_passes_its_check(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path)
    store = SqliteStore(path)
    await store.check()
    await store.aclose()


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    path.touch(0o600)
    await filled(path)


async def test_a_path_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = SqliteStore(tmp_path / "file" / "sessions.db")
    with pytest.raises(StoreError, match=r"file/sessions\.db") as caught:
        await store.create(a_record())
    assert caught.value.hint
    await store.aclose()


async def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "sessions.db").mkdir()
    store = SqliteStore(tmp_path / "sessions.db")
    with pytest.raises(StoreError, match=r"sessions\.db"):
        await store.create(a_record())
    await store.aclose()


async def test_a_lock_held_too_long_is_said_and_the_store_goes_on_once_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = SqliteStore(path, busy_timeout_s=0.05)
    with pytest.raises(StoreLocked, match="locked") as caught:
        await store.create(a_record("t"))
    assert str(path) in str(caught.value)
    assert len(await store.load("s")) == 3, "readers do not wait for a writer"
    other.execute("ROLLBACK")
    other.close()
    await store.create(a_record("t"))
    await store.aclose()


async def test_an_append_waits_for_a_lock_that_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store = SqliteStore(path)
    creating = asyncio.create_task(store.create(a_record("t")))
    assert [record.id for record in await store.sessions()] == ["s"]
    assert not creating.done()
    other.execute("COMMIT")
    other.close()
    await creating
    await store.aclose()


async def test_a_cancelled_append_leaves_the_store_whole(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "sessions.db")
    await store.create(a_record())
    await store.acquire("s")
    appending = asyncio.create_task(store.append("s", [an_event(1)]))
    await asyncio.sleep(0)
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    assert await store.last_seq("s") in (0, 1)
    await store.append("s", [an_event(2)])
    assert await store.last_seq("s") == 2
    await store.aclose()


async def test_deleting_gives_the_space_back(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path, 2_000, "x" * 1_000)
    full = path.stat().st_size
    store = SqliteStore(path)
    await store.delete("s")
    await store.aclose()
    assert path.stat().st_size < full / 4


async def test_the_index_holds_no_second_copy_of_the_texts(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path, 500, "lorem ipsum dolor sit amet " * 100)
    before = path.stat().st_size
    store = SqliteStore(path)
    assert await store.search("lorem")
    await store.aclose()
    assert path.stat().st_size < before * 1.5


async def test_a_text_that_is_no_json_is_stored_and_passed_over_by_the_search(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "sessions.db")
    await store.create(a_record())
    await store.acquire("s")
    await store.append("s", [StoredEvent(1, NOW, "user_message", b"\xff{walrus"), an_event(2, "walrus")])
    assert [hit.seq for hit in await store.search("walrus")] == [2]
    await store.release("s")
    await store.delete("s")
    assert await store.search("walrus") == []
    await store.aclose()


# ── leases, as another machine's process would hold them ─────────────────────────────────────────────────────────────


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


async def test_an_owner_elsewhere_is_believed_until_it_has_been_silent_for_too_long(tmp_path: Path) -> None:
    path, clock = tmp_path / "sessions.db", Hands()
    elsewhere = SqliteStore(path, clock=clock, owner=Owner(host="far-away", pid=4242, instance="x"))
    here = SqliteStore(path, clock=clock)
    await elsewhere.create(a_record())
    await elsewhere.acquire("s")
    clock.now += timedelta(seconds=29)
    with pytest.raises(SessionBusy, match="process 4242 on far-away since"):
        await here.acquire("s")
    assert "4242" in (await here.record("s")).owner
    clock.now += timedelta(seconds=2)
    assert (await here.record("s")).owner == ""
    await here.acquire("s")
    with pytest.raises(SessionBusy) as caught:
        await elsewhere.append("s", [an_event(1)])
    assert "in use by process" in str(caught.value)
    await here.append("s", [an_event(1)])
    for store in (here, elsewhere):
        await store.aclose()


async def test_closing_releases_ones_own_leases_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    first, second = SqliteStore(path), SqliteStore(path)
    for name, store in (("a", first), ("b", second)):
        await store.create(a_record(name))
        await store.acquire(name)
    await first.aclose()
    await second.append("b", [an_event(1)])
    assert [bool((await second.record(name)).owner) for name in ("a", "b")] == [False, True]
    await second.aclose()


# ── what the writer does by itself ───────────────────────────────────────────────────────────────────────────────────


async def test_a_held_lease_is_renewed_in_time_and_nothing_is_due_without_one(tmp_path: Path) -> None:
    path, clock = tmp_path / "sessions.db", Hands()
    await filled(path)
    elsewhere, here = Owner(host="far-away", pid=1, instance="x"), Owner(host="here", pid=2, instance="y")
    leases = Leases(clock, elsewhere)
    connection = open_database(path, 1.0)
    assert leases.due_in_s() is None
    leases.acquire(connection, 1, "s")
    due = leases.due_in_s()
    assert due is not None
    assert due < EXPIRY.total_seconds() / 2
    clock.now += timedelta(seconds=25)
    leases.do(connection)
    clock.now += timedelta(seconds=25)
    with pytest.raises(SessionBusy):
        Leases(clock, here).acquire(connection, 1, "s")
    leases.release(connection, 1)
    assert leases.due_in_s() is None
    connection.close()


async def test_texts_are_indexed_behind_the_appends_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    await filled(path, 500)
    connection = open_database(path, 1.0)
    indexer = Indexer()
    assert indexer.due_in_s() is None
    indexer.wanted = True
    pieces = 0
    while indexer.due_in_s() is not None:
        indexer.do(connection)
        pieces += 1
    assert pieces > 2, "other processes wait while one is indexed"
    assert connection.execute("SELECT count(*) FROM search WHERE search MATCH 'hello'").fetchone() == (500,)
    assert not is_behind(connection)
    connection.close()


async def test_whoever_waits_for_a_broken_writer_is_answered(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "sessions.db")
    await store.create(a_record())
    await store.acquire("s")
    with pytest.raises((TypeError, AttributeError)):
        await store.append("s", [None])  # type: ignore[list-item]
    await store.append("s", [an_event(1)])
    await store.aclose()
