"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, ServerReply
from tests.architecture.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_library_example_submits_approves_runs_its_tool_and_prints_the_answer(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "example.py").write_text(program)
    answers = [ServerReply(calls=(Call("count_rows", '{"path": "data.csv"}'),)), ServerReply(text="It has 1,234 rows.")]
    with ModelServer(answers) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "example.py"],
            cwd=tmp_path,
            env={**os.environ, "OLLAMA_BASE_URL": server.v1},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    assert done.stdout == "It has 1,234 rows.\n"
    assert server.documents[-1]["messages"][-1]["content"] == "data.csv has 1,234 rows"
    assert server.refusals == []


def test_the_provider_example_is_a_valid_settings_file(home: Path, tmp_path: Path) -> None:
    (settings,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    folder = home / ".config" / "ml-intern"
    folder.mkdir(parents=True)
    (folder / "cli_agent_config.json").write_text(settings)
    done = subprocess.run([sys.executable, "-m", "ml_intern", "config", "check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(settings)["model_name"].startswith("lab/")


def test_the_permission_example_is_a_valid_settings_file(home: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    folder = home / ".config" / "ml-intern"
    folder.mkdir(parents=True)
    (folder / "cli_agent_config.json").write_text(settings)
    done = subprocess.run([sys.executable, "-m", "ml_intern", "config", "check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_exit_codes_are_those_that_help_tells() -> None:
    shown = subprocess.run([sys.executable, "-m", "ml_intern", "--help"], capture_output=True, text=True, check=True).stdout
    told = set(re.findall(r"^\| (\d+) \|", README, re.MULTILINE))
    assert told == set(re.findall(r"\b(\d+) [a-z]", shown[shown.index("Exit codes") :]))


def test_every_flag_that_the_readme_names_exists() -> None:
    shown = subprocess.run([sys.executable, "-m", "ml_intern", "--help"], capture_output=True, text=True, check=True).stdout
    without_transcript = re.sub(r"## What it looks like.*?(?=\n## )", "", README, flags=re.DOTALL)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", without_transcript))
    assert named - set(re.findall(r"--[a-z][a-z-]+", shown)) == set()
