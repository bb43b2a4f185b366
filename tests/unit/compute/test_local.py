"""What is particular to commands of this machine without a sandbox."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.compute.base import Place
from ml_intern.compute.child_env import child_environment
from ml_intern.compute.local import LocalWorkspace
from tests.workspaces import Machine, processes_in


@pytest.fixture
async def machine(tmp_path: Path) -> Machine:
    return Machine(base=tmp_path)


@pytest.fixture
async def workspace(machine: Machine) -> AsyncIterator[LocalWorkspace]:
    workspace = machine.bare()
    yield workspace
    await workspace.aclose()


async def test_a_child_that_keeps_the_output_open_does_not_hold_up_the_call(workspace: LocalWorkspace) -> None:
    result = await workspace.exec("sleep 60 & echo started")
    assert (result.head, result.exit_code, result.holds_on) == ("started\n", 0, True)
    (left,) = workspace.holding_on()
    await left.stop()
    assert workspace.holding_on() == ()


async def test_a_child_with_output_of_its_own_is_noticed_too(workspace: LocalWorkspace) -> None:
    result = await workspace.exec("nohup sleep 60 >/dev/null 2>&1 & echo started")
    assert result.holds_on
    assert len(processes_in(workspace.root)) == 1
    await workspace.aclose()
    assert processes_in(workspace.root) == []


async def test_what_a_left_over_child_prints_is_still_kept(workspace: LocalWorkspace, machine: Machine) -> None:
    await workspace.exec("(until test -e go; do sleep 0.02; done; echo late; exec sleep 60) & echo early")
    (left,) = workspace.holding_on()
    (machine.root / "go").touch()
    while (await left.read_output(0, 100)).text != "early\nlate\n":
        await asyncio.sleep(0)


async def test_the_machines_tmp_is_writable_and_home_is_not_ours(workspace: LocalWorkspace, machine: Machine) -> None:
    environ = {**machine.variables, "TMPDIR": str(machine.base / "t")}
    own = LocalWorkspace(machine.root, None, child_environment(environ), machine.scratch, hidden=machine.hidden)
    assert own.place(own.resolve(str(machine.base / "t" / "x"))) is Place.WORKSPACE
    assert own.place(own.resolve("~/x")) is Place.OUTSIDE
    assert own.place(own.resolve("~/.ssh/id")) is Place.HIDDEN
    await own.aclose()


async def test_outputs_kept_in_a_file_can_be_read_though_our_data_is_hidden(workspace: LocalWorkspace, machine: Machine) -> None:
    assert workspace.place(machine.data / "sessions.db") is Place.HIDDEN
    assert workspace.place(machine.scratch / "bash_output_1.txt") is Place.OUTSIDE


async def test_a_workspace_in_a_hidden_place_is_usable_all_the_same(machine: Machine) -> None:
    inner = machine.home / ".docker" / "project"
    inner.mkdir(parents=True)
    workspace = LocalWorkspace(inner, None, machine.variables, machine.scratch, hidden=machine.hidden)
    assert workspace.place(inner / "x") is Place.WORKSPACE
    assert workspace.place(machine.home / ".docker" / "config.json") is Place.HIDDEN
    await workspace.aclose()


async def test_no_descriptor_and_no_task_is_left_behind(workspace: LocalWorkspace) -> None:
    await workspace.exec("true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await workspace.exec("echo x; exit 1")
        with pytest.raises(OSError):
            await workspace.exec(["/no/such/program"])
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(asyncio.all_tasks()) == 1


async def test_a_second_cancellation_kills_at_once(workspace: LocalWorkspace, machine: Machine) -> None:
    task = asyncio.ensure_future(workspace.exec("trap '' TERM; touch up; while :; do sleep 0.02; done"))
    while not (machine.root / "up").exists():
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while processes_in(machine.root):
        await asyncio.sleep(0)


async def test_a_file_in_a_folder_that_takes_no_new_ones_is_written_in_place(workspace: LocalWorkspace, machine: Machine) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = machine.root / "closed"
    folder.mkdir()
    (folder / "f").write_text("a longer text")
    folder.chmod(0o555)
    try:
        await workspace.write_bytes(folder / "f", b"short")
        assert (folder / "f").read_text() == "short"
    finally:
        folder.chmod(0o755)
