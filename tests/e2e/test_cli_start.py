"""The real command, as a process: what it costs to start, how it ends, what it leaves on the screen."""

from __future__ import annotations

import array
import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_intern.config.version import __version__
from ml_intern.stores.base import SessionRecord
from ml_intern.stores.sqlite import SqliteStore

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "ml_intern"]


def run(*arguments: str, cwd: Path | None = None, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, stdin=stdin, capture_output=True, text=True, timeout=50, check=False)


def imported(*arguments: str) -> set[str]:
    """The modules that a call imports, by the interpreter's own account."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ml_intern", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


# ── the cost of a start ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_version_is_told_without_importing_anything_else() -> None:
    assert run("--version").stdout == f"ml-intern {__version__}\n"
    ours = {name for name in imported("--version") if name.startswith("ml_intern.")}
    assert ours == {"ml_intern.config", "ml_intern.config.version"}
    assert "click" not in imported("--version")
    bare = subprocess.run([sys.executable, "-X", "importtime", "-c", ""], capture_output=True, text=True, check=True)
    before = {line.rpartition("|")[2].strip() for line in bare.stderr.splitlines()}
    assert not {"typing", "__future__"} & (imported("--version") - before), "nobody catches a Ctrl-C while these are imported"


def test_the_version_is_that_of_the_package() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_help_imports_click_and_nothing_heavier() -> None:
    modules = imported("--help")
    heavy = {"asyncio", "msgspec", "rich", "httpx2", "sqlite3", "pydantic", "ml_intern.config.load", "ml_intern.frontends.headless"}
    assert "click" in modules
    assert modules & heavy == set()


def test_completing_a_word_does_not_import_the_commands() -> None:
    environ = {**os.environ, "_ML_INTERN_COMPLETE": "bash_complete", "COMP_WORDS": "ml-intern ", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "ml_intern"], env=environ, capture_output=True, text=True, check=True)
    assert "plain,doctor" in done.stdout
    assert "ml_intern.frontends.commands" not in done.stderr


# ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_help_lists_commands_flags_and_exit_codes() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("sessions", "config", "doctor", "demo", "completion", "--max-cost", "--output-schema", "--json", "130 interrupted"):
        assert word in done.stdout


def test_without_a_task_on_a_terminal_it_says_what_to_type() -> None:
    keyboard, terminal = pty.openpty()
    try:
        done = run(stdin=terminal)
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert "ml-intern demo" in done.stderr


def test_without_a_task_and_without_input_the_prompt_is_empty() -> None:
    done = run()
    assert done.returncode == 2
    assert "The prompt is empty" in done.stderr


@pytest.mark.parametrize("arguments", [["--bogus"], ["--model", "no spaces allowed", "do it"], ["sessions", "--bogus"], ["doctor", "x"]])
def test_wrong_usage_ends_with_2_and_no_traceback(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("ml-intern: ")


def test_it_works_in_any_folder(tmp_path: Path) -> None:
    done = run("config", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["tool_runtime"]["value"] == "local"


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$1"; shift; exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(gone), sys.executable, "-m", "ml_intern", "config"],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "The current folder does not exist any more" in done.stderr
    assert "--help" not in done.stderr


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arguments", [["config"], ["--help"], ["completion", "bash"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_reason_to_complain(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, text=True) as process:
        os.close(writer)
        _, said = process.communicate(timeout=50)
    assert said == ""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--version"], ["config"], ["--help"], ["config", "path"], ["completion", "bash"]], ids=" ".join)
def test_a_full_disk_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch, arguments: list[str], unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=50, check=False
        )
    assert (done.returncode, done.stderr) == (1, "ml-intern: The output cannot be written: No space left on device.\n")


def closed(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = f'exec "$@" {redirection}'
    return subprocess.run(["/bin/sh", "-c", script, "sh", *COMMAND, *arguments], capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize("arguments", [["--version"], ["config"], ["do it"]], ids=" ".join)
def test_a_standard_output_that_is_closed_is_said_before_anything_is_done(arguments: list[str]) -> None:
    done = closed(">&-", *arguments)
    assert (done.returncode, done.stderr) == (1, "ml-intern: standard output is closed: there is nowhere to write to.\n")


@pytest.mark.parametrize("redirection", ["2>&-", "<&-", "<&- 2>&-"])
def test_standard_input_and_error_may_be_closed(redirection: str) -> None:
    done = closed(redirection, "config", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)
    assert closed(redirection, "--bogus").returncode == 2


def test_ctrl_c_while_it_reads_its_input_is_130_without_a_traceback() -> None:
    with subprocess.Popen([*COMMAND, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write("half a promp")
        process.stdin.flush()
        _until_read(process.stdin.fileno(), process)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=50)
    assert process.returncode == 130
    assert out == ""
    assert said.strip() == ""


def _until_read(pipe: int, process: subprocess.Popen[str]) -> None:
    """Until the process has taken out of the pipe what was put into it: then it waits for more."""
    waiting = array.array("i", [1])
    while waiting[0] and process.poll() is None:
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)


# ── completion, by the shell itself ──────────────────────────────────────────────────────────────────────────────────


def _completions(tmp_path: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir(exist_ok=True)
    launcher = bin_dir / "ml-intern"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ml_intern "$@"\n')
    launcher.chmod(0o755)
    script = """
        eval "$(ml-intern completion bash)"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _ml_intern_completion ml-intern
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environ = {**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script, "bash", "ml-intern", *words], env=environ, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_flags_and_values(tmp_path: Path) -> None:
    assert _completions(tmp_path, "do") == {"doctor"}
    assert {"--max-iterations", "--max-cost"} <= _completions(tmp_path, "--max-")
    assert _completions(tmp_path, "--effort", "m") == {"minimal", "medium", "max"}
    assert {"check", "path"} <= _completions(tmp_path, "config", "")
    assert _completions(tmp_path, "completion", "z") == {"zsh"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
async def test_bash_completes_the_ids_of_sessions(tmp_path: Path, home: Path) -> None:
    store = SqliteStore(home / ".local/share/ml-intern/sessions.db")
    now = datetime(2026, 1, 31, tzinfo=UTC)
    for session_id in ("aaaabbbbcccc", "aaaaddddeeee", "ffff00001111"):
        await store.create(SessionRecord(id=session_id, created_at=now, updated_at=now, cwd="/w", model="m", title="A title"))
    await store.aclose()
    assert _completions(tmp_path, "--resume", "aaaa") == {"aaaabbbb", "aaaadddd"}
    assert _completions(tmp_path, "--resume", "aaaabbbbcc") == {"aaaabbbbcc"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_scripts_call_us_back(shell: str) -> None:
    script = run("completion", shell).stdout
    assert "_ML_INTERN_COMPLETE" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


# ── doctor ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def checks(*arguments: str, code: int) -> dict[str, dict[str, str]]:
    done = run(*arguments, "doctor", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)}


def test_doctor_finds_a_scripted_model_ready() -> None:
    found = checks("--model", "scripted/demo", code=0)
    assert found["model"]["status"] == "ok"
    assert "flag --model" in found["model"]["detail"]
    assert found["store"]["status"] == "ok"
    assert {"versions", "settings", "tokens", "network", "sandbox", "folders", "programs", "disk"} <= found.keys()


def test_doctor_says_which_key_is_missing() -> None:
    found = checks("--model", "acme/big", code=1)
    assert found["model"]["status"] == "fail"
    assert "HF_TOKEN" in found["model"]["fix"]


def test_doctor_names_tokens_and_never_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-not-to-be-seen")
    done = run("--model", "scripted/demo", "doctor")
    assert "ANTHROPIC_API_KEY" in done.stdout
    assert "not-to-be-seen" not in done.stdout + done.stderr


def test_doctor_notices_a_server_that_is_not_there(home: Path) -> None:
    path = home / ".config/ml-intern/cli_agent_config.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"providers": {"mine": {"base_url": "http://127.0.0.1:9/v1"}}}')
    found = checks("--model", "mine/m", code=1)
    assert found["network"]["status"] == "fail"
    assert "127.0.0.1:9" in found["network"]["detail"]


def test_doctor_recognises_a_damaged_store(home: Path) -> None:
    store = home / ".local/share/ml-intern/sessions.db"
    store.parent.mkdir(parents=True, mode=0o700)
    store.write_bytes(b"no database at all" * 100)
    found = checks("--model", "scripted/demo", code=1)
    assert found["store"]["status"] == "fail"
    assert str(store) in found["store"]["detail"]
    assert store.read_bytes() == b"no database at all" * 100


def test_doctor_reports_broken_settings_and_goes_on(home: Path) -> None:
    path = home / ".config/ml-intern/cli_agent_config.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"max_iterations": 0}')
    found = checks(code=1)
    assert "at least 1" in found["settings"]["detail"]
    assert found["programs"]["status"] in ("ok", "warn")


def test_doctor_warns_when_the_sandbox_is_switched_off() -> None:
    found = checks("--model", "scripted/demo", "--no-sandbox", code=0)
    assert found["sandbox"]["status"] == "warn"
    assert "--no-sandbox" in found["sandbox"]["fix"]


def test_doctor_without_bubblewrap_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("the sandbox of this system is not bubblewrap")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = checks("--model", "scripted/demo", code=0)
    assert found["sandbox"]["status"] == "warn"
    assert "install bubblewrap" in found["sandbox"]["fix"]
    assert found["programs"]["status"] == "warn"


def test_doctor_warns_of_folders_that_others_can_read(home: Path) -> None:
    folder = home / ".local/share/ml-intern"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    found = checks("--model", "scripted/demo", code=0)
    assert found["folders"]["fix"] == f"chmod 700 {folder}"


# ── generated documents ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_generated_pages_are_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/generate_docs.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
