"""Going back: conversation and files, the user's own edits shown first and never lost. Real files, the real git."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import ToolCall
from ml_intern.session.log import EventLog
from ml_intern.session.snapshots import Snapshots
from ml_intern.tools.base import ANY_FILE, Effect, Risk, ToolContext, ToolOutput

from .conftest import MakeWorld
from .support import Echo, EchoArgs, World, call

WRITES = Risk(effects=frozenset({Effect.WRITES_WORKSPACE}), writes=frozenset({ANY_FILE}))


@pytest.fixture
def snapshots(tmp_path: Path, home: Path) -> Callable[[EventLog], Snapshots]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return lambda log: Snapshots.of_folder(log, home / "state", environ)


@pytest.fixture
def writer(tmp_path: Path) -> Echo:
    """``name=text`` writes a file."""

    def write(args: EchoArgs, ctx: ToolContext) -> str:
        name, _, text = args.text.partition("=")
        if text:
            (tmp_path / name).write_text(text)
        else:
            (tmp_path / name).unlink()
        return "written"

    return Echo(write, name="write", risk=WRITES)


def write(text: str, number: int) -> list[ToolCall]:
    return [call("write", f'{{"text":"{text}"}}', f"c{number}")]


async def plan(w: World, message: int = 0, **how: object) -> e.RewindPlanned:
    count = len(w.of(e.RewindPlanned))
    await w.session.submit(op.Rewind(before_message=message, **how))  # type: ignore[arg-type]
    planned = await w.until(e.RewindPlanned, count=count + 1)
    assert isinstance(planned, e.RewindPlanned)
    return planned


async def rewind(w: World, message: int = 0, **how: object) -> e.RewindComplete:
    count = len(w.of(e.RewindComplete))
    planned = await plan(w, message, **how)
    await w.session.submit(op.Rewind(before_message=message, confirmed_changes=planned.confirm, **how))  # type: ignore[arg-type]
    done = await w.until(e.RewindComplete, count=count + 1)
    assert isinstance(done, e.RewindComplete)
    return done


async def test_files_and_conversation_go_back_to_before_a_message(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("mine")
    w = await world(write("a.py=one", 1), "done", write("b.py=two", 2), write("a.py=", 3), "done", tools=[writer], snapshots=snapshots)
    await w.say("first")
    await w.say("second")
    planned = await plan(w, 1)
    assert (planned.restored, planned.deleted, planned.own_changes) == (("a.py",), ("b.py",), ())
    assert (tmp_path / "b.py").exists()  # a plan changes nothing
    done = await rewind(w, 1)
    assert (tmp_path / "a.py").read_text() == "one" and not (tmp_path / "b.py").exists()
    assert (done.restored, done.deleted) == (1, 1)
    assert [m.text for m in w.state.history.messages if hasattr(m, "internal")] == ["first"]
    await rewind(w, 0)
    assert (tmp_path / "a.py").read_text() == "mine"
    assert w.state.history.messages == []


async def test_the_users_own_edits_are_shown_first_and_can_be_had_back(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    w = await world(write("a.py=tool", 1), "done", write("b.py=tool", 2), "done", tools=[writer], snapshots=snapshots)
    await w.say("first")
    await w.until(e.SnapshotTaken, count=2)
    (tmp_path / "notes.txt").write_text("by hand, between two turns\n")
    await w.say("second")
    await w.until(e.SnapshotTaken, count=4)
    (tmp_path / "b.py").write_text("by hand, after the tool\n")
    planned = await plan(w)
    assert {diff.path for diff in planned.own_changes} == {"notes.txt", "b.py"}
    assert "+by hand, after the tool" in next(diff.unified for diff in planned.own_changes if diff.path == "b.py")
    assert set(planned.deleted) == {"a.py", "b.py", "notes.txt"}
    done = await rewind(w)
    assert list(tmp_path.glob("*.txt")) == []
    back = await rewind(w, to_snapshot=done.saved, conversation=False)
    assert (tmp_path / "notes.txt").read_text() == "by hand, between two turns\n"
    assert (tmp_path / "b.py").read_text() == "by hand, after the tool\n" and (tmp_path / "a.py").read_text() == "tool"
    assert back.conversation is False


async def test_what_changes_after_the_plan_asks_again(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    w = await world(write("a.py=tool", 1), "done", tools=[writer], snapshots=snapshots)
    await w.say("first")
    await w.until(e.SnapshotTaken, count=2)
    planned = await plan(w)
    (tmp_path / "a.py").write_text("by hand\n")
    await w.session.submit(op.Rewind(confirmed_changes=planned.confirm))
    again = await w.until(e.RewindPlanned, count=2)
    assert again.confirm != planned.confirm
    assert [diff.path for diff in again.own_changes] == ["a.py"]
    assert (tmp_path / "a.py").read_text() == "by hand\n" and w.of(e.RewindComplete) == []
    assert len(w.state.history.messages) > 0
    await w.session.submit(op.Rewind(confirmed_changes=again.confirm))
    await w.until(e.RewindComplete)
    assert not (tmp_path / "a.py").exists()


async def test_files_alone_and_conversation_alone(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    w = await world(write("a.py=tool", 1), "done", tools=[writer], snapshots=snapshots)
    await w.say("first")
    done = await rewind(w, files=False)
    assert (done.files, done.conversation) == (False, True)
    assert (tmp_path / "a.py").exists() and w.state.history.messages == []
    w.port.steps = [write("a.py=again", 2), "done"]
    await w.say("second")
    done = await rewind(w, conversation=False)
    assert (tmp_path / "a.py").read_text() == "tool"
    assert len(w.state.history.messages) == 4


async def test_a_turn_that_runs_is_stopped_before_anything_goes_back(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    async def hang(args: EchoArgs, ctx: ToolContext) -> str:
        (tmp_path / "half").write_text("half")
        ctx.report("hanging")
        await asyncio.Event().wait()
        return ""

    w = await world([call("hang")], tools=[Echo(hang, name="hang", risk=WRITES)], snapshots=snapshots)
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.ToolLog)
    done = await rewind(w)
    assert not (tmp_path / "half").exists() and done.deleted == 1
    assert w.of(e.Interrupted)


async def test_a_snapshot_is_there_before_the_first_write(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    w = await world(write("a.py=tool", 1), "done", tools=[writer], snapshots=snapshots)
    await w.say("first")
    names = w.names()
    assert names.index("snapshot") < names.index("tool_output")
    first = w.of(e.SnapshotTaken)[0]
    assert (first.kind, first.message_seq) == ("before", w.state.history.user_seqs()[0])


async def test_after_a_restart_one_can_still_go_back(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    w = await world(write("a.py=tool", 1), "done", tools=[writer], snapshots=snapshots)
    await w.say("first")
    await w.session.aclose()
    again = await world("hello", tools=[writer], snapshots=snapshots, store=w.store)
    await rewind(again)
    assert not (tmp_path / "a.py").exists()


async def test_without_git_the_conversation_goes_back_and_a_word_says_why_files_do_not(world: MakeWorld, tmp_path: Path) -> None:
    w = await world("hello", snapshots=lambda log: Snapshots.of_folder(log, tmp_path / "state", {"PATH": str(tmp_path)}))
    await w.say("first")
    note = (await w.until(e.SnapshotTaken)).note
    assert "git is not installed" in note
    done = await rewind(w)
    assert (done.files, done.conversation) == (False, True) and "git is not installed" in done.note
    await w.session.submit(op.Rewind(conversation=False))
    assert "There is no message" in (await w.until(e.ErrorRaised)).error


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (op.Rewind(before_message=7), "There is no message 7"),
        (op.Rewind(to_snapshot="--exec=evil", conversation=False), "has no snapshot"),
    ],
)
async def test_what_is_not_there_is_said(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], operation: op.Rewind, words: str
) -> None:
    w = await world("hello", snapshots=snapshots)
    await w.say("first")
    await w.session.submit(operation)
    error = await w.until(e.ErrorRaised)
    assert words in error.error and not error.ends_turn


async def test_what_changes_while_a_command_runs_is_shown_as_perhaps_the_users_and_can_be_kept(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("old\n")

    def command(args: EchoArgs, ctx: ToolContext) -> str:
        (tmp_path / "model.bin").write_text("trained")
        (tmp_path / "notes.md").write_text("the user, meanwhile\n")
        (tmp_path / "thesis.tex").write_text("the user, meanwhile\n")
        return "trained"

    w = await world([call("command")], "done", tools=[Echo(command, name="command", risk=WRITES)], snapshots=snapshots)
    await w.say("train")
    planned = await plan(w)
    assert planned.own_changes == ()
    assert {diff.path for diff in planned.perhaps_own} == {"model.bin", "notes.md", "thesis.tex"}
    assert "+the user, meanwhile" in next(diff.unified for diff in planned.perhaps_own if diff.path == "notes.md")
    await w.session.submit(op.Rewind(confirmed_changes=planned.confirm, keep=("notes.md", "thesis.tex")))
    done = await w.until(e.RewindComplete)
    assert set(done.kept) == {"notes.md", "thesis.tex"} and done.deleted == 1
    assert (tmp_path / "notes.md").read_text() == "the user, meanwhile\n" and (tmp_path / "thesis.tex").exists()
    assert not (tmp_path / "model.bin").exists()


async def test_a_file_that_a_call_named_is_the_tools_and_one_beside_it_perhaps_the_users(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], tmp_path: Path
) -> None:
    def edit(args: EchoArgs, ctx: ToolContext) -> str:
        (tmp_path / "a.py").write_text("tool\n")
        (tmp_path / "b.py").write_text("the user, meanwhile\n")
        return "written"

    named = Risk(effects=frozenset({Effect.WRITES_WORKSPACE}), writes=frozenset({str(tmp_path / "a.py")}))
    w = await world([call("edit")], "done", tools=[Echo(edit, name="edit", risk=named)], snapshots=snapshots)
    await w.say("edit")
    planned = await plan(w)
    assert set(planned.deleted) == {"a.py", "b.py"}
    assert [diff.path for diff in planned.perhaps_own] == ["b.py"]


async def test_a_named_file_that_was_edited_after_the_tool_wrote_it_is_perhaps_the_users(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], tmp_path: Path
) -> None:
    wrote = {"a.py": "tool\n", "b.py": "tool\n"}

    def edit(args: EchoArgs, ctx: ToolContext) -> ToolOutput:
        seen: list[e.FileSeen] = []
        for name, text in wrote.items():
            (tmp_path / name).write_text(text)
            status = (tmp_path / name).stat()
            seen.append(e.FileSeen(path=str(tmp_path / name), mtime_ns=status.st_mtime_ns, size_bytes=status.st_size))
        (tmp_path / "a.py").write_text("tool\nand the user, before the batch was over\n")
        return ToolOutput(text="written", files=tuple(seen))

    named = Risk(effects=frozenset({Effect.WRITES_WORKSPACE}), writes=frozenset(str(tmp_path / name) for name in wrote))
    w = await world([call("edit")], "done", tools=[Echo(edit, name="edit", risk=named)], snapshots=snapshots)
    await w.say("edit")
    planned = await plan(w)
    assert set(planned.deleted) == {"a.py", "b.py"}
    assert [diff.path for diff in planned.perhaps_own] == ["a.py"]


async def test_what_a_rewind_itself_changed_is_nobodys_edit(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    w = await world(write("a.py=tool", 1), "done", tools=[writer], snapshots=snapshots)
    await w.say("first")
    done = await rewind(w, conversation=False)
    planned = await plan(w, to_snapshot=done.saved, conversation=False)
    assert planned.restored == ("a.py",) and planned.own_changes == planned.perhaps_own == ()


async def test_what_could_not_go_back_is_told_with_the_snapshot_that_brings_all_back(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    (tmp_path / "place").write_text("a file")

    def command(args: EchoArgs, ctx: ToolContext) -> str:
        (tmp_path / "place").unlink()
        (tmp_path / "place").mkdir()
        (tmp_path / "place" / "mine").write_text("mine")
        (tmp_path / "new").write_text("new")
        return ""

    w = await world([call("command")], "done", tools=[Echo(command, name="command", risk=WRITES)], snapshots=snapshots)
    await w.say("go")
    planned = await plan(w)
    await w.session.submit(op.Rewind(confirmed_changes=planned.confirm, keep=("place/mine",)))
    done = await w.until(e.RewindComplete)
    assert done.saved and done.deleted == 1 and not (tmp_path / "new").exists()
    assert [words.partition(":")[0] for words in done.failed] == ["place"]
    assert w.state.history.messages == []
    await rewind(w, to_snapshot=done.saved, conversation=False)
    assert (tmp_path / "new").exists()


async def test_a_rewind_of_which_no_end_is_known_is_told_once_at_the_next_start(
    world: MakeWorld, snapshots: Callable[[EventLog], Snapshots], writer: Echo, tmp_path: Path
) -> None:
    w = await world(write("a.py=tool", 1), "done", tools=[writer], snapshots=snapshots)
    await w.say("first")
    last = (await w.until(e.SnapshotTaken, count=2)).commit
    await w.session.log.append(e.SnapshotTaken(commit=last, kind="rewind"))
    await w.session.aclose()
    again = await world(tools=[writer], snapshots=snapshots, store=w.store)
    told = await again.until(e.RewindComplete)
    assert told.cut_short and told.saved == last and not told.conversation
    await again.session.aclose()
    third = await world(tools=[writer], snapshots=snapshots, store=w.store)
    assert third.state.rewinding == "" and len(third.state.history.messages) > 0


async def test_a_rewind_right_after_a_quick_turn_waits_for_the_snapshot_of_its_message(
    world: MakeWorld, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("mine")
    programs, go_on = tmp_path / "bin", tmp_path / "bin" / "go-on"
    programs.mkdir()
    os.mkfifo(go_on)
    slow = (
        f'#!/bin/sh\ncase " $* " in *" write-tree "*) test -p {go_on} && read -r word <{go_on} ;; esac\nexec {shutil.which("git")} "$@"\n'
    )
    (programs / "git").write_text(slow)
    (programs / "git").chmod(0o755)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home)}
    w = await world("hello", snapshots=lambda log: Snapshots.of_folder(log, home / "state", environ))
    await w.say("first")
    assert w.of(e.SnapshotTaken) == []
    planning = asyncio.create_task(plan(w))
    with await asyncio.to_thread(go_on.open, "w") as writer:  # from here on, the snapshot goes on
        go_on.unlink()
        writer.write("go\n")
    planned = await planning
    assert planned.files and planned.snapshot == w.of(e.SnapshotTaken)[0].commit
