"""As a library: submit, iterate events, answer approvals, add a tool."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ml_intern import ToolSpec, open_session
from ml_intern.errors import ConfigError
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import (
    ApprovalRequired,
    ErrorRaised,
    NewComplete,
    ResumeComplete,
    ToolFinished,
    TurnComplete,
)
from ml_intern.protocol.messages import Image
from ml_intern.protocol.operations import ApprovalAnswer, ExecApproval, Fork, New, Resume, SwitchModel, UserInput
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, ServerReply
from ml_intern.tools.base import Tool, ToolArgs, ToolContext, ToolOutput

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


async def test_a_message_that_no_window_holds_is_refused_and_not_cut_in_silence(home: Path, tmp_path: Path) -> None:
    async with ModelServer([ServerReply(text="Hello.")]) as server:
        Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w") as session:
            await session.submit(UserInput(text="word " * 2_000_000))
            async for envelope in session.events():
                if isinstance(error := envelope.event, ErrorRaised):
                    break
        assert (error.kind, error.ends_turn) == ("MessageTooLong", True) and "was not sent" in error.error
        assert server.documents == []


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


async def test_a_new_session_has_nothing_of_the_last_ones_plan_and_resume_brings_it_back(home: Path, tmp_path: Path) -> None:
    """core W3.6 and W5.11: the original kept the plan in a global, took it along to the next session, and dropped the one that was left."""
    todo = {"id": "1", "content": "Look at the data", "status": "completed"}
    plan = ServerReply(calls=(Call("plan_tool", json.dumps({"todos": [todo]})),))
    async with ModelServer([plan], default=ServerReply(text="ok")) as server:
        Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w") as session:
            events, first = session.events(), session.session_id
            await session.submit(UserInput(text="one"))
            await _until(events, TurnComplete)
            assert [item.content for item in session.state.plan] == ["Look at the data"]
            await session.submit(New())
            await _until(events, NewComplete)
            assert not session.state.plan and not session.state.history.messages
            await session.submit(Resume(path=first))
            await _until(events, ResumeComplete)
            assert [item.content for item in session.state.plan] == ["Look at the data"]


async def test_a_session_in_which_nobody_spoke_leaves_nothing(home: Path, tmp_path: Path) -> None:
    async with ModelServer() as server:
        command = Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w"):
            pass
        assert json.loads((await command.run("sessions", "list", "--json")).stdout) == []


E = TypeVar("E")


async def _until(events: AsyncIterator[Envelope], kind: type[E]) -> E:
    async with asyncio.timeout(10):
        async for envelope in events:
            if isinstance(envelope.event, kind):
                return envelope.event
    raise AssertionError(f"no {kind.__name__}")


async def _listed(command: Command) -> list[dict[str, Any]]:
    return json.loads((await command.run("sessions", "list", "--json")).stdout)


class Held(Tool[ToolArgs]):
    """A tool that a user of the library made; it counts how often it is closed."""

    name = "held"
    description = "It holds something."
    args = ToolArgs

    def __init__(self, *, fails: bool = False) -> None:
        self.closed, self._fails = 0, fails

    async def run(self, args: ToolArgs, ctx: ToolContext) -> ToolOutput:
        return ToolOutput(text="held")

    async def aclose(self) -> None:
        self.closed += 1
        if self._fails:
            raise RuntimeError("It cannot be closed.")


async def test_resuming_the_session_that_one_is_in_is_refused_and_it_goes_on(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w") as session:
            events = session.events()
            await session.submit(UserInput(text="one"))
            await _until(events, TurnComplete)
            for name in ("last", "1", session.session_id[:8]):
                await session.submit(Resume(path=name))
                assert (await _until(events, ErrorRaised)).error.startswith("You are in it")
            await session.submit(UserInput(text="two"))
            await _until(events, TurnComplete)
            assert session.state.turn_count == 2


async def test_a_tool_that_was_handed_in_lives_as_long_as_the_host(home: Path, tmp_path: Path) -> None:
    async with ModelServer([ServerReply(calls=(Call("held"),)), ServerReply(text="done")]) as server:
        Command(home, tmp_path / "w", server)
        tool = Held()
        async with await open_session(cwd=tmp_path / "w", tools=[tool]) as session:
            await session.submit(New())
            assert tool.closed == 0
            events = session.events()
            await session.submit(UserInput(text="go"))
            assert (await _until(events, ToolFinished)).success
            await _until(events, TurnComplete)
        assert tool.closed == 1


async def test_a_tool_that_cannot_be_closed_keeps_nothing_else_open(home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        command = Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w", tools=[Held(fails=True)]) as session:
            events = session.events()
            await session.submit(UserInput(text="one"))
            await _until(events, TurnComplete)
        assert "It cannot be closed." in caplog.text
        assert [row["owner"] for row in await _listed(command)] == [""]


async def test_what_could_not_be_opened_leaves_no_session_behind(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        command = Command(home, tmp_path / "w", server)
        with pytest.raises(ConfigError):
            await open_session(cwd=tmp_path / "w", tools=[ToolSpec(name="bash", description="", parameters=SCHEMA, handler=_double)])
        assert await _listed(command) == []
        async with await open_session(cwd=tmp_path / "w") as session:
            events = session.events()
            await session.submit(UserInput(text="one"))
            await _until(events, TurnComplete)
            (tmp_path / "w").rename(tmp_path / "away")
            for operation, what in ((New(), "New chat failed"), (Fork(), "Fork failed"), (Fork(at_seq=99), "Fork failed")):
                await session.submit(operation)
                said = await _until(events, ErrorRaised)
                assert said.error.startswith(what) and not said.ends_turn
            (tmp_path / "away").rename(tmp_path / "w")
            assert [row["id"] for row in await _listed(command)] == [session.session_id]


async def test_a_session_of_pictures_alone_is_kept(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        command = Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w") as session:
            events = session.events()
            await session.submit(UserInput(text="", images=(Image(media_type="image/png", data=base64.b64encode(b"x").decode()),)))
            await _until(events, TurnComplete)
        assert len(await _listed(command)) == 1


async def test_new_keeps_the_model_and_a_fork_announces_itself(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        command = Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w") as session:
            events, first = session.events(), session.session_id
            await session.submit(UserInput(text="one"))
            await session.submit(SwitchModel(model="local/other"))
            await _until(events, TurnComplete)
            assert (await _listed(command))[0]["model"] == "local/other"
            await session.submit(Fork())
            forked = await _until(events, ResumeComplete)
            assert (forked.forked, forked.path, forked.session_id) == (True, first, session.session_id)
            await session.submit(New())
            await _until(events, NewComplete)
            assert session.state.model == "local/other"


async def test_a_session_of_another_folder_works_by_that_folders_settings(home: Path, tmp_path: Path) -> None:
    write = ServerReply(calls=(Call("write", json.dumps({"path": "a.txt", "content": "x"})),))
    async with ModelServer([ServerReply(text="ok"), write, ServerReply(text="done")]) as server:
        command = Command(home, tmp_path / "careful", server)
        command.folder.joinpath(".ml-intern").mkdir()
        command.folder.joinpath(".ml-intern/config.json").write_text('{"read_only": true}')
        async with await open_session(cwd=command.folder) as session:
            events = session.events()
            await session.submit(UserInput(text="one"))
            await _until(events, TurnComplete)
            resumed = session.session_id
        (tmp_path / "elsewhere").mkdir()
        async with await open_session(cwd=tmp_path / "elsewhere", resume=resumed, auto_approve=True) as session:
            events = session.events()
            await session.submit(UserInput(text="write it"))
            assert not (await _until(events, ToolFinished)).success
            await _until(events, TurnComplete)
        assert not command.folder.joinpath("a.txt").exists()


async def test_a_reader_that_was_never_used_before_the_close_still_gets_everything(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        Command(home, tmp_path / "w", server)
        async with await open_session(cwd=tmp_path / "w") as session:
            late, events = session.events(after_seq=0), session.events()
            await session.submit(UserInput(text="one"))
            await _until(events, TurnComplete)
        seen = [envelope.event.wire async for envelope in late]
        assert (seen[0], seen[-1]) == ("session_started", "shutdown") and "turn_complete" in seen
