"""``!``: the user's own shell lines, beside the session."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from ml_intern.compute.process import READ_BYTES
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.blocks.shell import ShellBlock
from ml_intern.frontends.tui.composer.shell import KEPT_CHARS, SPILL_BYTES, ShellLines, ShellResult
from ml_intern.protocol import operations as op
from tests.tui.scripted import ScriptedHost, screen_text, scripted, settled
from tests.tui.test_composer import Room, finished, said, typed
from tests.unit.frontends.fake_host import started


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


async def start(app: TuiApp, pilot: Pilot[int], line: str) -> None:
    """Without waiting for its end."""
    app.composer.text = f"!{line}"
    await pilot.press("enter")


async def until(pilot: Pilot[int], seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not seen():
            await pilot.pause(0.01)


def shown(app: TuiApp) -> str:
    return "\n".join(screen_text(app))


def blocks(app: TuiApp) -> list[ShellBlock]:
    return [block for block in app.conversation.blocks if isinstance(block, ShellBlock)]


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_shell_line_runs_here_and_the_model_hears_of_it_with_the_next_message(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"!echo shown; exit 3", "enter")
        assert "shown" in shown(app)
        assert "exit code 3 · " in shown(app)
        assert said(host) == []
        await typed(app, pilot, host, *"why", "enter")
    assert said(host) == ["[I ran `echo shown; exit 3` (exit code 3):]\nshown\n[end of the output]\n\nwhy"]


@pytest.mark.parametrize("move", [op.New(), op.New(clear_screen=True), op.Resume(path="f")])
async def test_another_session_hears_nothing_of_what_ran_or_runs_beside_this_one(room: Room, move: op.AnyOperation) -> None:
    os.mkfifo(room.folder / "gate")
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"!echo OLD", "enter")
        await start(app, pilot, "read x < gate; echo $x")
        await until(pilot, lambda: app.composer.shell.running)
        app.send(move)
        (room.folder / "gate").write_text("SLOW\n")
        await finished(app, "shell")
        await typed(app, pilot, host, *"!echo own", "enter")
        await typed(app, pilot, host, *"hello", "enter")
    assert said(host) == ["[I ran `echo own` (exit code 0):]\nown\n[end of the output]\n\nhello"]


async def test_a_copy_of_the_session_hears_of_what_ran(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"!echo OLD", "enter")
        app.send(op.Fork())
        await typed(app, pilot, host, *"hello", "enter")
    assert said(host) == ["[I ran `echo OLD` (exit code 0):]\nOLD\n[end of the output]\n\nhello"]


async def test_escape_stops_a_shell_line_and_not_the_turn(room: Room) -> None:
    await stopped_by(room, "escape")


async def test_ctrl_c_stops_a_shell_line_and_not_the_turn(room: Room) -> None:
    await stopped_by(room, "ctrl+c")


async def stopped_by(room: Room, key: str) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        host.emit(*started("first"))
        await start(app, pilot, "echo begun; sleep 60")
        await until(pilot, lambda: "begun" in shown(app))
        await pilot.press(key)
        await finished(app, "shell")
        await settled(app, pilot, host)
        assert "stopped · " in shown(app)
        await typed(app, pilot, host, *"so", "enter")
    assert not any(isinstance(each, op.Interrupt) for each in host.operations)
    assert said(host) == ["[I ran `echo begun; sleep 60` and stopped it:]\nbegun\n[end of the output]\n\nso"]


async def test_output_is_shown_while_the_line_runs(room: Room) -> None:
    os.mkfifo(room.folder / "gate")
    host = scripted()
    async with room.open(host) as (app, pilot):
        await start(app, pilot, "echo first; read x < gate; echo then $x")
        await until(pilot, lambda: "first" in shown(app))
        assert app.composer.shell.running
        (room.folder / "gate").write_text("second\n")
        await finished(app, "shell")
        await settled(app, pilot, host)
        assert "then second" in shown(app)


async def test_a_line_that_prints_without_end_is_kept_in_part_and_can_be_stopped(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await start(app, pilot, "yes")
        (process,) = app.composer.shell._running
        await until(pilot, lambda: process._capture.total_bytes > 3 * SPILL_BYTES)
        assert len(process._capture.head) + len(process._capture.tail) < 2 * READ_BYTES
        assert process._capture.spilled_bytes == SPILL_BYTES
        spilled = process._capture.spill_path
        assert spilled is not None and spilled.exists()
        await pilot.press("escape")
        await finished(app, "shell")
        (block,) = blocks(app)
        assert len(block.text) < 2 * READ_BYTES
        assert "bytes left out" in block.text
        assert len("".join(app.composer.shell.take_told())) < KEPT_CHARS + 200
    assert not spilled.parent.exists()


async def test_a_line_ends_with_its_shell_and_what_it_left_behind_ends_with_the_app(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"!sleep 600 & echo $!", "enter")
        pid = int(blocks(app)[0].text)
        assert lives(pid)
        assert "still runs" in shown(app)
        assert not app.composer.shell.running
    async with asyncio.timeout(10):
        while lives(pid):
            await asyncio.sleep(0)


async def test_leaving_kills_what_runs(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await start(app, pilot, "trap '' TERM INT HUP; echo $$; while :; do sleep 1; done")
        await until(pilot, lambda: blocks(app) != [] and blocks(app)[0].text != "")
        pid = int(blocks(app)[0].text)
    async with asyncio.timeout(10):
        while lives(pid):
            await asyncio.sleep(0)


async def test_a_program_that_wants_to_be_typed_into_finds_no_terminal(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await start(app, pilot, "cat; (: </dev/tty) 2>/dev/null || echo no terminal")
        await finished(app, "shell")
        await settled(app, pilot, host)
        assert "no terminal" in shown(app)


async def test_a_second_line_runs_beside_the_first_and_escape_stops_the_newest(room: Room) -> None:
    os.mkfifo(room.folder / "gate")
    host = scripted()
    async with room.open(host) as (app, pilot):
        await start(app, pilot, "read x < gate; echo $x")
        await start(app, pilot, "sleep 60")
        await until(pilot, lambda: len(blocks(app)) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: "stopped · " in shown(app))
        (room.folder / "gate").write_text("went on\n")
        await finished(app, "shell")
        await settled(app, pilot, host)
        assert "went on" in shown(app)


async def test_a_shell_that_is_not_there_is_said(room: Room) -> None:
    room.environ["SHELL"] = str(room.folder / "none")
    host: ScriptedHost = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"!ls", "enter")
        assert "cannot be run" in shown(app)


def test_of_many_long_outputs_the_model_is_told_the_newest() -> None:
    lines = ShellLines()
    lines._ran += [ShellResult(f"line {i}", "x" * KEPT_CHARS, 0, 1.0) for i in range(9)]
    told = lines.take_told()
    assert [part.partition("`")[2].partition("`")[0] for part in told] == [f"line {i}" for i in range(9)]
    assert "left out" in told[0] and "xxx" in told[-1]
    assert len("".join(told)) < 3 * KEPT_CHARS
    assert lines.take_told() == []
