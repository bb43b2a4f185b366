"""Snapshots with the real git: what they hold, what they leave alone, and that the user's own repository never learns of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ml_intern.compute.shadow_git import SnapshotFailed
from ml_intern.compute.shadow_intake import LIMITS
from ml_intern.compute.shadow_repository import ShadowRepository

Open = Callable[..., ShadowRepository]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
async def shadow(tmp_path: Path, work: Path) -> AsyncIterator[Open]:
    made: list[ShadowRepository] = []

    def make(session: str = "s1") -> ShadowRepository:
        found = ShadowRepository.find(tmp_path / "state", work, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, session)
        assert isinstance(found, ShadowRepository)
        made.append(found)
        return found

    yield make
    for one in made:
        await one.aclose()


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def test_files_come_back_byte_for_byte_and_new_ones_go(shadow: Open, work: Path) -> None:
    (work / "a.py").write_bytes(b"one\r\ntwo\n")
    (work / "ünï codé.txt").write_text("x")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("a.py")
    before = everything(work)
    repository = shadow()
    first = await repository.record()
    (work / "a.py").write_text("other")
    (work / "ünï codé.txt").unlink()
    (work / "run.sh").chmod(0o644)
    (work / "link").unlink()
    (work / "deep" / "er").mkdir(parents=True)
    (work / "deep" / "er" / "new.txt").write_text("new")
    restored = await repository.restore(await repository.record(), first.commit)
    assert everything(work) == before
    assert (work / "link").is_symlink() and os.access(work / "run.sh", os.X_OK)
    assert not (work / "deep").exists()
    assert restored.deleted == ("deep/er/new.txt",)
    assert (await repository.record()).tree == first.tree


async def test_a_file_of_the_users_own_with_a_name_like_a_rewinds_is_kept_as_any_other(shadow: Open, work: Path) -> None:
    names = (".ml-intern-rewind", ".ml-intern-rewind-notes")
    for name in (*names, "a"):
        (work / name).write_text("mine")
    repository = shadow()
    first = await repository.record()
    for name in (*names, "a"):
        (work / name).write_text("other")
    await repository.restore(await repository.record(), first.commit)
    await repository.clear_drafts()
    assert everything(work) == dict.fromkeys(sorted((*names, "a")), b"mine")


async def test_what_is_unchanged_is_the_same_snapshot(shadow: Open, work: Path) -> None:
    (work / "a").write_text("a")
    repository = shadow()
    first = await repository.record()
    assert await repository.record() == first


async def test_git_of_the_user_sees_nothing_of_it(shadow: Open, work: Path) -> None:
    git(work, "init", "-q")
    (work / "a").write_text("a")
    git(work, "add", "a")
    git(work, "commit", "-qm", "a")
    (work / "a").write_text("b")
    before = everything(work / ".git")
    repository = shadow()
    first = await repository.record()
    (work / "a").write_text("c")
    await repository.restore(await repository.record(), first.commit)
    assert everything(work / ".git") == before
    assert git(work, "diff", "--stat", "--", "a")


async def test_a_planted_configuration_starts_nothing(shadow: Open, work: Path) -> None:
    """Filters, fsmonitor, hooks and pagers of the workspace's own repository, and attributes that name them."""
    git(work, "init", "-q")
    evil = f"touch {work}/PWNED"
    for key in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "core.pager", "diff.external", "diff.evil.textconv"):
        git(work, "config", key, evil)
    (work / ".git" / "hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-commit", "pre-auto-gc"):
        (work / ".git" / "hooks" / hook).write_text(f"#!/bin/sh\n{evil}\n")
        (work / ".git" / "hooks" / hook).chmod(0o755)
    (work / ".gitattributes").write_text("* filter=evil diff=evil text eol=crlf ident working-tree-encoding=UTF-16\n")
    (work / "a.txt").write_bytes(b"$Id$\nx\n")
    repository = shadow()
    first = await repository.record()
    (work / "a.txt").write_bytes(b"other\n")
    second = await repository.record()
    await repository.diffs(first.commit, second.commit, ("a.txt",))
    await repository.restore(second, first.commit)
    assert (work / "a.txt").read_bytes() == b"$Id$\nx\n"
    assert not (work / "PWNED").exists()


async def test_a_repository_within_is_left_alone_and_its_configuration_is_not_run(shadow: Open, work: Path) -> None:
    inner = work / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "x").write_text("x")
    git(inner, "add", "x")
    git(inner, "commit", "-qm", "x")
    git(inner, "config", "core.fsmonitor", f"touch {work}/PWNED")
    repository = shadow()
    first = await repository.record()
    assert "inner/" in first.note
    (inner / "x").write_text("y")
    (work / "a").write_text("a")
    await repository.restore(await repository.record(), first.commit)
    assert (inner / "x").read_text() == "y"
    assert not (work / "PWNED").exists() and not (work / "a").exists()


async def test_ignored_files_are_neither_taken_nor_touched(shadow: Open, work: Path) -> None:
    (work / ".gitignore").write_text("data/\n*.log\n")
    (work / "data").mkdir()
    (work / "data" / "big").write_text("1")
    repository = shadow()
    first = await repository.record()
    (work / "data" / "big").write_text("2")
    (work / "x.log").write_text("log")
    (work / "b").write_text("b")
    await repository.restore(await repository.record(), first.commit)
    assert (work / "data" / "big").read_text() == "2" and (work / "x.log").exists() and not (work / "b").exists()


async def test_a_large_file_is_left_out_and_said_so_once(shadow: Open, work: Path) -> None:
    (work / "model.bin").write_bytes(b"0" * (LIMITS.file_bytes + 1))
    repository = shadow()
    assert "model.bin" in (await repository.record()).note
    assert (await repository.record()).note == ""


async def test_what_no_snapshot_has_saved_is_never_overwritten(shadow: Open, work: Path) -> None:
    """A file that was small once and is large now, and one that an ignored link has replaced."""
    (work / "grows").write_text("small")
    (work / "place").mkdir()
    (work / "place" / "file").write_text("x")
    repository = shadow()
    first = await repository.record()
    large = b"1" * (LIMITS.file_bytes + 1)
    (work / "grows").write_bytes(large)
    (work / "place" / "file").unlink()
    (work / "place").rmdir()
    (work / ".gitignore").write_text("place\n")
    (work / "place").symlink_to("/")
    now = await repository.record()
    assert set(await repository.kept(now.commit, first.commit)) == {"grows", "place/file"}
    restored = await repository.restore(now, first.commit)
    assert set(restored.kept) == {"grows", "place/file"}
    assert (work / "grows").read_bytes() == large and (work / "place").is_symlink()


async def test_a_file_where_a_folder_was_and_the_other_way_round(shadow: Open, work: Path) -> None:
    (work / "a").mkdir()
    (work / "a" / "x").write_text("x")
    (work / "b").write_text("b")
    before = everything(work)
    repository = shadow()
    first = await repository.record()
    (work / "a" / "x").unlink()
    (work / "a").rmdir()
    (work / "a").write_text("now a file")
    (work / "b").unlink()
    (work / "b").mkdir()
    (work / "b" / "y").write_text("y")
    await repository.restore(await repository.record(), first.commit)
    assert everything(work) == before


async def test_a_change_after_the_record_stops_the_restore(shadow: Open, work: Path) -> None:
    (work / "a").write_text("1")
    repository = shadow()
    first = await repository.record()
    (work / "a").write_text("22")
    now = await repository.record()
    (work / "a").write_text("333")
    with pytest.raises(SnapshotFailed, match="have changed"):
        await repository.restore(now, first.commit)
    assert (work / "a").read_text() == "333"


async def test_two_sessions_of_one_folder_do_not_disturb_each_other(shadow: Open, work: Path) -> None:
    one, two = shadow("s1"), shadow("s2")
    for number in range(50):
        (work / f"f{number}").write_text(str(number))
    taken = await asyncio.gather(*(repository.record() for repository in (one, two, one, two)))
    assert len({recorded.tree for recorded in taken}) == 1
    (work / "f1").write_text("changed")
    assert (await one.record()).tree == (await two.record()).tree != taken[0].tree


async def test_what_a_killed_process_left_locked_is_not_waited_for(shadow: Open, tmp_path: Path, work: Path) -> None:
    (work / "a").write_text("1")
    repository = shadow()
    await repository.record()
    (git_dir,) = (tmp_path / "state" / "snapshots").iterdir()
    (git_dir / "index.lock").write_text("")
    (work / "b").write_text("2")
    assert (await repository.record()).commit


async def test_an_unreadable_file_does_not_cost_the_others(shadow: Open, work: Path) -> None:
    (work / "a").write_text("a")
    (work / "secret").write_text("s")
    (work / "secret").chmod(0)
    if os.access(work / "secret", os.R_OK):
        pytest.skip("this user reads everything")
    repository = shadow()
    first = await repository.record()
    (work / "a").write_text("b")
    await repository.restore(await repository.record(), first.commit)
    assert (work / "a").read_text() == "a"


def test_without_git_there_is_a_word_in_its_place(tmp_path: Path, work: Path) -> None:
    assert "git is not installed" in str(ShadowRepository.find(tmp_path, work, {"PATH": str(tmp_path)}, "s1"))


def test_a_home_folder_is_not_recorded(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path.parent, Path("/")):
        found = ShadowRepository.find(tmp_path / "state", folder, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, "s1")
        assert "no folder of one project" in str(found)


async def test_snapshots_of_sessions_long_past_go_and_the_others_stay(shadow: Open, tmp_path: Path, work: Path) -> None:
    (work / "a").write_text("1")
    kept = await shadow("s1").record()
    (git_dir,) = (tmp_path / "state" / "snapshots").iterdir()
    old = {**os.environ, "GIT_DIR": str(git_dir), "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    made = subprocess.run(["git", *who, "commit-tree", kept.tree, "-m", "old"], env=old, check=True, capture_output=True, text=True).stdout
    subprocess.run(["git", "update-ref", "refs/ml-intern/s0/1", made.strip()], env=old, check=True)
    (git_dir / "ml-intern.tidied").touch()
    os.utime(git_dir / "ml-intern.tidied", (0, 0))
    repository = shadow("s2")
    await repository.tidy()
    refs = git(git_dir, "for-each-ref", "--format=%(refname)")
    assert "refs/ml-intern/s0/1" not in refs and "refs/ml-intern/s1/" in refs
    assert list((git_dir / "objects" / "pack").glob("*.pack"))
    (work / "a").write_text("2")
    await repository.restore(await repository.record(), kept.commit)
    assert (work / "a").read_text() == "1"


async def test_tidying_is_done_once_a_day_and_can_be_cut_short(shadow: Open, tmp_path: Path, work: Path) -> None:
    (work / "a").write_text("1")
    repository = shadow()
    await repository.tidy()
    (git_dir,) = (tmp_path / "state" / "snapshots").iterdir()
    stamp = git_dir / "ml-intern.tidied"
    os.utime(stamp, (0, 0))
    task = asyncio.create_task(repository.tidy())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await repository.tidy()
    tidied = stamp.stat().st_mtime_ns
    assert tidied > 0
    await shadow("s2").tidy()
    assert stamp.stat().st_mtime_ns == tidied


async def test_a_folder_that_holds_our_own_files_is_not_recorded(tmp_path: Path, work: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    assert "own files" in str(ShadowRepository.find(work / ".state", work, environ, "s1"))


async def test_stopped_it_fails_at_once_and_leaves_a_repository_that_still_works(shadow: Open, work: Path) -> None:
    (work / "a").write_text("1")
    repository = shadow("s1")
    repository.stop()
    with pytest.raises(SnapshotFailed, match="closing"):
        await repository.record()
    assert (await shadow("s2").record()).commit


async def test_a_git_that_hangs_is_ended_by_the_stop(tmp_path: Path, work: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    os.mkfifo(tmp_path / "started")
    (fake / "git").write_text(f"#!/bin/sh\necho x > {tmp_path}/started\nexec sleep 1000\n")
    (fake / "git").chmod(0o755)
    environ = {"PATH": f"{fake}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    repository = ShadowRepository.find(tmp_path / "state", work, environ, "s1")
    assert isinstance(repository, ShadowRepository)
    task = asyncio.create_task(repository.record())
    await asyncio.to_thread((tmp_path / "started").read_text)
    repository.stop()
    with pytest.raises(SnapshotFailed):
        await task
    await repository.aclose()
