"""What every ``Workspace`` promises: run over each implementation that this machine has."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.compute.base import FileKind, Place, Workspace
from ml_intern.compute.hf_sandbox import HubSandbox
from tests.sandboxes import sandbox_world
from tests.workspaces import Machine


@pytest.fixture(params=["bare", pytest.param("sandboxed", marks=pytest.mark.sandbox), "remote"])
async def workspace(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Workspace]:
    if request.param == "remote":
        async with sandbox_world(tmp_path, monkeypatch) as world:
            remote = world.workspace(world.lease())
            await remote.stat(remote.root)
            yield remote
            await remote.aclose()
        return
    machine = Machine(base=tmp_path)
    made = machine.bare() if request.param == "bare" else await machine.sandboxed()
    yield made
    await made.aclose()


async def test_output_and_exit_code_come_back(workspace: Workspace) -> None:
    result = await workspace.exec("echo out; echo err >&2; exit 3")
    assert (result.head, result.exit_code, result.timed_out, result.holds_on) == ("out\nerr\n", 3, False, False)
    assert result.total_bytes == 8


async def test_stdout_and_stderr_come_in_the_order_they_were_written(workspace: Workspace) -> None:
    result = await workspace.exec("for i in 1 2 3; do echo out$i; echo err$i >&2; done")
    assert result.head.split() == ["out1", "err1", "out2", "err2", "out3", "err3"]


async def test_bytes_that_are_no_text_are_replaced(workspace: Workspace) -> None:
    result = await workspace.exec(r"printf 'a\377\376\000b'")
    assert result.head == "a\ufffd\ufffd\0b"
    assert result.exit_code == 0


async def test_standard_input_is_empty(workspace: Workspace) -> None:
    result = await workspace.exec("cat; echo end")
    assert result.head == "end\n"


async def test_there_is_no_terminal(workspace: Workspace) -> None:
    result = await workspace.exec("(: < /dev/tty) 2>/dev/null && echo terminal || echo none")
    assert result.head == "none\n"


async def test_a_command_runs_in_the_workspace_or_where_it_is_told(workspace: Workspace) -> None:
    (workspace.root / "inner").mkdir()
    assert (await workspace.exec("pwd")).head.strip() == str(workspace.root)
    assert (await workspace.exec("pwd", cwd=workspace.root / "inner")).head.strip() == str(workspace.root / "inner")


async def test_extra_variables_reach_the_command(workspace: Workspace) -> None:
    assert (await workspace.exec("echo $COLOUR", env={"COLOUR": "green"})).head == "green\n"


async def test_an_argument_list_is_not_read_by_a_shell(workspace: Workspace) -> None:
    result = await workspace.exec(["printf", "%s", "$HOME; `id`"])
    assert result.head == "$HOME; `id`"


async def test_a_command_longer_than_one_argument_may_be_runs(workspace: Workspace) -> None:
    result = await workspace.exec(f"printf %s '{'é' * 100_000}' | wc -c; echo $((1 + 1))")
    assert result.head.split() == ["200000", "2"]


async def test_a_time_out_ends_children_too_and_keeps_what_was_printed(workspace: Workspace) -> None:
    result = await workspace.exec("echo before; (sleep 60; touch survived) & sleep 60", timeout_s=0.3)
    assert result.timed_out
    assert result.head.startswith("before\n")
    assert result.exit_code == 143
    assert not result.holds_on


async def test_a_command_may_tidy_up_when_it_is_told_to_end(workspace: Workspace) -> None:
    result = await workspace.exec("trap 'echo saved; exit 7' TERM; echo up; while :; do sleep 0.02; done", timeout_s=0.5)
    assert (result.exit_code, result.timed_out) == (7, True)
    assert "saved" in result.head


async def test_a_command_that_ignores_sigterm_is_killed(workspace: Workspace) -> None:
    result = await workspace.exec("trap '' TERM; while :; do sleep 0.02; done", timeout_s=0.1)
    assert result.exit_code == 137
    assert result.timed_out


async def test_a_cancelled_command_ends_with_its_children_before_the_cancellation_goes_on(workspace: Workspace) -> None:
    started = asyncio.Event()
    pieces: list[str] = []

    def show(piece: str) -> None:
        pieces.append(piece)
        started.set()

    command = "trap 'touch tidied; exit' TERM; echo $$ partial; (while :; do sleep 0.02; done) & wait"
    task = asyncio.ensure_future(workspace.exec(command, on_output=show))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (workspace.root / "tidied").exists()
    assert "partial" in "".join(pieces)
    assert workspace.holding_on() == ()


async def test_output_that_the_sink_had_not_seen_yet_reaches_it_on_cancellation(workspace: Workspace) -> None:
    pieces: list[str] = []
    command = await workspace.start("touch up; echo last words; sleep 60", on_output=pieces.append)
    while not (await command.read_output(0, 100)).text:
        await asyncio.sleep(0)
    await command.stop()
    assert "".join(pieces) == "last words\n"


async def test_live_output_comes_in_pieces_while_the_command_runs(workspace: Workspace) -> None:
    first = asyncio.Event()
    pieces: list[str] = []

    def show(piece: str) -> None:
        pieces.append(piece)
        first.set()

    command = await workspace.start("echo one; until test -e go; do sleep 0.02; done; echo two", on_output=show)
    await first.wait()
    assert command.result is None
    (workspace.root / "go").touch()
    assert (await command.wait()).head == "one\ntwo\n"
    assert "".join(pieces) == "one\ntwo\n"


async def test_fifty_megabytes_stay_out_of_memory_and_off_the_event_loop(workspace: Workspace) -> None:
    pieces: list[str] = []
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.ensure_future(tick())
    result = await workspace.exec("yes 0123456789 | head -c 50000000; echo; echo end", on_output=pieces.append)
    ticking.cancel()
    assert result.total_bytes == 50_000_005
    assert len(result.head) + len(result.tail) <= 200_000
    assert result.tail.endswith("\nend\n")
    assert result.spill_path is not None
    assert result.spill_path.stat().st_size == result.spilled_bytes == result.total_bytes
    assert max((len(piece) for piece in pieces), default=0) < 20_000
    assert ticks > 100


async def test_short_output_makes_no_file(workspace: Workspace) -> None:
    before = sorted(path.name for path in workspace.root.parent.rglob("*_output_*"))
    assert (await workspace.exec("seq 1000")).spill_path is None
    assert sorted(path.name for path in workspace.root.parent.rglob("*_output_*")) == before


async def test_many_commands_run_at_once(workspace: Workspace) -> None:
    results = await asyncio.gather(*(workspace.exec(f"echo {n}") for n in range(20)))
    assert [result.head for result in results] == [f"{n}\n" for n in range(20)]


async def test_a_background_command_can_be_read_page_by_page_and_stopped(workspace: Workspace) -> None:
    command = await workspace.start("seq 1 5; exec sleep 60")
    while (await command.read_output(0, 100)).total_bytes < 10:
        await asyncio.sleep(0)
    page = await command.read_output(2, 4)
    assert (page.text, page.start, page.end, page.total_bytes) == ("2\n3\n", 2, 6, 10)
    assert (await command.read_output(-4, 100)).text == "4\n5\n"
    assert (await command.read_output(99, 5)).text == ""
    assert command.result is None
    result = await command.stop()
    assert result.exit_code == 143
    assert command.result == result


async def test_long_background_output_can_be_read_from_any_place(workspace: Workspace) -> None:
    command = await workspace.start("seq 100000")
    await command.wait()
    assert (await command.read_output(300_000, 7)).text == "51852\n5"
    assert command.log_path is not None


async def test_background_commands_end_with_the_workspace(workspace: Workspace) -> None:
    command = await workspace.start("trap 'touch ended; exit' TERM; touch up; while :; do sleep 0.02; done")
    while not (workspace.root / "up").exists():
        await asyncio.sleep(0.01)
    await workspace.aclose()
    assert command.result is not None
    assert (workspace.root / "ended").exists()


async def test_a_command_that_is_to_keep_running_survives_the_workspace(workspace: Workspace) -> None:
    command = await workspace.start("until test -e go; do sleep 0.02; done; echo done; touch finished", keep_running=True)
    await workspace.aclose()
    (workspace.root / "go").touch()
    while not (workspace.root / "finished").exists():
        await asyncio.sleep(0.01)
    assert command.log_path is not None
    while not (logged := command.log_path.read_text()):  # what carries the output to the log may come after the command's end
        await asyncio.sleep(0.01)
    assert logged == "done\n"


async def test_closing_twice_does_nothing(workspace: Workspace) -> None:
    await workspace.exec("true")
    await workspace.aclose()
    await workspace.aclose()


async def test_a_missing_program_is_told_by_the_shell(workspace: Workspace) -> None:
    result = await workspace.exec("no-such-program-here")
    assert result.exit_code == 127
    assert "no-such-program-here" in result.head


async def test_a_signal_is_told_as_shells_do(workspace: Workspace) -> None:
    assert (await workspace.exec("kill -SEGV $$")).exit_code == 139


# ── paths and files ──────────────────────────────────────────────────────────────────────────────────────────────────


def _needs_this_machine(workspace: Workspace, why: str) -> None:
    if isinstance(workspace, HubSandbox):
        pytest.skip(f"remote: {why}")


async def test_paths_start_at_the_workspace_and_links_are_followed(workspace: Workspace) -> None:
    _needs_this_machine(workspace, "paths are resolved lexically; links are followed there")
    (workspace.root / "real").mkdir()
    (workspace.root / "link").symlink_to("real")
    assert workspace.resolve("link/x.txt") == workspace.root / "real" / "x.txt"
    assert workspace.resolve("a/../b") == workspace.root / "b"
    assert workspace.resolve("~/x").name == "x"
    with pytest.raises(ValueError):
        workspace.resolve("a\0b")


async def test_a_link_out_of_the_workspace_lies_outside(workspace: Workspace) -> None:
    _needs_this_machine(workspace, "a link leads nowhere but into the sandbox")
    (workspace.root / "out").symlink_to("/etc")
    assert workspace.place(workspace.resolve("out/passwd")) is Place.OUTSIDE
    assert workspace.place(workspace.resolve("in")) is Place.WORKSPACE


async def test_what_git_hooks_run_is_not_the_workspaces_to_write(workspace: Workspace) -> None:
    assert workspace.place(workspace.resolve(".git/hooks/pre-commit")) is Place.OUTSIDE
    assert workspace.place(workspace.resolve(".git/config")) is Place.OUTSIDE
    assert workspace.place(workspace.resolve(".gitignore")) is Place.WORKSPACE


async def test_commands_and_tools_mean_the_same_temporary_file(workspace: Workspace) -> None:
    said = (await workspace.exec("echo hello > $TMPDIR/said; echo $TMPDIR/said")).head.strip()
    path = workspace.resolve(said)
    assert await workspace.read_bytes(path) == b"hello\n"
    assert workspace.place(path) is Place.WORKSPACE
    assert workspace.seen_by_commands(path) == said
    await workspace.write_bytes(path, b"back\n")
    assert (await workspace.exec(["cat", said])).head == "back\n"


async def test_a_file_is_what_stat_says(workspace: Workspace) -> None:
    path = workspace.root / "f"
    assert await workspace.stat(path) is None
    path.write_bytes(b"123")
    found = await workspace.stat(path)
    assert found is not None
    assert (found.kind, found.size_bytes, found.mtime_ns) == (FileKind.FILE, 3, path.stat().st_mtime_ns)
    folder = await workspace.stat(workspace.root)
    assert folder is not None
    assert folder.kind is FileKind.DIRECTORY
    os.mkfifo(workspace.root / "pipe")
    pipe = await workspace.stat(workspace.root / "pipe")
    assert pipe is not None
    assert pipe.kind is FileKind.OTHER
    assert await workspace.stat(path / "below-a-file") is None


async def test_writing_makes_folders_and_tells_the_new_state(workspace: Workspace) -> None:
    path = workspace.root / "a" / "b" / "f.bin"
    after = await workspace.write_bytes(path, b"\0\xff\n")
    assert await workspace.read_bytes(path) == b"\0\xff\n"
    assert await workspace.read_bytes(path, 1) == b"\0"
    assert after == await workspace.stat(path)


async def test_writing_keeps_the_mode_and_what_a_link_points_to(workspace: Workspace) -> None:
    script = workspace.root / "run.sh"
    script.write_text("old")
    script.chmod(0o754)
    (workspace.root / "link").symlink_to("run.sh")
    await workspace.write_bytes(workspace.resolve("link"), b"new")
    assert script.read_text() == "new"
    assert stat.S_IMODE(script.stat().st_mode) == 0o754
    assert (workspace.root / "link").is_symlink()


async def test_a_new_file_has_the_mode_that_the_umask_gives(workspace: Workspace) -> None:
    (workspace.root / "by-hand").touch()
    await workspace.write_bytes(workspace.root / "by-tool", b"")
    assert (workspace.root / "by-tool").stat().st_mode == (workspace.root / "by-hand").stat().st_mode


async def test_a_failed_write_leaves_the_old_file_and_no_litter(workspace: Workspace) -> None:
    (workspace.root / "folder").mkdir()
    with pytest.raises(OSError):
        await workspace.write_bytes(workspace.root / "folder", b"x")
    placeholders = {".ml-intern"}  # what the sandbox puts where commands must not make anything
    assert set(await workspace.list_names(workspace.root)) - placeholders == {"folder"}


async def test_lines_of_a_large_file_are_paged(workspace: Workspace) -> None:
    path = workspace.root / "big.txt"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(1, 300_001)) + b"no newline")
    page = await workspace.read_lines(path, 200_000, 2, 10_000)
    assert (page.lines, page.total_lines) == ((b"line 200000", b"line 200001"), 300_001)
    last = await workspace.read_lines(path, 300_001, 5, 10_000)
    assert last.lines == (b"no newline",)
    few = await workspace.read_lines(path, 1, 1000, 30)
    assert sum(len(line) for line in few.lines) < 50


async def test_a_line_without_end_is_cut(workspace: Workspace) -> None:
    path = workspace.root / "long"
    path.write_bytes(b"x" * 5_000_000 + b"\nafter\n")
    page = await workspace.read_lines(path, 1, 2, 1000)
    assert len(page.lines[0]) == 1000
    assert page.total_lines == 2
    assert (await workspace.read_lines(path, 2, 1, 1000)).lines == (b"after",)


async def test_the_projects_own_interpreter_is_preferred(workspace: Workspace) -> None:
    _needs_this_machine(workspace, "tests/contracts/test_sandbox.py has its own")
    assert Path(workspace.python).name.startswith("python")
    own = workspace.root / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert workspace.python == str(own)
