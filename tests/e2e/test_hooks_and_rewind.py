"""A whole session: a trusted project's hooks run and block, secrets stay out of them, and a rewind takes files back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml_intern import open_session
from ml_intern.config.json_values import JsonDict
from ml_intern.config.trust import TrustedFolders, needs_trust
from ml_intern.protocol.events import AnyEvent, ErrorRaised, HookRan, RewindComplete, RewindPlanned, ToolFinished, TurnComplete
from ml_intern.protocol.operations import AnyOperation, Rewind, UserInput
from ml_intern.session.host import SessionHost
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, ServerReply

from .command import Command

WRITE = ServerReply(calls=(Call("write", '{"path":"a.txt","content":"by the tool\\n"}'),))


async def until(session: SessionHost, operation: AnyOperation, end: type[AnyEvent]) -> list[AnyEvent]:
    """What happens after an operation, up to the first event of that kind."""
    events, seen = session.events(), list[AnyEvent]()
    await session.submit(operation)
    async for envelope in events:
        seen.append(envelope.event)
        if isinstance(envelope.event, (end, ErrorRaised)):
            break
    return seen


def configure(work: Path, line: str) -> JsonDict:
    content: JsonDict = {"hooks": {"PreToolUse": [{"matcher": "write", "command": line}]}}
    (work / ".ml-intern").mkdir(exist_ok=True)
    (work / ".ml-intern" / "config.json").write_text(json.dumps(content))
    return content


async def test_hooks_of_a_project_run_only_where_it_is_trusted(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_notreal")
    work = tmp_path / "w"
    async with ModelServer([WRITE, ServerReply(text="done"), WRITE, ServerReply(text="done")]) as server:
        Command(home, work, server)
        content = configure(work, "env > seen; echo not here >&2; exit 2")
        async with await open_session(cwd=work) as session:
            seen = await until(session, UserInput(text="go"), TurnComplete)
        assert [event.success for event in seen if isinstance(event, ToolFinished)] == [True]
        (work / "a.txt").unlink()
        TrustedFolders(home / ".local/state/ml-intern").trust(work, needs_trust(content))
        async with await open_session(cwd=work) as session:
            seen = await until(session, UserInput(text="go"), TurnComplete)
        assert [event.success for event in seen if isinstance(event, ToolFinished)] == [False]
        assert [event.message for event in seen if isinstance(event, HookRan)] == ["not here"]
        assert not (work / "a.txt").exists()
        variables = (work / "seen").read_text()
        assert "ML_INTERN_PROJECT_DIR=" in variables and "HF_TOKEN" not in variables and "API_KEY" not in variables


async def test_a_rewind_takes_back_what_a_tool_wrote(home: Path, tmp_path: Path) -> None:
    work = tmp_path / "w"
    async with ModelServer([WRITE, ServerReply(text="done")]) as server:
        Command(home, work, server)
        (work / "mine.txt").write_text("mine")
        async with await open_session(cwd=work) as session:
            await until(session, UserInput(text="go"), TurnComplete)
            assert (work / "a.txt").exists()
            planned = (await until(session, Rewind(), RewindPlanned))[-1]
            assert isinstance(planned, RewindPlanned) and planned.deleted == ("a.txt",)
            done = (await until(session, Rewind(confirmed_changes=planned.confirm), RewindComplete))[-1]
            assert isinstance(done, RewindComplete) and done.saved
            assert not (work / "a.txt").exists() and (work / "mine.txt").read_text() == "mine"
            assert session.state.history.messages == []
    assert not (work / ".git").exists()


def _bash(line: str) -> ServerReply:
    return ServerReply(calls=(Call("bash", json.dumps({"command": line})),))


@pytest.mark.parametrize("sandbox", [True, False])
async def test_what_a_command_wrote_into_the_script_of_a_trusted_hook_is_never_run(home: Path, tmp_path: Path, sandbox: bool) -> None:
    work, ran = tmp_path / "w", tmp_path / "ran"
    evil = _bash(f"echo 'touch {ran}' >> scripts/check.sh")
    async with ModelServer([evil, ServerReply(text="done"), ServerReply(text="done")]) as server:
        command = Command(home, work, server)
        (work / "scripts").mkdir()
        script = work / "scripts" / "check.sh"
        script.write_text("#!/bin/sh\ntrue\n")
        script.chmod(0o755)
        content: JsonDict = {"hooks": {"Stop": [{"command": "./scripts/check.sh"}]}}
        (work / ".ml-intern").mkdir()
        (work / ".ml-intern" / "config.json").write_text(json.dumps(content))
        TrustedFolders(home / ".local/state/ml-intern").trust(work, needs_trust(content))
        result = await command.run("go", *([] if sandbox else ["--no-sandbox"]))
        assert result.code == 0, result.stderr
        assert not ran.exists()
        if not sandbox:
            assert "is not what you trusted (scripts/check.sh)" in result.stderr, result.stderr
            later = await command.run("again", "--no-sandbox")
            assert "not what you trusted" in later.stderr and not ran.exists()
