"""Where each rule of the settings comes from, and changing the user's own."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ml_intern.config.json_values import JsonDict
from ml_intern.config.load import LoadedSettings, load_settings, user_file
from ml_intern.config.rule_sources import RuleSources
from ml_intern.config.trust import TrustedFolders, needs_trust
from ml_intern.errors import ConfigError


def project(folder: Path, **rules: list[str]) -> None:
    (folder / ".ml-intern").mkdir()
    (folder / ".ml-intern" / "config.json").write_text(json.dumps({"permissions": rules}))


def loaded_in(folder: Path, home: Path, users: dict[str, list[str]] | None = None, **flags: Any) -> LoadedSettings:
    environ = {"HOME": str(home), "PLACE": "data"}
    if users is not None:
        path = home / ".config" / "ml-intern" / "cli_agent_config.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"permissions": users}))
    return load_settings(frontend="cli", cwd=folder, environ=environ, flags=flags)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def told(sources: RuleSources) -> list[tuple[str, str, bool, bool]]:
    return [(rule.kind, rule.rule, rule.is_users, bool(rule.idle)) for rule in sources.read()]


def test_the_users_rules_and_the_projects_are_told_apart_and_what_is_not_trusted_is_idle(folder: Path, tmp_path: Path) -> None:
    project(folder, deny=["bash(rm *)"], allow=["bash(make *)"])
    loaded = loaded_in(folder, tmp_path / "home", {"deny": ["bash(git push *)"]})
    sources = RuleSources(loaded)
    assert told(sources) == [
        ("deny", "bash(git push *)", True, False),
        ("deny", "bash(rm *)", False, False),
        ("allow", "bash(make *)", False, True),
    ]
    assert "not trusted" in sources.read()[2].idle
    assert str(folder) in sources.read()[1].source


def test_the_rules_in_force_are_those_of_the_settings(folder: Path, tmp_path: Path) -> None:
    data: JsonDict = {"permissions": {"allow": ["bash(make *)"]}}
    project(folder, allow=["bash(make *)"])
    TrustedFolders(tmp_path / "home" / ".local" / "state" / "ml-intern").trust(folder, needs_trust(data))
    loaded = loaded_in(folder, tmp_path / "home", {"allow": ["write(${PLACE}/*)"], "ask": ["edit"]})
    in_force = {
        kind: tuple(r.rule for r in RuleSources(loaded).read() if r.kind == kind and not r.idle) for kind in ("allow", "ask", "deny")
    }
    assert in_force == {key: getattr(loaded.settings.permissions, key) for key in ("allow", "ask", "deny")}
    assert in_force["allow"] == ("write(data/*)", "bash(make *)")


def test_what_a_flag_stands_over_has_no_effect(folder: Path, tmp_path: Path) -> None:
    loaded = loaded_in(folder, tmp_path / "home", {"allow": ["edit"]}, **{"permissions.allow": ["read"]})
    assert told(RuleSources(loaded)) == [("allow", "edit", True, True), ("allow", "read", False, False)]


def test_a_change_is_written_and_in_force_at_once(folder: Path, tmp_path: Path) -> None:
    loaded = loaded_in(folder, tmp_path / "home")
    sources = RuleSources(loaded)
    assert sources.change("deny", "bash(rm *)", wanted=True)
    assert told(sources) == [("deny", "bash(rm *)", True, False)]
    assert json.loads(user_file(loaded.environ).read_text())["permissions"] == {"deny": ["bash(rm *)"]}
    assert sources.change("deny", "bash(rm *)", wanted=False)
    assert told(sources) == [] and not sources.change("deny", "bash(rm *)", wanted=False)


def test_a_rule_with_a_variable_is_removed_by_what_it_means(folder: Path, tmp_path: Path) -> None:
    loaded = loaded_in(folder, tmp_path / "home", {"allow": ["write(${PLACE}/*)"]})
    assert RuleSources(loaded).change("allow", "write(data/*)", wanted=False)
    assert json.loads(user_file(loaded.environ).read_text())["permissions"] == {"allow": []}


def test_what_is_no_rule_is_not_written(folder: Path, tmp_path: Path) -> None:
    loaded = loaded_in(folder, tmp_path / "home")
    with pytest.raises(ConfigError, match="no rule"):
        RuleSources(loaded).change("deny", "rm -rf (", wanted=True)
    assert not user_file(loaded.environ).exists()


@pytest.mark.parametrize("rule", ["bash(echo ${UNSET_VAR_X})", "bash(ls ${HOME})", "bash(a $${HOME} ${-} ${HOME)", "bash(${PLACE:-x}/*)"])
def test_a_rule_means_what_was_typed_now_and_after_the_next_start(folder: Path, tmp_path: Path, rule: str) -> None:
    loaded = loaded_in(folder, tmp_path / "home")
    sources = RuleSources(loaded)
    assert sources.change("allow", rule, wanted=True)
    assert told(sources) == [("allow", rule, True, False)]
    assert loaded.again().settings.permissions.allow == (rule,)
    assert sources.change("allow", rule, wanted=False) and loaded.again().settings.permissions.allow == ()


def test_twenty_rules_saved_at_once_are_all_kept(folder: Path, tmp_path: Path) -> None:
    loaded = loaded_in(folder, tmp_path / "home")
    rules = [f"bash(echo {n})" for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda rule: RuleSources(loaded).change("deny", rule, wanted=True), rules))
    assert sorted(loaded.again().settings.permissions.deny) == sorted(rules)


def test_a_rule_takes_the_place_of_another_or_nothing_happens(folder: Path, tmp_path: Path) -> None:
    loaded = loaded_in(folder, tmp_path / "home", {"deny": ["edit", "write(${PLACE}/*)", "read"]})
    sources = RuleSources(loaded)
    assert sources.change("deny", "bash", wanted=True, replaces="write(data/*)")
    assert [rule.rule for rule in sources.read()] == ["edit", "bash", "read"]
    assert not sources.change("deny", "glob", wanted=True, replaces="gone")
    assert [rule.rule for rule in sources.read()] == ["edit", "bash", "read"]
    assert sources.change("deny", "read", wanted=True, replaces="edit")
    assert [rule.rule for rule in sources.read()] == ["read", "bash"]
