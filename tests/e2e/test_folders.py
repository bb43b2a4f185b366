"""Whose session is continued, and where it works."""

from __future__ import annotations

import json
import os
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


async def test_a_key_that_a_folder_links_as_its_instructions_is_not_sent_and_the_user_is_told_once(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        command = Command(home, tmp_path / "w", server)
        (home / "key").write_text("BEGIN PRIVATE KEY")
        (command.folder / "AGENTS.md").symlink_to(home / "key")
        result = await command.run("hello")
        assert result.code == 0 and "PRIVATE KEY" not in json.dumps(server.documents)
        assert result.stderr.count("AGENTS.md was not read: it is a link that leads out of the project") == 1


async def test_a_pipe_for_instructions_holds_nobody_up(home: Path, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="ok")) as server:
        command = Command(home, tmp_path / "w", server)
        os.mkfifo(command.folder / "AGENTS.md")
        result = await command.run("hello")
        assert result.code == 0 and "AGENTS.md was not read: it is no regular file" in result.stderr
