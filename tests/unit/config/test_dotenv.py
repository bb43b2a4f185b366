from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.config.dotenv import parse, read
from ml_intern.config.load import LoadedSettings, load_settings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("export A=1\n", "1"),
        ("  A =  b c  \n", "b c"),
        ("A=b # why\n", "b"),
        ("A=b#c", "b#c"),
        ("A=#c", ""),
        ("A=", ""),
        ("A='b # $x \\n'", "b # $x \\n"),
        ('A="b\\n\\"c\\"" # why', 'b\n"c"'),
        ('A="line 1\nline 2"\n', "line 1\nline 2"),
        ("# A=0\n\nA=1\r\n", "1"),
        ("A=0\nA=1", "1"),
        ("B=x\nA=${B}-${C:-y}", "x-y"),
        ("B=x\nA='${B}'", "${B}"),
        ("\ufeffA=1", None),
    ],
)
def test_values_are_read_as_everybody_writes_them(text: str, value: str | None) -> None:
    assert parse(text).values.get("A") == value


@pytest.mark.parametrize("text", ["A", "=1", "1A=2", 'A="x" y', "A B=1"])
def test_a_line_that_is_none_is_named_and_skipped(text: str) -> None:
    found = parse(f"X=1\n{text}\nY=2\n", "f")
    assert found.values == {"X": "1", "Y": "2"}
    assert found.warnings == ("f: line 2 is no NAME=value and was ignored.",)


def test_the_process_environment_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert parse("INNOCENT=${HF_TOKEN}").values == {"INNOCENT": ""}


@given(st.text())
def test_any_text_is_read_without_an_exception(text: str) -> None:
    parse(text)


@given(
    st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), st.text(st.characters(exclude_characters="'\r", codec="utf-8")))
)
def test_single_quoted_values_come_back_as_they_are(values: dict[str, str]) -> None:
    text = "\n".join(f"{name}='{value}'" for name, value in values.items())
    assert parse(text).values == values


POWERFUL = (
    "ML_INTERN_CLI_CONFIG",
    "SLACK_BOT_TOKEN",
    "PATH",
    "LD_PRELOAD",
    "PYTHONPATH",
    "HTTPS_PROXY",
    "https_proxy",
    "HF_ENDPOINT",
    "HOME",
    "XDG_CONFIG_HOME",
    "HF_HOME",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "OPENAI_BASE_URL",
    "GIT_SSH_COMMAND",
    "BASH_ENV",
    "UV_INDEX_URL",
)


@pytest.mark.parametrize("name", POWERFUL)
def test_a_folders_env_file_has_no_power_over_where_data_goes(tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"{name}=https://evil.example\nDATA=fine\n")
    found = read(tmp_path / ".env")
    assert found is not None
    assert found.values == {"DATA": "fine"}
    assert name in found.warnings[0]


@pytest.mark.parametrize("address", ["http://localhost:11434", "http://127.0.0.1:8000/v1", "http://[::1]:1/v1"])
def test_a_model_server_on_this_machine_may_be_named(tmp_path: Path, address: str) -> None:
    (tmp_path / ".env").write_text(f"OLLAMA_BASE_URL={address}\n")
    found = read(tmp_path / ".env")
    assert found is not None
    assert found.values == {"OLLAMA_BASE_URL": address}


@pytest.mark.parametrize("address", ["http://localhost.evil.example", "http://127.0.0.1.evil.example/", "http://localhost@evil.example/"])
def test_a_name_that_only_looks_local_is_refused(tmp_path: Path, address: str) -> None:
    (tmp_path / ".env").write_text(f"OLLAMA_BASE_URL={address}\n")
    found = read(tmp_path / ".env")
    assert found is not None
    assert found.values == {}


def test_an_unreadable_file_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    found = read(tmp_path / ".env")
    assert found is not None
    assert found.values == {}
    assert "not valid UTF-8" in found.warnings[0]


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert read(tmp_path / ".env") is None


# ── precedence ───────────────────────────────────────────────────────────────────────────────────────────────────────


def load(cwd: Path, home: Path, **variables: str) -> LoadedSettings:
    return load_settings(frontend="cli", cwd=cwd, environ={"HOME": str(home), **variables})


def test_the_process_wins_over_the_root_and_the_root_over_the_folder(tmp_path: Path, home: Path) -> None:
    (tmp_path / ".git").mkdir()
    below = tmp_path / "below"
    below.mkdir()
    (tmp_path / ".env").write_text("A=root\nB=root\n")
    (below / ".env").write_text("A=below\nB=below\nC=below\n")
    loaded = load(below, home, A="process")
    assert [loaded.environ.get(name) for name in "ABC"] == ["process", "root", "below"]
    assert loaded.files[-2:] == (tmp_path / ".env", below / ".env")


def test_an_empty_variable_counts_as_absent(tmp_path: Path, home: Path) -> None:
    (tmp_path / ".env").write_text("HF_TOKEN=hf_1\n")
    assert load(tmp_path, home, HF_TOKEN="").environ.get("HF_TOKEN") == "hf_1"


def test_an_env_file_supplies_the_variables_of_settings(tmp_path: Path, home: Path) -> None:
    (tmp_path / ".env").write_text("MY_MODEL=me/mine\n")
    config = home / ".config/ml-intern/cli_agent_config.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"model_name": "${MY_MODEL}"}')
    assert load(tmp_path, home).settings.model_name == "me/mine"


def test_an_env_file_cannot_name_the_settings_file(tmp_path: Path, home: Path) -> None:
    (tmp_path / "evil.json").write_text('{"yolo_mode": true}')
    (tmp_path / ".env").write_text(f"ML_INTERN_CLI_CONFIG={tmp_path}/evil.json\n")
    loaded = load(tmp_path, home)
    assert loaded.settings.yolo_mode is False
    assert "ML_INTERN_CLI_CONFIG" in loaded.warnings[0]


def test_an_env_file_cannot_send_messages_to_a_strangers_slack(tmp_path: Path, home: Path) -> None:
    (tmp_path / ".env").write_text("SLACK_BOT_TOKEN=xoxb-evil\nSLACK_CHANNEL=evil\n")
    assert not load(tmp_path, home).settings.messaging.enabled
