"""What lies where a picture should, and is no file."""

from __future__ import annotations

import os
from pathlib import Path

from ml_intern.frontends.tui.composer.images import images_in
from ml_intern.frontends.tui.pictures.file import load
from ml_intern.frontends.tui.pictures.wish import Wish


def wish(path: Path | str) -> Wish:
    return Wish(path=str(path), columns=20, rows=10, way="blocks", cell=(10, 20), background=(0, 0, 0))


def test_a_pipe_or_a_device_in_place_of_a_picture_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.png")
    assert load(wish(tmp_path / "f.png")).problem == "it is no regular file"
    assert load(wish("/dev/tty")).problem
    assert load(wish("/dev/zero")).problem == "it is no regular file"
    sent, problems = images_in("@f.png", tmp_path)
    assert not sent and problems == ("f.png cannot be read: it is no regular file.",)
