"""Several apps keep their history and their drafts side by side."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.frontends.tui.composer.draft import Draft
from ml_intern.frontends.tui.composer.history import MAX_ENTRIES, History

WRITER = """
import sys
from pathlib import Path
from ml_intern.frontends.tui.composer.history import History
history = History(Path(sys.argv[1]))
history.load()
for number in range(20):
    history.add(f"{sys.argv[2]} {number}")
    history.save()
"""
CRASHING = """
import os, sys
from pathlib import Path
from ml_intern.frontends.tui.composer.draft import Draft
Draft(Path(sys.argv[1]), Path("/shop")).save("half a thought")
os.kill(os.getpid(), 9)
"""


def saved(path: Path) -> tuple[str, ...]:
    history = History(path)
    history.load()
    return history.entries


def test_two_apps_lose_nothing_of_each_others_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    one, two = History(path), History(path)
    one.load()
    two.load()
    for text in ("A 1", "A 2"):
        one.add(text)
        one.save()
    two.add("B")
    two.save()
    one.add("A 3")
    one.save()
    assert saved(path) == ("A 1", "A 2", "B", "A 3")


async def test_processes_that_write_the_history_at_the_same_time_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    writers = [await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(path), name) for name in "abc"]
    assert [await writer.wait() for writer in writers] == [0, 0, 0]
    assert sorted(saved(path)) == sorted(f"{name} {number}" for name in "abc" for number in range(20))


def test_of_a_long_history_the_newest_are_kept(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    for number in range(MAX_ENTRIES + 5):
        history.add(str(number))
    history.save()
    assert saved(tmp_path / "history.jsonl")[0] == "5"
    assert len(saved(tmp_path / "history.jsonl")) == MAX_ENTRIES


def test_a_history_that_cannot_be_written_is_saved_when_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("in the way")
    history = History(folder / "history.jsonl")
    history.add("kept")
    history.save()
    folder.unlink()
    history.save()
    assert saved(folder / "history.jsonl") == ("kept",)


def test_a_draft_of_another_app_in_the_same_folder_is_left_alone(tmp_path: Path) -> None:
    one, two = Draft(tmp_path, Path("/shop")), Draft(tmp_path, Path("/shop"))
    assert one.load() == ""
    one.save("of the first")
    assert two.load() == "", "the first still writes it"
    two.save("of the second")
    two.save("")
    one.leave()
    assert Draft(tmp_path, Path("/shop")).load() == "of the first"


def test_a_sent_draft_leaves_nothing_behind(tmp_path: Path) -> None:
    draft = Draft(tmp_path, Path("/shop"))
    draft.save("thought")
    draft.save("")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_app_was_writing_is_there_at_the_next_start(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASHING, str(tmp_path)], check=False, timeout=20)
    assert done.returncode == -9
    assert Draft(tmp_path, Path("/elsewhere")).load() == ""
    assert Draft(tmp_path, Path("/shop")).load() == "half a thought"


def test_of_several_that_were_left_the_newest_comes_first_and_the_others_wait(tmp_path: Path) -> None:
    for text, written_at in (("older", 100), ("newer", 200)):
        draft = Draft(tmp_path, Path("/shop"))
        draft.save(text)
        (path,) = [each for each in tmp_path.glob("*.txt") if each.read_text() == text]
        os.utime(path, (written_at, written_at))
        draft.leave()
    first, second = Draft(tmp_path, Path("/shop")), Draft(tmp_path, Path("/shop"))
    assert [first.load(), second.load()] == ["newer", "older"]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_draft_makes_no_file(tmp_path: Path, text: str) -> None:
    Draft(tmp_path, Path("/shop")).save(text)
    assert list(tmp_path.iterdir()) == []
