"""``kill -9`` in the midst of a rewind: the next start tells, and everything can be had back."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern import open_session
from ml_intern.compute.shadow_removal import DRAFT
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import AnyEvent, RewindComplete, RewindPlanned
from ml_intern.protocol.operations import Rewind
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import ServerReply

from .command import Command, kill
from .test_hooks_and_rewind import until

PROGRAM = r"""
import asyncio, sys
from pathlib import Path
from ml_intern import open_session
from ml_intern.protocol.events import RewindPlanned, SnapshotTaken, TurnComplete
from ml_intern.protocol.operations import Rewind, UserInput

async def main():
    async with await open_session(cwd=Path.cwd()) as session:
        events, waits_for = session.events(), {TurnComplete, SnapshotTaken}
        await session.submit(UserInput(text="go"))
        async for envelope in events:
            waits_for.discard(type(envelope.event))
            if not waits_for:
                waits_for.add(None)
                for name in ("a.txt", "z.txt"):
                    Path(name).write_text("new\n")
                await session.submit(Rewind())
            if isinstance(envelope.event, RewindPlanned):
                print(session.session_id, flush=True)
                await session.submit(Rewind(confirmed_changes=envelope.event.confirm))

asyncio.run(main())
"""
STOPS_AT_Z = """#!/bin/sh
{git} "$@" || exit
for word in "$@"; do
    case "$word" in
    --prefix=*)
        rm "${{word#--prefix=}}z.txt" && mkfifo "${{word#--prefix=}}z.txt"
        echo "${{word#--prefix=}}z.txt" >{ready}
        ;;
    esac
done
"""


def _git_that_stops_at_z(folder: Path) -> str:
    """What is laid out as ``z.txt`` is a pipe: who reads it waits for a writer."""
    folder.mkdir()
    os.mkfifo(folder / "ready")
    (folder / "git").write_text(STOPS_AT_Z.format(git=shutil.which("git"), ready=folder / "ready"))
    (folder / "git").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


async def test_a_rewind_that_was_killed_is_told_at_the_next_start_and_can_be_taken_back(home: Path, tmp_path: Path) -> None:
    work = tmp_path / "w"
    async with ModelServer([ServerReply(text="hello")]) as server:
        Command(home, work, server)
        for name in ("a.txt", "z.txt"):
            (work / name).write_text("old\n")
        environ = {**os.environ, "PATH": _git_that_stops_at_z(tmp_path / "bin")}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, cwd=work, env=environ, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        session_id = (await process.stdout.readline()).decode().strip()
        reading = await asyncio.to_thread(_open_when_read, tmp_path / "bin" / "ready")
        await kill(process)
        os.close(reading)
        assert list(work.glob(f"{DRAFT}*"))
        assert (work / "a.txt").read_text() == "old\n" and (work / "z.txt").read_text() == "new\n"  # half of it
        async with await open_session(cwd=work, resume=session_id) as session:
            told = await _first(session.events(after_seq=0), RewindComplete)
            assert isinstance(told, RewindComplete)
            assert told.cut_short and "midst of a rewind" in told.note and told.saved
            assert session.state.history.messages != []
            assert {path.name for path in work.iterdir()} == {"a.txt", "z.txt"}  # and not what was half written
            back = Rewind(conversation=False, to_snapshot=told.saved)
            planned = (await until(session, back, RewindPlanned))[-1]
            assert isinstance(planned, RewindPlanned)
            assert "cut short" in planned.note
            assert planned.own_changes == () and [diff.path for diff in planned.perhaps_own] == ["a.txt"]  # the rewind's work, perhaps
            await until(session, Rewind(conversation=False, to_snapshot=told.saved, confirmed_changes=planned.confirm), RewindComplete)
        assert {path.name: path.read_text() for path in work.iterdir()} == {"a.txt": "new\n", "z.txt": "new\n"}
        async with await open_session(cwd=work, resume=session_id) as session:
            assert session.state.rewinding == ""


def _open_when_read(ready: Path) -> int:
    return os.open(ready.read_text().strip(), os.O_WRONLY)


async def _first(events: AsyncIterator[Envelope], kind: type[AnyEvent]) -> AnyEvent:
    async for envelope in events:
        if isinstance(envelope.event, kind):
            return envelope.event
    pytest.fail("it ended")
