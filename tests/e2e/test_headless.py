"""``ml-intern "…"`` as a process, against a model server on loopback: what it prints, how it ends, what its log holds."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ml_intern.protocol.codec import Envelope, decode, decode_data
from ml_intern.protocol.events import AnyEvent, Interrupted, SessionStarted, ToolFinished, TurnComplete, UserMessageAdded
from ml_intern.stores.sqlite import SqliteStore
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, Fault, FaultKind, ServerReply

README = Path(__file__).parent.parent.parent / "README.md"
pytestmark = pytest.mark.timeout(120)


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def events(self) -> list[Envelope]:
        return [decode(line) for line in self.out.splitlines()]


@dataclass
class Command:
    """The installed command, in a workspace of its own, with a model that the server plays."""

    server: ModelServer
    workspace: Path
    config: Path

    def configure(self, **settings: Any) -> None:
        provider = {"base_url": self.server.v1, "wire": "openai", "context_window": 100_000}
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(json.dumps({"providers": {"fake": provider}, "model_name": "fake/model", **settings}))

    async def start(self, *arguments: str, **streams: Any) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ml_intern",
            *arguments,
            cwd=self.workspace,
            **{"stdin": asyncio.subprocess.DEVNULL, "stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE, **streams},
        )

    async def run(self, *arguments: str) -> Done:
        return await ended(await self.start(*arguments))

    async def log(self, home: Path) -> list[AnyEvent]:
        """The newest session as it was stored."""
        store = SqliteStore(home / ".local/share/ml-intern/sessions.db")
        try:
            record = await store.find("last")
            return [decode_data(row.type, row.data, row.version) for row in await store.load(record.id)]
        finally:
            await store.aclose()


async def ended(process: asyncio.subprocess.Process) -> Done:
    out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, (out or b"").decode(), (err or b"").decode())


@pytest.fixture
async def command(tmp_path: Path, home: Path) -> AsyncIterator[Command]:
    workspace = tmp_path / "work"
    workspace.mkdir()
    async with ModelServer() as server:
        made = Command(server, workspace, home / ".config/ml-intern/cli_agent_config.json")
        made.configure()
        yield made
        assert server.refusals == []


def calls(name: str, text: str = "", **arguments: object) -> ServerReply:
    return ServerReply(text=text, calls=(Call(name, json.dumps(arguments)),))


def of(kind: type[Any], events: Sequence[AnyEvent]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# ── what it prints ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_is_done_with_real_tools_and_standard_output_is_the_answer(command: Command) -> None:
    command.server.enqueue(calls("write", "I write it.", path="a.txt", content="hello\n"), ServerReply(text="It is **done**."))
    done = await command.run("Write a.txt")
    assert (done.code, done.out) == (0, "It is **done**.\n")
    assert (command.workspace / "a.txt").read_text() == "hello\n"
    assert "I write it." in done.err
    assert "✓ write  a.txt" in done.err
    assert "--resume" in done.err.splitlines()[-1]


async def test_json_lines_are_the_stored_log_and_what_was_live(command: Command, home: Path) -> None:
    command.server.enqueue(calls("bash", command="echo hi"), ServerReply(text="Said hi."))
    done = await command.run("--json", "Say hi")
    assert (done.code, done.err) == (0, "")
    stored = await command.log(home)
    printed = [line.event for line in done.events if line.seq is not None]
    assert printed == stored[: len(printed)]
    assert isinstance(printed[0], SessionStarted)
    assert isinstance(printed[-1], TurnComplete)
    assert [line.seq for line in done.events if line.seq is not None] == list(range(1, len(printed) + 1))
    assert "assistant_chunk" in {line.event.wire for line in done.events if line.seq is None}


async def test_a_terminal_shows_the_answer_drawn_and_leaves_nothing_that_moves(command: Command) -> None:
    command.server.enqueue(calls("bash", "First a *look*.", command="echo one; echo two"), ServerReply(text="# Found\n\nIt is **42**.\n"))
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await command.start("Look", stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm-256color"})
    os.close(follower)
    screen = await asyncio.get_running_loop().run_in_executor(None, _read_all, leader)
    await process.wait()
    from tests.unit.frontends.headless_run import Screen

    rows = [row for row in Screen(80).feed(screen).lines if row]
    assert process.returncode == 0
    assert rows[0].startswith("ml-intern · fake/model · ")
    assert rows[1] == "First a look."
    assert rows[2].startswith("✓ bash  echo one; echo two")
    assert rows[rows.index("Found") :][:2] == ["Found", "It is 42."]
    assert rows[-2].startswith("done · ")
    assert "--resume" in rows[-1]


def _read_all(fd: int) -> str:
    parts: list[bytes] = []
    try:
        while data := os.read(fd, 65_536):
            parts.append(data)
    except OSError:  # the other side is closed
        pass
    os.close(fd)
    return b"".join(parts).decode()


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_refused_key_fails_the_run(command: Command) -> None:
    command.server.enqueue(Fault(kind=FaultKind.UNAUTHORIZED))
    done = await command.run("Do it")
    assert (done.code, done.out) == (1, "")
    assert "✗" in done.err


async def test_the_library_example_of_the_readme_says_why_it_failed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.setenv("OLLAMA_BASE_URL", command.server.v1)
    command.server.enqueue(Fault(kind=FaultKind.UNAUTHORIZED))
    example = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=command.workspace, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    done = await ended(example)
    assert done.out.strip()
    assert done.err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["text", "json"])
async def test_a_disk_that_is_full_fails_the_run_and_is_said(command: Command, flags: list[str]) -> None:
    command.server.enqueue(ServerReply(text="42"))
    with open("/dev/full", "w") as full:
        done = await ended(await command.start(*flags, "Count", stdout=full))
    assert done.code == 1
    assert "standard output cannot be written: No space left on device" in done.err
    assert "nobody reads" not in done.err


async def test_one_step_is_no_steps(command: Command) -> None:
    command.server.enqueue(*(calls("bash", command=f"echo {n}") for n in range(2)))
    assert "Stopped after 1 step (max_iterations 1)" in (await command.run("--max-iterations", "1", "Count")).err


async def test_the_step_limit_has_an_exit_code_of_its_own(command: Command) -> None:
    command.server.enqueue(*(calls("bash", command=f"echo {n}") for n in range(5)))
    done = await command.run("--max-iterations", "2", "Count")
    assert done.code == 3
    assert len(command.server.requests) == 2
    assert "--max-iterations" in done.err


async def test_a_call_that_asks_for_a_person_is_refused_and_has_an_exit_code_of_its_own(command: Command) -> None:
    command.configure(permissions={"ask": ["bash(rm *)"]})
    (command.workspace / "data.txt").write_text("precious")
    command.server.enqueue(calls("bash", command="rm data.txt"), ServerReply(text="I could not delete it."))
    done = await command.run("Delete data.txt")
    assert (done.code, done.out) == (4, "I could not delete it.\n")
    assert (command.workspace / "data.txt").exists()
    assert "nobody can answer in a headless run" in command.server.documents[1]["messages"][-1]["content"]


async def test_a_question_is_answered_by_nobody_and_the_work_goes_on(command: Command) -> None:
    command.server.enqueue(calls("ask_user", question="Which one?"), ServerReply(text="I chose myself."))
    done = await command.run("Choose")
    assert (done.code, done.out) == (0, "I chose myself.\n")


async def test_the_time_limit_stops_a_model_that_says_nothing_and_the_log_is_whole(command: Command, home: Path) -> None:
    command.server.enqueue(Fault(kind=FaultKind.HANG))
    done = await command.run("--timeout", "1s", "Do it")
    assert done.code == 3
    assert len(of(Interrupted, await command.log(home))) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
async def test_a_signal_interrupts_cleanly_and_the_log_is_whole(command: Command, home: Path, number: signal.Signals, code: int) -> None:
    command.server.enqueue(Fault(kind=FaultKind.HANG))
    process = await command.start("Do it")
    await command.server.asked(1)
    process.send_signal(number)
    done = await ended(process)
    assert done.code == code
    assert "Traceback" not in done.err
    log = await command.log(home)
    assert [type(event) for event in log if isinstance(event, UserMessageAdded | Interrupted)] == [UserMessageAdded, Interrupted]


async def test_ctrl_c_during_a_command_ends_the_command_and_answers_its_call(command: Command, home: Path) -> None:
    command.server.enqueue(calls("bash", command="touch started; sleep 300"))
    process = await command.start("--json", "Wait")
    assert process.stdout is not None
    while b'"tool_call"' not in await process.stdout.readline():
        pass
    while not (command.workspace / "started").exists():
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert (await ended(process)).code == 130
    (answer,) = of(ToolFinished, await command.log(home))
    assert not answer.success


async def test_a_reader_that_goes_away_ends_the_run(command: Command) -> None:
    command.server.enqueue(calls("bash", command="echo hi"), Fault(kind=FaultKind.HANG))
    reading, writing = os.pipe()
    process = await command.start("--json", "Do it", stdout=writing)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    done = await ended(process)
    assert done.code == 141
    assert "Traceback" not in done.err


# ── answers that fit, sessions that go on ────────────────────────────────────────────────────────────────────────────


async def test_the_answer_fits_the_schema_or_is_asked_for_again(command: Command, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}))
    command.server.enqueue(ServerReply(text="It is 42."), ServerReply(text='```json\n{"n": 42}\n```'))
    done = await command.run("--output-schema", str(schema), "Count")
    assert (done.code, done.out) == (0, '{"n":42}\n')
    assert "does not fit" in command.server.documents[1]["messages"][-1]["content"]


async def test_a_resumed_session_prints_only_what_is_new_and_the_model_knows_the_rest(command: Command) -> None:
    command.server.enqueue(ServerReply(text="My name is Ada."), ServerReply(text="Ada."))
    first = await command.run("--json", "Who are you?")
    session = first.events[0].session
    second = await command.run("--json", "--resume", session[:8], "Your name again?")
    assert second.code == 0
    assert {line.session for line in second.events} == {session}
    assert of(UserMessageAdded, [line.event for line in second.events]) == [UserMessageAdded(content="Your name again?")]
    said = [message["content"] for message in command.server.documents[1]["messages"] if message["role"] != "system"]
    assert said == ["Who are you?", "My name is Ada.", "Your name again?"]


async def test_a_session_that_is_not_there_is_a_usage_error(command: Command) -> None:
    done = await command.run("--resume", "nonesuch", "Go on")
    assert (done.code, done.out) == (2, "")
    assert "nonesuch" in done.err


async def test_read_only_refuses_to_change_anything(command: Command) -> None:
    command.server.enqueue(calls("write", path="a.txt", content="x"), ServerReply(text="I may not."))
    done = await command.run("--read-only", "Write")
    assert (done.code, done.out) == (0, "I may not.\n")
    assert not (command.workspace / "a.txt").exists()
