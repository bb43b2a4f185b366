"""Whose session is continued, and where it works."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, ServerReply

from .command import Command


def _touch(name: str) -> ServerReply:
    return ServerReply(calls=(Call("bash", json.dumps({"command": f"touch {name}"})),))


async def test_continue_goes_on_with_the_last_session_of_this_folder(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        first, second = Command(home, tmp_path / "one", server), Command(home, tmp_path / "two", server)
        await first.run("mine")
        await second.run("theirs")
        assert (await first.run("--continue", "and now?")).code == 0
        said = [m["content"] for m in server.documents[-1]["messages"] if m["role"] == "user"]
        assert said == ["mine", "and now?"]
        third = await Command(home, tmp_path / "three", server).run("--continue", "hello?")
        assert third.code == 2 and "no session of this folder" in third.stderr and str(tmp_path / "one") in third.stderr


async def test_a_session_works_in_its_own_folder_wherever_it_is_resumed(home: Path, tmp_path: Path) -> None:
    async with ModelServer([ServerReply(text="ok"), _touch("here"), ServerReply(text="done")]) as server:
        first, second = Command(home, tmp_path / "one", server), Command(home, tmp_path / "two", server)
        await first.run("start")
        session_id = json.loads((await first.run("sessions", "list", "--json")).stdout)[0]["id"]
        assert (await second.run("--resume", session_id[:8], "touch it")).code == 0
        assert (first.folder / "here").exists() and not (second.folder / "here").exists()


async def test_a_session_whose_folder_is_gone_goes_on_where_it_is_resumed(home: Path, tmp_path: Path) -> None:
    async with ModelServer([ServerReply(text="ok"), _touch("here"), ServerReply(text="done"), ServerReply(text="again")]) as server:
        first, second = Command(home, tmp_path / "one", server), Command(home, tmp_path / "two", server)
        await first.run("start")
        session_id = json.loads((await first.run("sessions", "list", "--json")).stdout)[0]["id"]
        shutil.rmtree(first.folder)
        result = await second.run("--resume", session_id[:8], "touch it")
        assert result.code == 0, result.stderr
        assert (second.folder / "here").exists()


async def test_a_file_name_that_is_no_utf8_is_listed_and_hurts_nothing(home: Path, tmp_path: Path) -> None:
    async with ModelServer([ServerReply(calls=(Call("read", '{"path":"."}'),)), ServerReply(text="seen")]) as server:
        command = Command(home, tmp_path / "w", server)
        (command.folder / "plain.csv").touch()
        with open(bytes(command.folder) + b"/r\xe9sum\xe9.csv", "wb"):
            pass
        result = await command.run("look")
        assert (result.code, result.stdout.strip()) == (0, "seen"), result.stderr
