"""A file of ours is replaced as a whole, and is nobody else's to read."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import pytest

from ml_intern.config.private_file import change_private, hold, replace_private


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_and_the_folders_made_for_it_are_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "deep" / "token"
    replace_private(path, b"secret")
    assert path.read_bytes() == b"secret"
    assert [mode_of(each) for each in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_a_mode_holds_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        replace_private(tmp_path / "settings.json", b"{}", mode=0o644)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "settings.json") == 0o644


def test_whoever_has_the_old_file_open_reads_the_old_one_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_private(path, b"old")
    with path.open("rb") as reading:
        replace_private(path, b"new one")
        assert reading.read() == b"old"
    assert path.read_bytes() == b"new one"


def test_what_cannot_be_put_in_place_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError):
        replace_private(path, b"data")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_changes_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: change_private(path, lambda data: (data or b"") + bytes([n])), range(20)))
    assert sorted(path.read_bytes()) == list(range(20))
    assert mode_of(path) == 0o600


def test_a_change_that_says_nothing_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert not change_private(path, lambda _: None) and not path.exists()
    replace_private(path, b"x", mode=0o644)
    before = path.stat().st_ino
    assert not change_private(path, lambda data: data) and path.stat().st_ino == before
    assert change_private(path, lambda _: b"y", keep_mode=True) and mode_of(path) == 0o644


def test_a_lock_whose_file_was_removed_while_we_waited_is_taken_anew(tmp_path: Path) -> None:
    """Who held it removes the file as it goes: the lock on what we had opened keeps nobody out."""
    path = tmp_path / "lock"
    removed: list[Path] = []

    def remove_before_the_lock(frame: FrameType, event: str, called: object) -> None:
        if event == "c_call" and called is fcntl.flock and not removed:
            removed.append(path)
            path.unlink()

    sys.setprofile(remove_before_the_lock)
    try:
        fd = hold(path)
    finally:
        sys.setprofile(None)
    assert removed
    assert fd is not None and os.path.samestat(os.fstat(fd), path.stat())
    assert hold(path) is None
    os.close(fd)
