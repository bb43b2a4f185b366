"""Rules kept for a folder: nothing that would lock it gets in, and what is wrong is told with the file's name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml_intern.errors import ConfigError
from ml_intern.session.project_rules import ProjectRules


def test_what_was_added_is_loaded_for_this_folder_alone(tmp_path: Path) -> None:
    rules = ProjectRules(tmp_path, tmp_path / "a")
    assert rules.load() == ()
    rules.add("bash(make)")
    rules.add(r"bash(rm \*.o)")
    rules.add("bash(make)")
    assert ProjectRules(tmp_path, tmp_path / "a").load() == (r"bash(rm \*.o)", "bash(make)")
    assert ProjectRules(tmp_path, tmp_path / "b").load() == ()


def test_what_is_no_rule_is_not_kept(tmp_path: Path) -> None:
    rules = ProjectRules(tmp_path, tmp_path)
    with pytest.raises(ConfigError, match="no permission rule"):
        rules.add("a/b")
    assert rules.load() == ()


@pytest.mark.parametrize("content", ['{"folder": "x", "allow": ["bash", "a/b"]}', '{"folder": 3}', "nonsense"])
def test_an_old_file_that_holds_no_rules_is_named(tmp_path: Path, content: str) -> None:
    rules = ProjectRules(tmp_path, tmp_path)
    rules.add("bash")
    (file,) = (tmp_path / "projects").glob("*.json")
    file.write_text(content)
    with pytest.raises(ConfigError, match=file.name):
        rules.load()


def test_twenty_rules_kept_at_once_are_all_there(tmp_path: Path) -> None:
    rules = [f"bash(echo {n})" for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda rule: ProjectRules(tmp_path, tmp_path).add(rule), rules))
    assert sorted(ProjectRules(tmp_path, tmp_path).load()) == sorted(rules)


def test_a_rule_of_the_folder_takes_the_place_of_another_or_nothing_happens(tmp_path: Path) -> None:
    rules = ProjectRules(tmp_path, tmp_path)
    rules.add("bash")
    rules.add("read")
    assert rules.change("allow", "edit", wanted=True, replaces="bash")
    assert not rules.change("allow", "glob", wanted=True, replaces="bash")
    assert rules.load() == ("edit", "read")
