"""Two processes and one session: the second joins what the first has open, and the first one's death is told."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, ServerReply

from .command import Command, kill, read_events

pytestmark = pytest.mark.timeout(120)


def _waits_for(name: str) -> ServerReply:
    return ServerReply(text="Wait.", calls=(Call("bash", json.dumps({"command": f"until [ -e {name} ]; do sleep 0.05; done"})),))


async def test_a_headless_session_is_watched_and_steered_from_a_second_terminal(home: Path, tmp_path: Path) -> None:
    async with ModelServer([_waits_for("go"), ServerReply(text="I heard both of you.")]) as server:
        command = Command(home, tmp_path / "w", server)
        owner = await command.start("--json", "wait")
        shown = await read_events(owner, "tool_call")
        watcher = await command.start("attach", "--json", "--all")
        watched = await read_events(watcher, "tool_call")
        assert watched[0]["type"] == "connection_changed" and str(owner.pid) in watched[0]["data"]["message"]
        second = await command.start("--continue", "and be quick")
        assert second.stderr is not None
        said = await asyncio.wait_for(second.stderr.readline(), 30)  # it has handed its prompt on when it says so
        assert f"Joined session {shown[0]['session'][:8]}, which is open in process {owner.pid}" in said.decode()
        (command.folder / "go").touch()
        out, err = await asyncio.wait_for(second.communicate(), 30)
        assert (second.returncode, out.decode().strip()) == (0, "I heard both of you."), err.decode()
        rest, _ = await asyncio.wait_for(owner.communicate(), 30)
        assert owner.returncode == 0
        steering = [x["data"] for x in map(json.loads, rest.splitlines()) if x["type"] == "user_message"]
        assert steering == [{"content": "and be quick", "steering": True, "sent_by": f"process {second.pid}"}]
        last, _ = await asyncio.wait_for(watcher.communicate(), 30)
        assert watcher.returncode == 0
        types = [json.loads(line)["type"] for line in last.splitlines()]
        assert types[-2:] == ["shutdown", "connection_changed"]


async def test_flags_that_cannot_change_a_session_of_another_process_are_refused(home: Path, tmp_path: Path) -> None:
    async with ModelServer([_waits_for("never")]) as server:
        command = Command(home, tmp_path / "w", server)
        owner = await command.start("--json", "wait")
        await read_events(owner, "tool_call")
        refused = await command.run("--continue", "--max-cost", "1", "me too")
        assert refused.code == 1 and "--max-cost" in refused.stderr and "ml-intern attach" in refused.stderr
        await kill(owner)


async def test_a_kill_of_the_owner_is_told_to_whoever_watches_and_the_session_goes_on_here(home: Path, tmp_path: Path) -> None:
    async with ModelServer([_waits_for("never")]) as server:
        command = Command(home, tmp_path / "w", server)
        owner = await command.start("--json", "wait")
        await read_events(owner, "tool_call")
        watcher = await command.start("attach")
        assert watcher.stdout is not None
        while b"bash" not in await asyncio.wait_for(watcher.stdout.readline(), 30):
            pass
        await kill(owner)
        out, _ = await asyncio.wait_for(watcher.communicate(), 30)
        assert watcher.returncode == 1 and "is gone" in out.decode()
        nobody = await command.run("attach")
        assert nobody.code == 2 and "No session is open" in nobody.stderr
        server.enqueue(ServerReply(text="Here I am."))
        assert (await command.run("--continue", "go on")).stdout.strip() == "Here I am."


@pytest.fixture
async def keyboard() -> AsyncIterator[tuple[int, int]]:
    """Our end, and the one of the program."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


async def _attached(command: Command, keyboard: int, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ml_intern", "attach", *arguments, stdin=keyboard, stdout=asyncio.subprocess.PIPE, cwd=command.folder,
        start_new_session=True,
    )  # fmt: skip


async def _until(process: Process, words: bytes) -> bytes:
    assert process.stdout is not None
    seen = b""
    while words not in seen:
        more = await asyncio.wait_for(process.stdout.read(4096), 30)
        assert more, seen
        seen += more
    return seen


async def test_a_typed_line_reaches_the_turn_and_ctrl_c_leaves_the_session_alone(
    home: Path, tmp_path: Path, keyboard: tuple[int, int]
) -> None:
    async with ModelServer([_waits_for("go"), ServerReply(text="Quick it is.")]) as server:
        command = Command(home, tmp_path / "w", server)
        owner = await command.start("--json", "wait")
        await read_events(owner, "tool_call")
        watcher = await _attached(command, keyboard[1])
        await _until(watcher, b"bash")
        os.write(keyboard[0], b"and be quick\n")
        await _until(watcher, b"at its next step")
        watcher.send_signal(2)
        assert await asyncio.wait_for(watcher.wait(), 30) == 0
        (command.folder / "go").touch()
        out, _ = await asyncio.wait_for(owner.communicate(), 30)
        assert owner.returncode == 0
        said = [x["data"] for x in map(json.loads, out.splitlines()) if x["type"] == "user_message"]
        assert said == [{"content": "and be quick", "steering": True, "sent_by": f"process {watcher.pid}"}]


async def test_interrupt_at_the_keyboard_ends_the_turn_of_the_other_process(home: Path, tmp_path: Path, keyboard: tuple[int, int]) -> None:
    async with ModelServer([_waits_for("never")]) as server:
        command = Command(home, tmp_path / "w", server)
        owner = await command.start("--json", "wait")
        await read_events(owner, "tool_call")
        watcher = await _attached(command, keyboard[1])
        await _until(watcher, b"bash")
        os.write(keyboard[0], b"/interrupt\n")
        await asyncio.wait_for(owner.communicate(), 30)
        assert owner.returncode == 130
        out, _ = await asyncio.wait_for(watcher.communicate(), 30)
        assert watcher.returncode == 0 and "Interrupting" in out.decode() and "closed by the process" in out.decode()


async def test_who_watches_read_only_sends_nothing_and_sees_text_while_it_is_written(
    home: Path, tmp_path: Path, keyboard: tuple[int, int]
) -> None:
    async with ModelServer([_waits_for("go"), ServerReply(text="Done without you.")]) as server:
        command = Command(home, tmp_path / "w", server)
        owner = await command.start("--json", "wait")
        await read_events(owner, "tool_call")
        watcher = await _attached(command, keyboard[1], "--read-only")
        await _until(watcher, b"bash")
        os.write(keyboard[0], b"/interrupt\nhello\n")
        (command.folder / "go").touch()
        out, _ = await asyncio.wait_for(owner.communicate(), 30)
        assert owner.returncode == 0
        assert not [x for x in map(json.loads, out.splitlines()) if x["type"] == "user_message" and x["data"].get("sent_by")]
        seen, _ = await asyncio.wait_for(watcher.communicate(), 30)
        assert watcher.returncode == 0 and seen.decode().count("Done without you.") == 1


async def test_a_session_that_is_not_open_or_not_there_and_several_at_once_are_told_apart(home: Path, tmp_path: Path) -> None:
    async with ModelServer([ServerReply(text="Done."), _waits_for("never"), _waits_for("never")]) as server:
        command = Command(home, tmp_path / "w", server)
        assert (await command.run("--json", "once")).code == 0
        closed = await command.run("attach", "1")
        assert closed.code == 2 and "is not open in any process" in closed.stderr
        assert (await command.run("attach", "zzzz")).code == 2
        owners = [await command.start("--json", "wait") for _ in range(2)]
        for owner in owners:
            await read_events(owner, "tool_call")
        several = await command.run("attach")
        assert several.code == 2
        assert all(f"process {owner.pid} (headless)" in several.stderr for owner in owners)
        for owner in owners:
            await kill(owner)
