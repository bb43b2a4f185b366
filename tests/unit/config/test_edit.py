"""Changing the user's settings file: one key, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ml_intern.config.edit import change_value, drop_value, put_value
from ml_intern.config.environ import Environ
from ml_intern.errors import ConfigError

SERVER = ("mcpServers", "x")


def test_a_file_is_made_for_the_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "config" / "settings.json"
    put_value(path, SERVER, {"command": "run"})
    assert json.loads(path.read_text()) == {"mcpServers": {"x": {"command": "run"}}}
    assert path.stat().st_mode & 0o777 == 0o600
    assert {entry.name for entry in path.parent.iterdir()} == {"settings.json", ".settings.json.lock"}


def test_other_keys_and_references_to_variables_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    before = {
        "model_name": "${MODEL:-a/b}",
        "mcpServers": {"y": {"command": "é"}, "x": {"command": "old", "args": ["1"]}},
        "max_iterations": 5,
    }
    path.write_text(json.dumps(before))
    path.chmod(0o640)
    put_value(path, SERVER, {"url": "https://x.example/", "headers": {"Authorization": "Bearer ${KEY}"}})
    after = json.loads(path.read_text())
    assert after.pop("mcpServers")["x"] == {"url": "https://x.example/", "headers": {"Authorization": "Bearer ${KEY}"}}
    assert after == {key: value for key, value in before.items() if key != "mcpServers"}
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_value_that_cannot_be_right_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"mcpServers\.x\.command.*exactly one"):
        put_value(path, SERVER, {"command": "a", "url": "https://b/"})
    assert path.read_text() == "{}"


def test_a_file_with_a_mistake_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"a": ')
    with pytest.raises(ConfigError, match="not valid JSON"):
        put_value(path, SERVER, {"command": "a"})
    assert path.read_text() == '{"a": '


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "settings.json"
    real.parent.mkdir()
    real.write_text("{}")
    link = tmp_path / "settings.json"
    link.symlink_to(real)
    put_value(link, SERVER, {"command": "a"})
    assert link.is_symlink() and "mcpServers" in json.loads(real.read_text())


def test_a_key_is_dropped_and_its_neighbours_stay(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"mcpServers": {"x": {"command": "a"}, "y": {"command": "b"}}, "yolo_mode": false}')
    assert drop_value(path, SERVER)
    assert json.loads(path.read_text()) == {"mcpServers": {"y": {"command": "b"}}, "yolo_mode": False}
    assert not drop_value(path, SERVER)
    assert not drop_value(tmp_path / "none.json", SERVER)


def test_a_reference_that_would_stop_the_next_start_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="KEY"):
        put_value(path, SERVER, {"command": "${KEY}"}, Environ({}))
    assert path.read_text() == "{}"
    put_value(path, SERVER, {"command": "${KEY}"}, Environ({"KEY": "x"}))
    assert json.loads(path.read_text())["mcpServers"]["x"] == {"command": "${KEY}"}


def test_a_change_that_changes_nothing_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert not change_value(path, SERVER, lambda _: None)
    assert not path.exists()


def test_changes_of_several_processes_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    code = (
        "import sys; from pathlib import Path; from ml_intern.config.edit import put_value\n"
        "for n in range(5): put_value(Path(sys.argv[1]), ('mcpServers', sys.argv[2] + str(n)), {'command': 'run'})"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abcd"]
    assert [one.wait() for one in running] == [0] * 4
    assert sorted(json.loads(path.read_text())["mcpServers"]) == [f"{name}{n}" for name in "abcd" for n in range(5)]
