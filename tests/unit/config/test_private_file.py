"""A file of ours is replaced as a whole, and is nobody else's to read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ml_intern.config.private_file import replace_private


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
