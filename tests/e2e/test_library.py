"""As a library: submit, iterate events, answer approvals, add a tool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml_intern import ToolSpec, open_session
from ml_intern.errors import ConfigError
from ml_intern.protocol.events import ApprovalRequired, NewComplete, ResumeComplete, ToolFinished, TurnComplete
from ml_intern.protocol.operations import ApprovalAnswer, ExecApproval, Fork, New, Resume, UserInput
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, ServerReply

from .command import Command


async def _double(arguments: dict[str, object]) -> str:
    return str(int(str(arguments["n"])) * 2)


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
DOUBLE = ToolSpec(name="double", description="Double a number.", parameters=SCHEMA, handler=_double)


async def test_ten_lines_add_a_tool_and_answer_its_approval(home: Path, tmp_path: Path) -> None:
    async with ModelServer([ServerReply(calls=(Call("double", '{"n":21}'),)), ServerReply(text="42")]) as server:
        Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w", tools=[DOUBLE]) as session:
            await session.submit(UserInput(text="Double 21."))
            outputs = []
            async for envelope in session.events():
                match envelope.event:
                    case ApprovalRequired(tools=tools):
                        answers = tuple(ApprovalAnswer(tool_call_id=tool.tool_call_id, approved=True) for tool in tools)
                        await session.submit(ExecApproval(approvals=answers))
                    case ToolFinished(output=output):
                        outputs.append(output)
                    case TurnComplete(final_response=response):
                        break
                    case _:
                        pass
        assert (outputs, response) == (["42"], "42")
        assert any(tool["function"]["name"] == "double" for tool in server.documents[0]["tools"])


@pytest.mark.parametrize("arguments", ['{"n":"x"}', "{}", '{"n":1,"m":2}', "[1]"])
async def test_arguments_of_an_outside_tool_are_checked_by_its_schema(home: Path, tmp_path: Path, arguments: str) -> None:
    async with ModelServer([ServerReply(calls=(Call("double", arguments),)), ServerReply(text="sorry")]) as server:
        Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w", tools=[DOUBLE]) as session:
            await session.submit(UserInput(text="go"))
            async for envelope in session.events():
                if isinstance(envelope.event, ToolFinished):
                    assert envelope.event.error_kind == "invalid_arguments"
                if isinstance(envelope.event, TurnComplete):
                    break


async def test_a_built_in_name_cannot_be_taken(home: Path, tmp_path: Path) -> None:
    async with ModelServer() as server:
        Command(home, tmp_path / "w", server)
        mine = ToolSpec(name="bash", description="Mine.", parameters=SCHEMA, handler=_double)
        with pytest.raises(ConfigError, match="bash"):
            await open_session(cwd=tmp_path / "w", tools=[mine])


async def test_new_resume_and_fork_keep_the_stream_going(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w") as session:
            first = session.session_id
            events = session.events()

            async def until(kind: type) -> object:
                async for envelope in events:
                    if isinstance(envelope.event, kind):
                        return envelope.event
                raise AssertionError(f"no {kind.__name__}")

            await session.submit(UserInput(text="one"))
            await until(TurnComplete)
            await session.submit(New())
            new = await until(NewComplete)
            assert isinstance(new, NewComplete) and new.previous_session_id == first and new.previous_turn_count == 1
            await session.submit(UserInput(text="two"))
            await until(TurnComplete)
            assert [m["content"] for m in server.documents[-1]["messages"] if m["role"] == "user"] == ["two"]
            await session.submit(Resume(path=first[:8]))
            resumed = await until(ResumeComplete)
            assert isinstance(resumed, ResumeComplete) and resumed.session_id == first and resumed.restored_count == 2
            await session.submit(Fork())
            assert session.session_id not in (first, new.session_id) and session.state.parent_id == first
            await session.submit(UserInput(text="three"))
            await until(TurnComplete)
            said = [m["content"] for m in server.documents[-1]["messages"] if m["role"] == "user"]
            assert said == ["one", "three"]
        assert server.refusals == []


async def test_a_session_in_which_nobody_spoke_leaves_nothing(home: Path, tmp_path: Path) -> None:
    async with ModelServer() as server:
        command = Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w"):
            pass
        assert json.loads((await command.run("sessions", "list", "--json")).stdout) == []
