"""What a rewind leaves to the user: whatever was there before, or may have been, recorded or not. With the real git."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path

import pytest

from ml_intern.compute.shadow_git import SnapshotFailed
from ml_intern.compute.shadow_intake import Limits
from ml_intern.compute.shadow_repository import ShadowRepository
from ml_intern.compute.shadow_tidy import KEPT_LAST

Open = Callable[..., ShadowRepository]
SMALL = Limits(file_bytes=1000, files=20, new_bytes=5000, repository_bytes=10_000_000)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
async def shadow(tmp_path: Path, work: Path) -> AsyncIterator[Open]:
    made: list[ShadowRepository] = []

    def make(limits: Limits = SMALL, session: str = "s1") -> ShadowRepository:
        found = ShadowRepository.find(tmp_path / "state", work, {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, session, limits)
        assert isinstance(found, ShadowRepository)
        made.append(found)
        return found

    yield make
    for one in made:
        await one.aclose()


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def git_dir(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "state" / "snapshots").iterdir()
    return found


async def test_files_that_the_first_snapshot_had_no_room_for_stay(shadow: Open, work: Path) -> None:
    for number in range(8):
        (work / f"image{number}.png").write_bytes(os.urandom(900))
    repository = shadow()
    first = await repository.record()
    assert "more than there is room for" in first.note and "larger than" not in first.note
    (work / "made.txt").write_text("made by the agent")
    now = await repository.record()
    restored = await repository.restore(now, first.commit)
    assert len(list(work.glob("*.png"))) == 8
    assert restored.deleted == ("made.txt",)
    assert set(restored.kept) <= {f"image{number}.png" for number in range(8)} and restored.kept


async def test_ignored_files_stay_when_the_list_of_what_to_ignore_is_emptied(shadow: Open, work: Path) -> None:
    (work / ".gitignore").write_text(".env\nruns/\n")
    (work / ".env").write_text("KEY=1")
    (work / "runs").mkdir()
    (work / "runs" / "best.ckpt").write_text("weights")
    repository = shadow()
    first = await repository.record()
    (work / ".gitignore").write_text("")
    (work / "new.py").write_text("new")
    restored = await repository.restore(await repository.record(), first.commit)
    assert (work / ".env").read_text() == "KEY=1" and (work / "runs" / "best.ckpt").read_text() == "weights"
    assert (work / ".gitignore").read_text() == ".env\nruns/\n" and not (work / "new.py").exists()
    assert set(restored.kept) == {".env", "runs/best.ckpt"}


async def test_a_repository_within_stays_when_its_git_folder_is_removed(shadow: Open, work: Path) -> None:
    lib = work / "lib"
    lib.mkdir()
    git(lib, "init", "-q")
    (lib / "x.py").write_text("x")
    git(lib, "add", "x.py")
    git(lib, "commit", "-qm", "x")
    repository = shadow()
    first = await repository.record()
    shutil.rmtree(lib / ".git")
    restored = await repository.restore(await repository.record(), first.commit)
    assert (lib / "x.py").read_text() == "x" and restored.kept == ("lib/x.py",) and restored.deleted == ()


async def test_files_beyond_the_number_stay_when_others_make_place_for_them(shadow: Open, work: Path) -> None:
    for number in range(30):
        (work / f"f{number:02}").write_text(str(number))
    repository = shadow()
    first = await repository.record()
    for number in range(10):
        (work / f"f{number:02}").unlink()
    restored = await repository.restore(await repository.record(), first.commit)
    assert len(list(work.iterdir())) == 30
    assert restored.deleted == () and len(restored.kept) == 10


async def test_a_changed_file_is_saved_also_when_the_number_is_full(shadow: Open, work: Path) -> None:
    for number in range(30):
        (work / f"f{number:02}").write_text(str(number))
    repository = shadow()
    first = await repository.record()
    (work / "f00").write_text("changed")
    (work / "f01").write_text("changed too")
    now = await repository.record()
    await repository.restore(now, first.commit)
    assert (work / "f00").read_text() == "0"
    await repository.restore(await repository.record(), now.commit)
    assert (work / "f00").read_text() == "changed"


async def test_a_file_that_grew_too_large_and_shrank_again_stays_as_it_was_found(shadow: Open, work: Path) -> None:
    (work / "log").write_bytes(b"1" * 2000)
    repository = shadow()
    first = await repository.record()
    (work / "log").write_bytes(b"1")
    restored = await repository.restore(await repository.record(), first.commit)
    assert (work / "log").exists() and restored.kept == ("log",)


async def test_a_snapshot_that_does_not_say_what_it_left_out_deletes_nothing(shadow: Open, tmp_path: Path, work: Path) -> None:
    (work / "a").write_text("a")
    repository = shadow()
    first = await repository.record()
    who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    made = subprocess.run(
        ["git", *who, "commit-tree", first.tree, "-m", "snapshot"], cwd=git_dir(tmp_path), check=True, capture_output=True, text=True
    )
    (work / "b").write_text("b")
    restored = await repository.restore(await repository.record(), made.stdout.strip())
    assert (work / "b").exists() and restored.kept == ("b",)


async def test_names_that_are_no_text_are_known_again(shadow: Open, work: Path) -> None:
    (work / ".gitignore").write_text("*.ign\n")
    odd = work / os.fsdecode(b"b\xff\n.ign")
    odd.write_text("mine")
    repository = shadow()
    first = await repository.record()
    (work / ".gitignore").unlink()
    await repository.restore(await repository.record(), first.commit)
    assert odd.read_text() == "mine"


async def test_of_a_folder_with_many_left_out_files_nothing_is_deleted(shadow: Open, work: Path) -> None:
    (work / ".gitignore").write_text("cache\n")
    (work / "cache").mkdir()
    for number in range(300):
        (work / "cache" / f"{number}").touch()
    repository = shadow(Limits())
    first = await repository.record()
    (work / ".gitignore").unlink()
    (work / "cache" / "perhaps-new").touch()
    (work / "new").touch()
    restored = await repository.restore(await repository.record(), first.commit)
    assert len(list((work / "cache").iterdir())) == 301 and restored.deleted == ("new",)


async def test_what_the_user_wants_to_keep_stays_and_the_rest_goes_back(shadow: Open, work: Path) -> None:
    (work / "a").write_text("1")
    repository = shadow()
    first = await repository.record()
    for name in ("a", "b", "c"):
        (work / name).write_text("2")
    restored = await repository.restore(await repository.record(), first.commit, frozenset({"a", "b"}))
    assert (work / "a").read_text() == "2" and (work / "b").exists() and not (work / "c").exists()
    assert restored.kept == ("a", "b") and restored.deleted == ("c",)


async def test_a_folder_that_became_a_link_ends_no_snapshots(shadow: Open, tmp_path: Path, work: Path) -> None:
    (work / "d").mkdir()
    (work / "d" / "a").write_text("mine")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("elsewhere")
    repository = shadow()
    first = await repository.record()
    shutil.rmtree(work / "d")
    (work / "d").symlink_to("../data")
    now = await repository.record()
    assert await repository.kept(now.commit, first.commit) == ()
    await repository.restore(now, first.commit)
    assert not (work / "d").is_symlink() and (work / "d" / "a").read_text() == "mine"
    assert (tmp_path / "data" / "a").read_text() == "elsewhere"
    await repository.restore(await repository.record(), now.commit)
    assert (work / "d").is_symlink()


async def test_permissions_and_empty_folders_come_back(shadow: Open, work: Path) -> None:
    (work / "key.pem").write_text("secret")
    (work / "key.pem").chmod(0o600)
    (work / "run.sh").write_text("run")
    (work / "run.sh").chmod(0o700)
    (work / "out").mkdir()
    for name in ("a", "b"):
        (work / name).write_text(name)
    repository = shadow()
    first = await repository.record()
    (work / "key.pem").unlink()
    (work / "run.sh").write_text("changed")
    (work / "run.sh").chmod(0o644)
    (work / "out" / "new").write_text("new")
    await repository.restore(await repository.record(), first.commit)
    assert (work / "key.pem").stat().st_mode & 0o777 == 0o600
    assert (work / "run.sh").stat().st_mode & 0o777 == 0o700
    assert (work / "out").is_dir() and list((work / "out").iterdir()) == []


async def test_what_cannot_be_put_back_is_told_and_the_rest_is_done(shadow: Open, tmp_path: Path, work: Path) -> None:
    """A file of this system's own in the way cannot be had in every test; a kept one in a folder that must become a file can."""
    (work / "a").write_text("1")
    (work / "place").write_text("a file")
    repository = shadow()
    first = await repository.record()
    (work / "a").write_text("2")
    (work / "place").unlink()
    (work / "place").mkdir()
    (work / "place" / "mine").write_text("kept")
    (work / "new").write_text("new")
    restored = await repository.restore(await repository.record(), first.commit, frozenset({"place/mine"}))
    assert [words.partition(":")[0] for words in restored.failed] == ["place"]
    assert restored.restored == ("a",) and restored.deleted == ("new",)
    assert (work / "place" / "mine").read_text() == "kept"


async def test_a_folder_that_nothing_may_change_in_costs_only_what_lies_there(shadow: Open, work: Path) -> None:
    (work / "locked").mkdir()
    (work / "locked" / "x").write_text("1")
    (work / "a").write_text("1")
    repository = shadow()
    first = await repository.record()
    (work / "locked" / "x").write_text("2")
    (work / "locked" / "y").write_text("2")
    (work / "a").write_text("2")
    now = await repository.record()
    with _unchangeable(work / "locked") as holds:
        if not holds:
            pytest.skip("this user may change everything here")
        restored = await repository.restore(now, first.commit)
    assert (work / "a").read_text() == "1" and (work / "locked" / "x").read_text() == "2"
    assert [words.partition(":")[0] for words in restored.failed] == ["locked/x", "locked/y"]
    assert sorted(path.name for path in (work / "locked").iterdir()) == ["x", "y"]


@contextlib.contextmanager
def _unchangeable(folder: Path) -> Generator[bool]:
    folder.chmod(0o500)
    attribute = shutil.which("chattr")
    if attribute and os.access(folder, os.W_OK):
        subprocess.run([attribute, "+i", str(folder)], check=False, capture_output=True)
    try:
        (folder / "probe").touch()
        (folder / "probe").unlink()
        holds = False
    except OSError:
        holds = True
    try:
        yield holds
    finally:
        if attribute:
            subprocess.run([attribute, "-i", str(folder)], check=False, capture_output=True)
        folder.chmod(0o700)


async def test_a_full_repository_drops_its_oldest_snapshots_and_keeps_the_last_ones(shadow: Open, tmp_path: Path, work: Path) -> None:
    limits = Limits(repository_bytes=2_000_000)
    repository = shadow(limits)
    taken: list[str] = []
    for _ in range(40):
        (work / "model.bin").write_bytes(os.urandom(100_000))
        taken.append((await repository.record()).commit)
    size = sum(path.stat().st_size for path in git_dir(tmp_path).rglob("*") if path.is_file())
    assert size < 2_500_000
    kept = git(git_dir(tmp_path), "for-each-ref", "--format=%(objectname)").split()
    assert set(taken[-KEPT_LAST:]) <= set(kept)
    now = await repository.record()
    with pytest.raises(SnapshotFailed, match="no longer kept"):
        await repository.kept(now.commit, taken[0])
    await repository.restore(now, taken[-KEPT_LAST])
    assert (await repository.record()).tree != now.tree


async def test_what_does_not_fit_beside_the_last_snapshots_is_left_out_and_left_alone(shadow: Open, work: Path) -> None:
    repository = shadow(Limits(repository_bytes=600_000))
    first = await repository.record()
    notes: list[str] = []
    for _ in range(12):
        (work / "model.bin").write_bytes(os.urandom(100_000))
        notes.append((await repository.record()).note)
    assert any("more than there is room for: model.bin" in note for note in notes)
    now = await repository.record()
    before = (work / "model.bin").read_bytes()
    await repository.restore(now, first.commit)
    assert (work / "model.bin").read_bytes() == before
