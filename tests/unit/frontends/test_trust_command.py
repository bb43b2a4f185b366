"""``ml-intern trust``: what would run is shown before it is believed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from ml_intern.frontends.cli import main

Run = Callable[..., tuple[int, str, str]]
CONTENT = {"hooks": {"PreToolUse": [{"command": "./check\u001b[31m.sh"}]}, "permissions": {"allow": ["bash(make *)"]}}


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    async def never(**_: object) -> NoReturn:
        raise AssertionError("a session was opened")

    def call(*arguments: str, typed: str = "", attended: bool = True) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", Keyboard(typed) if attended else io.StringIO(typed))
        code = main(["trust", *arguments], never)
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / ".ml-intern" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(CONTENT))
    return tmp_path


def test_what_would_run_is_shown_and_a_yes_trusts_it(run: Run, project: Path) -> None:
    code, out, _ = run(typed="y\n")
    assert code == 0
    assert "hooks.PreToolUse" in out and "bash(make *)" in out and f"{project} is trusted." in out
    assert "\x1b" not in out
    assert str(project) in run("--list")[1]
    assert "trusted already" in run()[1]


def test_a_no_or_nobody_there_trusts_nothing(run: Run, project: Path) -> None:
    assert run(typed="n\n")[0] != 0
    assert run(typed="")[0] != 0
    assert "No folder is trusted." in run("--list")[1]


def test_where_nobody_can_be_asked_it_says_how_to_say_yes(run: Run, project: Path) -> None:
    code, out, err = run(attended=False)
    assert code == 2 and "nobody to ask" in err and "--yes" in err
    assert "Trust " not in out and "No folder is trusted." in run("--list")[1]


def test_the_question_says_what_nobody_can_know(run: Run, project: Path) -> None:
    (project / "guard.sh").write_text('. ./lib.sh\n. "$1"\n')
    (project / "lib.sh").write_text("true")
    hooks = {"hooks": {"Stop": [{"command": "./guard.sh"}]}}
    (project / ".ml-intern" / "config.json").write_text(json.dumps(hooks))
    _, out, err = run(typed="n\n")
    assert f"they run {project / 'lib.sh'}" in out and "guard.sh: $1" in out
    assert "I cannot know" in err and "Trust " in err


def test_it_is_taken_back(run: Run, project: Path) -> None:
    run("--yes")
    assert "trusted no more" in run("--revoke")[1]
    assert "was not trusted" in run("--revoke")[1]


def test_where_there_is_nothing_to_trust_it_says_so(run: Run) -> None:
    code, _, err = run("--yes")
    assert code == 2 and "brings no hooks" in err
