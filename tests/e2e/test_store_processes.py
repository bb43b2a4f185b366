"""Several real processes on one file: nothing is lost, nothing is written twice, and a killed owner owns nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_intern.errors import SessionBusy
from ml_intern.protocol.codec import encode_data
from ml_intern.protocol.events import UserMessageAdded
from ml_intern.stores.base import SessionRecord, StoredEvent
from ml_intern.stores.sqlite import SqliteStore

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PATIENCE_S = 40

WORKER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from ml_intern.errors import SessionBusy
from ml_intern.stores.base import SessionRecord, StoredEvent
from ml_intern.stores.sqlite import SqliteStore

path, session_id, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
now = datetime(2026, 1, 2, tzinfo=UTC)

def event(seq):
    return StoredEvent(seq, now, "user_message", b'{"content":"walrus %d"}' % seq)

async def main():
    store = SqliteStore(path)
    if sys.argv[4] == "create":
        await store.create(SessionRecord(id=session_id, created_at=now, updated_at=now, cwd="/", model="m"))
    try:
        await store.acquire(session_id)
    except SessionBusy:
        print("busy", flush=True)
        return
    print("owner", flush=True)
    for seq in range(1, count + 1):
        await store.append(session_id, [event(seq)])
        print(seq, flush=True)
    if sys.argv[4] == "hold" or count > 100_000:
        await asyncio.Event().wait()
    await asyncio.to_thread(sys.stdin.readline)
    await store.aclose()

asyncio.run(main())
"""


class Workers:
    """Processes that write to the store, ended with the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._started: list[Process] = []

    async def start(self, session_id: str, count: int, *, how: str = "create") -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, str(self.path), session_id, str(count), how, stdin=PIPE, stdout=PIPE
        )
        self._started.append(process)
        return process

    async def end(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.communicate()


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    made = Workers(tmp_path / "data" / "sessions.db")
    yield made
    await made.end()


@pytest.fixture
async def store(workers: Workers) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(workers.path)
    yield made
    await made.aclose()


async def read_word(process: Process) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
    assert line, "the worker ended"
    return line.decode().strip()


async def read_until(process: Process, word: str) -> None:
    while await read_word(process) != word:
        pass


async def let_go(process: Process) -> None:
    await asyncio.wait_for(process.communicate(b"\n"), PATIENCE_S)
    assert process.returncode == 0


async def test_processes_that_make_the_file_at_the_same_moment_all_write_to_it(workers: Workers, store: SqliteStore) -> None:
    names = [f"session-{n}" for n in range(5)]
    processes = await asyncio.gather(*(workers.start(name, 60) for name in names))
    await asyncio.gather(*(let_go(process) for process in processes))
    assert sorted(record.id for record in await store.sessions()) == names
    for name in names:
        assert [event.seq for event in await store.load(name)] == list(range(1, 61))
        assert (await store.record(name)).event_count == 60
    assert len(await store.search("walrus")) == 5
    await store.check()


async def test_a_killed_owner_loses_nothing_it_was_told_is_stored_and_the_session_is_free_at_once(
    workers: Workers, store: SqliteStore
) -> None:
    process = await workers.start("s", 10_000_000)
    await read_until(process, "200")
    os.kill(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    told = [int(word) for word in (await process.stdout.read()).split(b"\n")[:-1]]
    await process.wait()

    assert (await store.record("s")).owner == ""
    await store.acquire("s")
    seqs = [event.seq for event in await store.load("s")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= max([200, *told])
    await store.append("s", [StoredEvent(len(seqs) + 1, NOW, "user_message", b'{"content":"on"}')])
    await store.check()


async def test_of_many_that_want_a_session_one_gets_it(workers: Workers, store: SqliteStore) -> None:
    await store.create(SessionRecord(id="s", created_at=NOW, updated_at=NOW, cwd="/", model="m"))
    processes = await asyncio.gather(*(workers.start("s", 0, how="hold") for _ in range(4)))
    words = await asyncio.gather(*(read_word(process) for process in processes))
    assert sorted(words) == ["busy", "busy", "busy", "owner"]


async def test_the_second_process_is_told_the_first_ones_id_and_reads_along(workers: Workers, store: SqliteStore) -> None:
    process = await workers.start("s", 3)
    await read_until(process, "3")
    with pytest.raises(SessionBusy, match=f"process {process.pid} on "):
        await store.acquire("s")
    with pytest.raises(SessionBusy):
        await store.delete("s")
    with pytest.raises(SessionBusy):
        await store.append("s", [StoredEvent(4, NOW, "user_message", b"{}")])
    assert [event.seq for event in await store.load("s", after_seq=1)] == [2, 3]
    await let_go(process)
    await store.acquire("s")


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def sessions(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ml_intern", "sessions", *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE
    )


@pytest.fixture
async def here(home: Path) -> AsyncIterator[SqliteStore]:
    """The store that the command uses."""
    made = SqliteStore(home / ".local" / "share" / "ml-intern" / "sessions.db")
    yield made
    await made.aclose()


def said(seq: int, text: str) -> StoredEvent:
    return StoredEvent(seq, NOW, "user_message", encode_data(UserMessageAdded(content=text)))


async def test_following_shows_what_the_owner_adds_and_ends_when_it_leaves(here: SqliteStore) -> None:
    await here.create(SessionRecord(id="abcdef", created_at=NOW, updated_at=NOW, cwd="/", model="m"))
    await here.acquire("abcdef")
    await here.append("abcdef", [said(1, "first words")])
    follower = await sessions("show", "abc", "--follow")
    assert follower.stdout is not None

    async def until(text: bytes) -> bytes:
        assert follower.stdout is not None
        seen = b""
        while text not in seen:
            line = await asyncio.wait_for(follower.stdout.readline(), PATIENCE_S)
            assert line, seen
            seen += line
        return seen

    assert b"in use by process" in await until(b"first words")
    await here.append("abcdef", [said(2, "later words")])
    await until(b"later words")
    await here.append("abcdef", [said(3, "last words")])
    await here.release("abcdef")
    out, err = await asyncio.wait_for(follower.communicate(), PATIENCE_S)
    assert b"last words" in out
    assert b"Nobody works on this session now" in err
    assert follower.returncode == 0


async def test_a_session_in_use_is_neither_deleted_nor_renamed(here: SqliteStore) -> None:
    await here.create(SessionRecord(id="abcdef", created_at=NOW, updated_at=NOW, cwd="/", model="m"))
    await here.acquire("abcdef")
    for arguments in (("delete", "abc", "--yes"), ("rename", "abc", "new")):
        process = await sessions(*arguments)
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode == 1
        assert f"process {os.getpid()} on ".encode() in err
        assert b"Traceback" not in err
    assert (await here.record("abcdef")).title == ""


@pytest.mark.parametrize(("answer", "left", "code"), [(b"n\n", ["abcdef"], 1), (b"y\n", [], 0)])
async def test_on_a_terminal_deleting_asks_first(here: SqliteStore, answer: bytes, left: list[str], code: int) -> None:
    await here.create(SessionRecord(id="abcdef", created_at=NOW, updated_at=NOW, cwd="/", model="m", title="Digits"))
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ml_intern", "sessions", "delete", "abc", stdin=theirs, stdout=PIPE, stderr=PIPE
    )
    os.write(ours, answer)
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    os.close(ours)
    os.close(theirs)
    assert b"Digits" in err
    assert b"Delete it?" in err
    assert process.returncode == code
    assert [record.id for record in await here.sessions()] == left
