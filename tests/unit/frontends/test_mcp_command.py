"""``ml-intern mcp …`` with a real settings file and real servers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from
from ml_intern.frontends.cli import main
from ml_intern.mcp.kept_sign_in import KeptSignIn, Saved
from tests.mcp_support import HERE, lines

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    async def never(**_: object) -> NoReturn:
        raise AssertionError("a session was opened")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["mcp", *arguments], never)
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def settings(home: Path) -> Path:
    return home / ".config" / "ml-intern" / "cli_agent_config.json"


def tiny(diary: Path, *modes: str) -> list[str]:
    return [sys.executable, str(HERE / "tiny_mcp.py"), str(diary), *modes]


def servers(settings: Path) -> dict[str, object]:
    return json.loads(settings.read_text())["mcpServers"]


def test_hugging_faces_server_is_listed_as_dormant_without_a_token(run: Run) -> None:
    code, out, _ = run("list")
    assert code == 0
    assert "hf-mcp-server" in out and "not used" in out and "HF_TOKEN" in out


def test_a_program_is_added_and_its_tools_are_shown(run: Run, settings: Path, tmp_path: Path) -> None:
    settings.parent.mkdir(parents=True)
    settings.write_text('{"model_name": "${MODEL:-a/b}"}')
    code, out, err = run("add", "tiny", "--timeout", "30", "--", *tiny(tmp_path / "diary"))
    assert (code, err) == (0, "")
    assert "MCP 2025-11-25, 10 tools" in out and "echo" in out and "Says it again." in out
    program, *arguments = tiny(tmp_path / "diary")
    assert servers(settings) == {"tiny": {"command": program, "args": arguments, "timeout_s": 30}}
    assert json.loads(settings.read_text())["model_name"] == "${MODEL:-a/b}"


def test_what_was_added_is_known_without_asking_again(run: Run, tmp_path: Path) -> None:
    run("add", "tiny", "--", *tiny(tmp_path / "diary"))
    before = lines(tmp_path / "diary")
    _, out, _ = run("list", "--json")
    row = next(row for row in json.loads(out) if row["name"] == "tiny")
    assert row["state"] == "ready" and row["tools"][0] == "echo" and row["transport"] == "stdio"
    assert lines(tmp_path / "diary") == before


def test_values_of_headers_and_variables_are_never_printed(run: Run, settings: Path, tmp_path: Path) -> None:
    code, out, err = run("add", "x", "--env", "API_KEY=top-secret-1", "--env", "SAFE_KEY=${PATH}", "--", *tiny(tmp_path / "diary"))
    assert code == 0
    assert "API_KEY" in err and "${NAME}" in err and "SAFE_KEY" not in err
    for arguments in (("list",), ("list", "--json"), ("test", "x"), ("test", "x", "--json")):
        _, more, moreover = run(*arguments)
        out, err = out + more, err + moreover
    assert "top-secret-1" not in out + err
    assert servers(settings)["x"]["env"] == {"API_KEY": "top-secret-1", "SAFE_KEY": "${PATH}"}  # type: ignore[index]


def test_a_bad_pair_is_refused_without_repeating_it(run: Run, settings: Path) -> None:
    code, _, err = run("add", "x", "--url", "https://x.example/", "--header", "sk-secret")
    assert code == 2 and "--header wants NAME=VALUE" in err and "sk-secret" not in err
    assert not settings.exists()


@pytest.mark.parametrize("arguments", [["x"], ["x", "--url", "https://x.example/", "--", "program"], ["x", "--url", "ftp://x"]])
def test_a_server_that_makes_no_sense_is_not_written(run: Run, settings: Path, arguments: list[str]) -> None:
    code, _, err = run("add", *arguments)
    assert code == 2 and "mcpServers.x" in err
    assert not settings.exists()


def test_a_server_that_does_not_work_leaves_the_settings_as_they_were(run: Run, settings: Path) -> None:
    code, _, err = run("add", "dead", "--", "/no/such/program")
    assert code == 1 and "cannot be started" in err and "--force" in err
    assert not settings.exists(), "there was no file"
    before = {"mcpServers": {"dead": {"command": "old", "enabled": False}}}
    settings.write_text(json.dumps(before))
    assert run("add", "dead", "--", "/no/such/program")[0] == 1
    assert json.loads(settings.read_text()) == before


def test_a_file_of_settings_that_was_empty_stays(run: Run, settings: Path) -> None:
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("{}")
    assert run("add", "dead", "--", "/no/such/program")[0] == 1
    assert json.loads(settings.read_text()) == {}


def test_a_server_that_does_not_work_is_kept_when_that_is_wanted(run: Run, settings: Path) -> None:
    code, out, err = run("add", "dead", "--force", "--", "/no/such/program")
    assert code == 1 and "cannot be started" in err and "'dead' is in" in out
    assert "dead" in servers(settings)


@pytest.mark.parametrize("name", ["bad name!", "a__b", "", "x" * 41, "-x", "ä"])
def test_a_name_that_no_tool_could_carry_is_refused_with_what_a_name_may_be(run: Run, settings: Path, name: str) -> None:
    code, _, err = run("add", "--url", "https://x.example/", "--", name)
    assert code == 2 and "up to 40 letters, digits" in err
    assert not settings.exists()


def test_without_a_subcommand_the_servers_are_listed(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "hf-mcp-server" in out


def test_a_test_says_version_tools_and_time(run: Run, tmp_path: Path) -> None:
    run("add", "tiny", "--", *tiny(tmp_path / "diary", "banner"))
    code, out, err = run("test", "tiny", "--json")
    found = json.loads(out)
    assert (code, err) == (0, ""), "a banner on the server's standard output is no traceback on ours"
    assert found["ok"] and found["protocol"] == "2025-11-25" and found["server"] == "tiny" and found["seconds"] > 0
    assert [tool["read_only"] for tool in found["tools"]][:2] == [False, True]


def test_a_server_that_never_answers_is_given_up_when_its_own_time_is_over(run: Run, tmp_path: Path) -> None:
    code, out, err = run("add", "mute", "--timeout", "0.2", "--", *tiny(tmp_path / "diary", "silent"))
    assert code == 1 and "Asking 'mute' (it has 0.2 s)" in out
    assert "did not answer in time (0.2 s)" in err


def test_a_failed_test_is_json_too(run: Run) -> None:
    run("add", "dead", "--force", "--", "/no/such/program")
    code, out, _ = run("test", "dead", "--json")
    assert code == 1 and json.loads(out)["ok"] is False and "/no/such/program" in json.loads(out)["problem"]


def test_a_server_that_nobody_knows_is_answered_with_those_that_are(run: Run) -> None:
    code, _, err = run("test", "nope")
    assert code == 2 and "There is no MCP server 'nope'" in err and "hf-mcp-server" in err


def test_a_server_is_removed(run: Run, settings: Path) -> None:
    run("add", "dead", "--force", "--", "/no/such/program")
    code, out, _ = run("remove", "dead")
    assert code == 0 and "removed" in out and servers(settings) == {}


def test_a_removed_server_is_signed_out_of_at_all_its_addresses(run: Run, settings: Path) -> None:
    settings.parent.mkdir(parents=True)
    settings.write_text('{"mcpServers": {"docs": {"url": "https://new.example/mcp", "oauth": true}}}')
    folder = paths_from(Environ(os.environ)).data_dir / "mcp"
    kept = [KeptSignIn(folder, name, f"https://{host}.example:443") for name, host in (("docs", "old"), ("docs", "new"), ("docs-2", "new"))]
    for name, file in zip(("docs", "docs", "docs-2"), kept, strict=True):
        file.write(Saved(name=name, tokens="{}"))
    code, out, _ = run("remove", "docs")
    assert code == 0 and "forgotten" in out
    assert [file.path.exists() for file in kept] == [False, False, True]


def test_the_server_that_comes_with_the_program_is_switched_off(run: Run, settings: Path) -> None:
    code, out, _ = run("remove", "hf-mcp-server")
    assert code == 0 and "switched off" in out
    assert servers(settings) == {"hf-mcp-server": {"enabled": False}}
    assert "disabled" in run("list")[1]


def test_a_login_needs_the_setting(run: Run) -> None:
    code, _, err = run("login", "hf-mcp-server")
    assert code == 2 and "mcpServers.hf-mcp-server.oauth" in err


def test_a_hostile_servers_words_cannot_drive_the_terminal(run: Run, tmp_path: Path) -> None:
    run("add", "tiny", "--", *tiny(tmp_path / "diary", "hostile"))
    _, out, _ = run("test", "tiny")
    assert "hostile" in out and "\x1b" not in out
