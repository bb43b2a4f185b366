"""The command line up to the point where a session would open: what the flags mean, and what is refused."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ml_intern.config.load import LoadedSettings
from ml_intern.errors import StoreError
from ml_intern.frontends.cli import main


class Door:
    """Stands where ``app.open_session`` would: keeps what it is asked for, and refuses."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self._failure = failure or StoreError("the door is closed")

    async def __call__(self, **request: Any) -> NoReturn:
        self.asked.append(request)
        raise self._failure

    @property
    def loaded(self) -> LoadedSettings:
        return self.asked[0]["loaded"]


@pytest.fixture(autouse=True)
def in_a_folder_without_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        before = list(logging.getLogger().handlers)
        yield
    for handler in [handler for handler in logging.getLogger().handlers if handler not in before]:
        logging.getLogger().removeHandler(handler)
        handler.close()


@pytest.fixture
def door() -> Door:
    return Door()


def test_the_first_word_that_is_no_command_is_the_prompt(door: Door) -> None:
    assert main(["train a small model"], door) == 1
    assert door.asked[0]["auto_approve"] is True
    assert door.asked[0]["resume"] is None


def test_flags_stand_before_or_behind_the_prompt(door: Door) -> None:
    main(["--model", "a/b", "do it", "--max-iterations", "7", "--no-stream", "--read-only"], door)
    settings = door.loaded.settings
    assert settings.model_name == "a/b"
    assert settings.max_iterations == 7
    assert settings.stream is False
    assert settings.read_only is True
    assert door.asked[0]["read_only"] is True


def test_every_flag_reaches_its_setting(door: Door) -> None:
    main(["-m", "a/b", "--max-cost", "2.5", "--effort", "low", "--no-sandbox", "do it"], door)
    settings = door.loaded.settings
    assert settings.model_name == "a/b"
    assert settings.max_cost_usd == 2.5
    assert settings.reasoning_effort == "low"
    assert settings.sandbox.enabled is False


def test_effort_can_be_switched_off(door: Door) -> None:
    main(["--effort", "off", "do it"], door)
    assert door.loaded.settings.reasoning_effort is None


def test_without_flags_nothing_is_overridden(door: Door) -> None:
    main(["do it"], door)
    assert not [key for key, origin in door.loaded.origins.items() if origin.source.startswith("flag")]


def test_another_folder_to_work_in(door: Door, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    main(["--cwd", "there", "do it"], door)
    assert door.loaded.cwd == tmp_path / "there"


@pytest.mark.parametrize(("flags", "expected"), [(["-c"], "last"), (["--continue"], "last"), (["--resume", "abc"], "abc")])
def test_a_session_can_be_gone_on_with(door: Door, flags: list[str], expected: str) -> None:
    main([*flags, "and now?"], door)
    assert door.asked[0]["resume"] == expected


def test_a_read_only_project_opens_a_read_only_session(door: Door, tmp_path: Path) -> None:
    (tmp_path / ".ml-intern").mkdir()
    (tmp_path / ".ml-intern/config.json").write_text('{"read_only": true}')
    main(["look around please"], door)
    assert door.asked[0]["read_only"] is True


def test_a_commands_name_can_be_sent_as_a_prompt(door: Door) -> None:
    main(["-p", "doctor"], door)
    assert len(door.asked) == 1


def test_words_behind_two_dashes_are_the_prompt_whatever_they_look_like(door: Door) -> None:
    assert main(["--", "--strange-prompt"], door) == 1
    assert len(door.asked) == 1


@pytest.mark.parametrize("word", ["docter", "session", "confg"])
def test_a_mistyped_command_is_no_task_to_spend_money_on(door: Door, capfd: pytest.CaptureFixture[str], word: str) -> None:
    assert main([word], door) == 2
    assert door.asked == []
    assert f"There is no command '{word}'. Did you mean" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["two", "words"], "put it in quotes"),
        (["--bogus"], "--bogus"),
        (["--max-iterations", "x", "do it"], "--max-iterations"),
        (["--max-iterations", "0", "do it"], "at least 1, or -1"),
        (["--max-cost", "-1", "do it"], "--max-cost"),
        (["--max-cost", "nan", "do it"], "'nan' is no amount of dollars"),
        (["--max-cost", "inf", "do it"], "'inf' is no amount of dollars"),
        (["--effort", "huge", "do it"], "--effort"),
        (["--timeout", "soon", "do it"], "'soon' is no duration"),
        (["--timeout", "0", "do it"], "'0' is no duration"),
        (["--cwd", "absent", "do it"], "'absent' does not exist"),
        (["--output-schema", "absent.json", "do it"], "'absent.json' does not exist"),
        (["--resume", "x", "-c", "do it"], "exclude each other"),
        ([""], "The prompt is empty"),
        (["  \n"], "The prompt is empty"),
        (["--resume"], "ml-intern sessions  lists the IDs"),
        (["--resume", "--json", "do it"], "ml-intern sessions  lists the IDs"),
        (["--resume", "do it"], "which no session is called"),
        (["config", "--bogus"], "--bogus"),
        (["completion", "tcsh"], "tcsh"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_sentence_and_exit_2(door: Door, capfd: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main(arguments, door) == 2
    captured = capfd.readouterr()
    assert words in captured.err
    assert captured.err.startswith("ml-intern: ")
    assert "Traceback" not in captured.err
    assert len(captured.err.splitlines()) <= 2
    assert captured.out == ""
    assert door.asked == []


@pytest.mark.parametrize("content", ["{", "[]", '{"type": "obj'])
def test_an_output_schema_must_be_a_json_object(door: Door, tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str) -> None:
    (tmp_path / "schema.json").write_text(content)
    assert main(["--output-schema", "schema.json", "do it"], door) == 2
    assert "schema.json" in capfd.readouterr().err
    assert door.asked == []


def test_a_schema_that_never_ends_is_exit_2_before_a_session_is_opened(
    door: Door, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "schema.json").write_text('{"$ref": "#"}')
    assert main(["--output-schema", "schema.json", "do it"], door) == 2
    assert "never ends" in capfd.readouterr().err
    assert door.asked == []


def test_a_prompt_that_is_no_utf_8_does_not_stop_the_run(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([os.fsdecode(b"caf\xe9 and bl\xc3\xa9")], door) == 1
    assert len(door.asked) == 1
    assert "warning: The prompt is not valid UTF-8" in capfd.readouterr().err


def test_a_mistake_in_the_settings_is_exit_2(door: Door, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = home / ".config/ml-intern/cli_agent_config.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"modle_name": "x"}')
    assert main(["do it"], door) == 2
    assert "Did you mean 'model_name'?" in capfd.readouterr().err


def test_warnings_about_settings_are_on_standard_error(door: Door, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".env").write_text("HF_ENDPOINT=https://evil.example\n")
    main(["do it"], door)
    captured = capfd.readouterr()
    assert "warning: " in captured.err
    assert "HF_ENDPOINT" in captured.err
    assert captured.out == ""


# ── the last boundary ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unexpected_failure_is_a_line_and_a_log_file(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["do it"], Door(RuntimeError("boom"))) == 1
    captured = capfd.readouterr()
    log = home / ".local/state/ml-intern/ml-intern.log"
    assert "Traceback" not in captured.err
    assert "RuntimeError: boom" in captured.err
    assert str(log) in captured.err
    assert "Traceback (most recent call last)" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_verbose_shows_the_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-v", "do it"], Door(RuntimeError("boom"))) == 1
    assert "Traceback (most recent call last)" in capfd.readouterr().err


def test_a_secret_in_a_failure_does_not_reach_the_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PASSWORD", "correct-horse-battery")
    main(["do it"], Door(RuntimeError("login with correct-horse-battery failed")))
    log = (home / ".local/state/ml-intern/ml-intern.log").read_text()
    assert "RuntimeError" in log
    assert "correct-horse" not in log


def test_a_log_that_cannot_be_written_leaves_the_traceback_on_the_screen(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (home / ".local").mkdir()
    (home / ".local/state").write_text("in the way")
    assert main(["do it"], Door(RuntimeError("boom"))) == 1
    assert "Traceback (most recent call last)" in capfd.readouterr().err


def test_a_control_sequence_in_a_failure_is_not_obeyed(capfd: pytest.CaptureFixture[str]) -> None:
    main(["do it"], Door(RuntimeError("\x1b]0;evil\x07boom")))
    assert "\x1b]" not in capfd.readouterr().err


def test_a_keyboard_interrupt_is_130_without_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    class Interrupting(Door):
        async def __call__(self, **request: Any) -> NoReturn:
            raise KeyboardInterrupt

    assert main(["do it"], Interrupting()) == 130
    assert "Traceback" not in capfd.readouterr().err


# ── config ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def shown(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "config", "--json"], Door()) == 0
    return json.loads(capfd.readouterr().out)


def test_config_shows_each_value_and_where_it_comes_from(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = home / ".config/ml-intern/cli_agent_config.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"max_iterations": 5}')
    values = shown(capfd, "--model", "a/b")
    assert values["model_name"] == {"value": "a/b", "source": "flag --model"}
    assert values["max_iterations"] == {"value": 5, "source": str(path)}
    assert values["request_timeout_s"] == {"value": 600.0, "source": "default"}


def test_config_masks_secrets_wherever_they_stand(home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_FOR_X_TOKEN", "correct-horse-battery")
    path = home / ".config/ml-intern/cli_agent_config.json"
    path.parent.mkdir(parents=True)
    content = {
        "providers": {"x": {"base_url": "http://x/v1", "headers": {"Authorization": "Bearer ${KEY_FOR_X_TOKEN}"}}},
        "mcpServers": {"y": {"command": "run", "args": ["--key", "${KEY_FOR_X_TOKEN}"], "env": {"SOME": "thing-private"}}},
        "messaging": {"destinations": {"z": {"provider": "slack", "token": "xoxb-not-to-be-seen", "channel": "c"}}},
    }
    path.write_text(json.dumps(content))
    for arguments in (["config"], ["config", "--json"]):
        assert main(arguments, Door()) == 0
        text = capfd.readouterr().out
        assert "KEY_FOR_X_TOKEN" in text
        assert not [secret for secret in ("correct-horse", "thing-private", "not-to-be-seen") if secret in text]


def test_config_can_leave_out_what_is_at_its_default(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "a/b", "config", "--changed"], Door()) == 0
    text = capfd.readouterr().out
    assert "a/b" in text
    assert "request_timeout_s" not in text
    assert len(text.splitlines()) == 1, "what the packaged file says comes with the program"


def test_config_path_is_where_the_users_file_would_be(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "path"], Door()) == 0
    assert capfd.readouterr().out == f"{home}/.config/ml-intern/cli_agent_config.json\n"
