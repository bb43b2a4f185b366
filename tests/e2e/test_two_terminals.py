"""Two real terminals and one session: the app in both, and ``ml-intern attach`` beside the app."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, Fault, FaultKind, ServerReply
from tests.e2e.tmux import Terminal, needs_tmux

pytestmark = [needs_tmux, pytest.mark.timeout(180)]


@dataclass
class Desk:
    """One home and folder, a model, and two terminals."""

    folder: Path
    server: ModelServer
    first: Terminal
    second: Terminal

    def start(self, terminal: Terminal, *arguments: str) -> None:
        environ = {**os.environ, "TERM": "xterm-256color", "SHELL": "/bin/sh"}
        terminal.start([sys.executable, "-m", "ml_intern", *arguments], cwd=self.folder, environ=environ)

    async def say(self, terminal: Terminal, text: str) -> None:
        """Typed and sent."""
        terminal.type(text)
        await terminal.shows(text)
        terminal.keys("Enter")

    async def joined(self) -> None:
        """The first terminal has had an answer, and the second one has joined it."""
        self.start(self.first)
        await self.first.shows("local/m high")
        self.server.enqueue(ServerReply(text="Good morning."))
        await self.say(self.first, "hello")
        await self.first.shows("Good morning.")
        self.start(self.second, "--continue")
        await self.second.shows("Joined session")

    def listed(self) -> list[dict[str, object]]:
        done = subprocess.run(
            [sys.executable, "-m", "ml_intern", "sessions", "list", "--json"], cwd=self.folder, capture_output=True, check=True
        )
        return json.loads(done.stdout)

    def pid(self, terminal: Terminal) -> int:
        """The program under the window's shell."""
        done = subprocess.run(["pgrep", "-P", str(terminal.pid())], capture_output=True, text=True, check=True)
        return int(done.stdout.split()[0])


@pytest.fixture
async def desk(home: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    folder = tmp_path / "shop"
    folder.mkdir()
    config = home / ".config" / "ml-intern" / "cli_agent_config.json"
    config.parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="tmux-", dir="/tmp") as short:
        async with ModelServer([]) as server:
            own = {
                "model_name": "local/m",
                "providers": {"local": {"base_url": server.v1}},
                "mcpServers": {},
                "terminal_notifications": "off",
                "permissions": {"ask": ["bash(touch *)"]},
            }
            config.write_text(json.dumps(own))
            first, second = Terminal(Path(short) / "a"), Terminal(Path(short) / "b")
            try:
                yield Desk(folder, server, first, second)
            finally:
                first.close()
                second.close()


def touch(name: str) -> ServerReply:
    return ServerReply(text="I will make it.", calls=(Call("bash", json.dumps({"command": f"touch {name}"})),))


async def test_a_second_app_joins_answers_leaves_for_its_own_session_and_the_first_goes_on(desk: Desk) -> None:
    desk.start(desk.first)
    await desk.first.shows("local/m high")
    desk.server.enqueue(ServerReply(text="Good morning."))
    await desk.say(desk.first, "hello")
    await desk.first.shows("Good morning.")
    owner = desk.pid(desk.first)

    desk.start(desk.second)
    await desk.second.shows("local/m high")
    await desk.say(desk.second, "/resume")
    await desk.second.shows("hello", f"app {owner}", "Enter joins it there, live")
    desk.second.keys("Enter")
    await desk.second.shows("Good morning.", f"open in process {owner} (app)")

    desk.server.enqueue(touch("made"), ServerReply(text="It is made."))
    await desk.say(desk.second, "make it")
    await desk.first.shows("make it", "from another terminal", "touch made")
    await desk.second.shows("touch made", "y approve")
    assert "from another terminal" not in desk.second.screen()
    desk.second.keys("F2", "y")
    await desk.first.shows("approved in another terminal", "It is made.")
    await desk.second.shows("It is made.")
    assert (desk.folder / "made").exists()

    await desk.say(desk.second, "/fork")
    await desk.second.shows("from another terminal")  # in the copy it is one terminal's among others
    desk.server.enqueue(ServerReply(text="In the copy."))
    await desk.say(desk.second, "another way")
    await desk.second.shows("In the copy.")
    desk.server.enqueue(ServerReply(text="Still with you."))
    await desk.say(desk.first, "are you there?")
    await desk.first.shows("Still with you.")
    assert "In the copy." not in desk.first.screen()
    assert {str(one["open_in"]["kind"]) for one in desk.listed() if isinstance(one["open_in"], dict)} == {"app"}


async def test_the_second_terminal_has_the_session_when_the_first_one_is_killed(desk: Desk) -> None:
    await desk.joined()
    desk.second.type("half a thought")
    await desk.second.shows("half a thought")
    os.kill(desk.pid(desk.first), signal.SIGKILL)
    await desk.second.shows("is gone", "This terminal opens it", "half a thought")
    desk.server.enqueue(ServerReply(text="And whole now."))
    desk.second.keys("Enter")
    await desk.second.shows("And whole now.")


async def test_a_call_that_waited_when_the_first_terminal_was_killed_is_asked_about_in_the_second(desk: Desk) -> None:
    desk.start(desk.first)
    await desk.first.shows("local/m high")
    desk.server.enqueue(touch("made"), ServerReply(text="It is made."))
    await desk.say(desk.first, "make it")
    await desk.first.shows("y approve")
    desk.start(desk.second, "--continue")
    await desk.second.shows("Joined session", "y approve")
    os.kill(desk.pid(desk.first), signal.SIGKILL)
    await desk.second.shows("is gone", "asks again", "y approve")
    assert "outcome unknown" not in desk.second.screen()
    desk.second.keys("F2", "y")
    await desk.second.shows("It is made.")
    assert (desk.folder / "made").exists()


async def test_when_the_first_terminal_leaves_the_second_one_is_told_once_and_has_the_session(desk: Desk) -> None:
    await desk.joined()
    desk.first.keys("C-d")
    await desk.first.shows("ENDED 0")
    desk.server.enqueue(ServerReply(text="Here I am."))
    await desk.say(desk.second, "go on")
    await desk.second.shows("Here I am.")
    assert desk.second.screen().count("Joined session") == desk.second.screen().count("This terminal opens it") == 1


async def test_attach_shows_text_and_cards_live_takes_keys_and_tells_the_end_of_its_owner(desk: Desk) -> None:
    desk.start(desk.first)
    await desk.first.shows("local/m high")
    desk.server.enqueue(touch("one"), ServerReply(text="First made."))
    await desk.say(desk.first, "hello")
    await desk.first.shows("touch one")
    desk.start(desk.second, "attach")
    await desk.second.shows("bash needs your approval", "touch one", "y approves")
    desk.second.keys("y")
    await desk.second.shows("First made.", "no turn runs")
    await desk.first.shows("approved in another terminal", "First made.")

    desk.server.enqueue(touch("two"), ServerReply(text="Second not made."))
    await desk.say(desk.second, "now the second")
    await desk.first.shows("now the second", "touch two", "y approve")
    await desk.second.shows("touch two")
    desk.first.keys("F2", "n")  # drawn is not yet in front: F2 is
    await desk.first.shows("Why not?")
    desk.first.keys("Enter")
    await desk.second.shows("bash rejected in the other terminal", "Second not made.", "no turn runs")
    assert not (desk.folder / "two").exists()
    desk.second.keys("C-d")
    await desk.second.shows("Second not made.", "ENDED 0")

    desk.start(desk.second, "attach")
    await desk.second.shows("Joined session")
    os.kill(desk.pid(desk.first), signal.SIGKILL)
    await desk.second.shows("is gone", "ENDED 1")


async def test_a_headless_run_that_waits_for_an_approval_is_answered_by_attach(desk: Desk) -> None:
    desk.server.enqueue(touch("made"), ServerReply(text="It is made."))
    desk.start(desk.first, "--wait-for-approval", "120s", "make it")
    await desk.first.shows("waits for an answer until", "ml-intern attach")
    assert not (desk.folder / "made").exists()
    desk.start(desk.second, "attach")
    await desk.second.shows("bash needs your approval", "touch made", "y approves")
    desk.second.keys("y")
    await desk.first.shows("It is made.", "ENDED 0")
    await desk.second.shows("bash approved", "ENDED 0")
    assert (desk.folder / "made").exists()


async def test_who_leaves_attach_in_the_middle_of_a_reply_keeps_what_was_written_of_it(desk: Desk) -> None:
    desk.start(desk.first)
    await desk.first.shows("local/m high")
    desk.start(desk.second, "attach")
    await desk.second.shows("Joined session")
    desk.server.enqueue(Fault(kind=FaultKind.HANG_MIDWAY, after=12, reply=ServerReply(text="The first half of a sentence that never ends")))
    await desk.say(desk.second, "tell me")
    await desk.second.shows("The first half")
    desk.second.keys("C-d")
    await desk.second.shows("The first half", "ENDED 0")


async def test_messages_that_a_killed_process_had_not_read_are_in_the_composer_again(desk: Desk) -> None:
    desk.start(desk.first)
    await desk.first.shows("local/m high")
    desk.server.enqueue(ServerReply(text="I will wait.", calls=(Call("bash", json.dumps({"command": "sleep 100"})),)))
    await desk.say(desk.first, "hello")
    await desk.first.shows("running bash")
    desk.start(desk.second, "--continue")
    await desk.second.shows("Joined session", "running bash")
    await desk.say(desk.second, "from the second")
    await desk.second.shows("handed over, read at the next step: from the second")
    await desk.say(desk.first, "from the first")
    await desk.first.shows("handed over, read at the next step: from the first")
    os.kill(desk.pid(desk.first), signal.SIGKILL)
    await desk.second.shows("is gone", "│ from the second", "interrupted, outcome unknown")
    assert "Esc interrupts" not in desk.second.screen()
    await desk.first.shows("ENDED")
    desk.start(desk.first, "--continue")
    await desk.first.shows("│ from the first")
