"""``ml-intern hooks``: what is configured, whether it is run, and a run by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ml_intern.frontends.cli import main
from ml_intern.frontends.commands.hooks import EVENTS, SAMPLES
from ml_intern.session.hooks.runner import FIELDS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    settings = home / ".config" / "ml-intern" / "cli_agent_config.json"
    settings.parent.mkdir(parents=True, exist_ok=True)

    async def never(**_: object) -> NoReturn:
        raise AssertionError("a session was opened")

    def call(*arguments: str, typed: str = "", **hooks: Any) -> tuple[int, str, str]:
        if hooks:
            settings.write_text(json.dumps({"hooks": hooks}))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        code = main(["hooks", *arguments], never)
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_every_event_has_a_sample() -> None:
    assert set(EVENTS) == set(SAMPLES) == set(FIELDS)


def test_the_list_names_each_hook_its_file_and_whether_it_is_run(run: Run, tmp_path: Path) -> None:
    project = tmp_path / ".ml-intern" / "config.json"
    project.parent.mkdir()
    project.write_text(json.dumps({"hooks": {"Stop": [{"command": "./\u001b[31mtests.sh"}]}}))
    code, out, _ = run(PreToolUse=[{"matcher": "bash", "command": "check.sh", "timeout": 5, "async": True}])
    assert code == 0 and "\x1b" not in out
    assert "PreToolUse" in out and "bash  check.sh  (5 s, in the background)" in out and "cli_agent_config.json: on" in out
    assert "tests.sh" in out and f"{project}: off: this folder is not trusted" in out


def test_without_any_it_is_said_where_to_read_on(run: Run) -> None:
    assert "no hooks" in run()[1]


def test_a_test_runs_them_and_says_what_comes_of_it(run: Run) -> None:
    code, out, _ = run("test", "PreToolUse", PreToolUse=[{"matcher": "Bash", "command": "cat; echo not today >&2; exit 2"}])
    assert code == 0
    assert "exit code 2" in out and "stderr  not today" in out and '"tool_name":"bash"' in out
    assert "blocked: The hook" in out


def test_the_details_may_be_the_users_own(run: Run, tmp_path: Path) -> None:
    hooks = [{"matcher": "write", "command": "cat"}]
    code, _, err = run("test", "PreToolUse", PreToolUse=hooks)
    assert code == 1 and "No hook of PreToolUse is run for 'bash'" in err
    typed = json.dumps({"tool_name": "write", "tool_input": {"path": "x.py"}})
    code, out, _ = run("test", "PreToolUse", "--json", "-", typed=typed, PreToolUse=hooks)
    assert code == 0 and '"path":"x.py"' in out
    (tmp_path / "told.json").write_text("[1]")
    code, _, err = run("test", "PreToolUse", "--json", "told.json", PreToolUse=hooks)
    assert code == 2 and "told.json is no JSON object" in err


def test_a_hook_that_fails_fails_the_test(run: Run) -> None:
    code, out, _ = run("test", "Stop", Stop=[{"command": "exit 3"}])
    assert code == 1 and "exit code 3" in out and "failed" in out and "it goes on" in out


def test_an_alert_is_matched_by_its_level(run: Run) -> None:
    hooks = [{"matcher": "warn", "command": "echo heard"}]
    assert "heard" in run("test", "OnAlert", OnAlert=hooks)[1]


def test_hooks_of_a_folder_that_is_not_trusted_are_not_run(run: Run, tmp_path: Path) -> None:
    project = tmp_path / ".ml-intern" / "config.json"
    project.parent.mkdir()
    project.write_text(json.dumps({"hooks": {"Stop": [{"command": "touch ran"}]}}))
    assert run("test", "Stop")[0] == 1
    assert not (tmp_path / "ran").exists()
