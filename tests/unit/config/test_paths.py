from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

import ml_intern
from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from, private_dir, with_tilde
from ml_intern.errors import ConfigError


def test_the_folders_are_where_the_specification_says() -> None:
    paths = paths_from(Environ({"HOME": "/h"}))
    assert [str(path) for path in paths] == [
        "/h/.config/ml-intern",
        "/h/.local/share/ml-intern",
        "/h/.cache/ml-intern",
        "/h/.local/state/ml-intern",
    ]
    assert str(paths.sessions_db) == "/h/.local/share/ml-intern/sessions.db"


def test_variables_move_them() -> None:
    paths = paths_from(Environ({"HOME": "/h", "XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s"}))
    assert (str(paths.data_dir), str(paths.state_dir)) == ("/d/ml-intern", "/s/ml-intern")


def test_a_relative_folder_is_ignored_as_the_specification_wants() -> None:
    assert str(paths_from(Environ({"HOME": "/h", "XDG_CONFIG_HOME": "rel"})).config_dir) == "/h/.config/ml-intern"


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    made = private_dir(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_what_is_missing_above_a_folder_is_made_for_its_owner_alone_too(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        made = private_dir(tmp_path / "state" / "ml-intern" / "mcp")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (made, made.parent, made.parent.parent)] == [0o700] * 3


def test_nobody_makes_a_private_folder_with_mkdir_alone_for_it_leaves_the_ones_above_open() -> None:
    source = Path(ml_intern.__file__).parent
    unlike = re.compile(r"mkdir\((?=[^)]*parents=True)(?=[^)]*mode=)")
    assert [str(path.relative_to(source)) for path in sorted(source.rglob("*.py")) if unlike.search(path.read_text())] == []


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private_dir(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(ConfigError, match=r"x/data cannot be made"):
        private_dir(tmp_path / "x" / "data")


@pytest.mark.parametrize(
    ("path", "home", "shown"),
    [
        ("/home/al", "/home/al", "~"), ("/home/al/x", "/home/al", "~/x"), ("/home/al/x", "/home/al/", "~/x"),
        ("/home/alice/x", "/home/al", "/home/alice/x"), ("/srv", "/home/al", "/srv"), ("/srv", "/", "/srv"), ("", "/home/al", ""),
    ],
)  # fmt: skip
def test_a_home_is_shown_as_a_tilde_where_it_is_one(path: str, home: str, shown: str) -> None:
    assert with_tilde(path, home) == with_tilde(path, Path(home)) == shown
