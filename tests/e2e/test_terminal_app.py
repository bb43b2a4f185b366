"""The app in a real terminal: first run, a task, an approval with an edit, a job, an interrupt, going back, resuming after kill -9."""

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

from ml_intern.compute.hf_script import unpacked
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_hub.jobs import Play
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, Fault, FaultKind, ServerReply
from tests.e2e.tmux import Terminal, needs_tmux

pytestmark = needs_tmux
RUN = Call("hf_jobs", json.dumps({"operation": "run", "script": "print('first idea')\n", "hardware_flavor": "t4-small", "timeout": "1h"}))


@dataclass
class Desk:
    """A home, a folder, a model and a Hub, and a terminal for the app."""

    home: Path
    folder: Path
    server: ModelServer
    hub: FakeHub
    terminal: Terminal

    def start(self, *arguments: str, token: str = FakeHub.TOKEN) -> None:
        environ = {**os.environ, "HF_ENDPOINT": self.hub.url, "TERM": "xterm-256color", "SHELL": "/bin/sh"}
        if token:
            environ["HF_TOKEN"] = token
        self.terminal.start([sys.executable, "-m", "ml_intern", *arguments], cwd=self.folder, environ=environ)

    async def say(self, text: str) -> None:
        """Typed and sent."""
        self.terminal.type(text)
        await self.terminal.shows(text)
        self.terminal.keys("Enter")

    def app_pid(self) -> int:
        """The app under the window's shell."""
        done = subprocess.run(["pgrep", "-P", str(self.terminal.pid())], capture_output=True, text=True, check=True)
        return int(done.stdout.split()[0])


@pytest.fixture
async def desk(home: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    folder = tmp_path / "shop"
    folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="tmux-", dir="/tmp") as short, FakeHub() as hub:
        async with ModelServer([]) as server:
            config = home / ".config" / "ml-intern" / "cli_agent_config.json"
            config.parent.mkdir(parents=True)
            own = {
                "model_name": "local/m",
                "providers": {"local": {"base_url": server.v1}},
                "mcpServers": {},
                "terminal_notifications": "off",
                "share_traces": False,
            }
            config.write_text(json.dumps(own))
            terminal = Terminal(Path(short) / "s")
            try:
                yield Desk(home, folder, server, hub, terminal)
            finally:
                terminal.close()


def configure(home: Path, settings: dict[str, object]) -> None:
    """The user's settings file."""
    file = home / ".config" / "ml-intern" / "cli_agent_config.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"mcpServers": {}, "terminal_notifications": "off", **settings}))


async def first_run(desk: Desk) -> None:
    """A pasted token is checked, not shown, and kept."""
    terminal = desk.terminal
    configure(desk.home, {"router_url": desk.server.v1, "model_name": "org/model"})
    desk.start(token="")
    await terminal.shows("Token or key (not shown")
    terminal.type(FakeHub.TOKEN)
    terminal.keys("Enter")
    await terminal.shows("Hello alice.", "[y/N]")
    assert FakeHub.TOKEN not in terminal.screen()
    terminal.type("n")
    terminal.keys("Enter")
    await terminal.shows("org/model", "ask")
    terminal.keys("C-d")
    await terminal.shows("ENDED 0")
    terminal.close()


async def edited_job(desk: Desk) -> None:
    """A job is approved with an edit, and what was edited is what the Hub got."""
    terminal = desk.terminal
    desk.hub.jobs.plays = Play(lines=("epoch 1 loss 0.5",), stage="COMPLETED")
    desk.server.enqueue(ServerReply(text="I send a job.", calls=(RUN,)), ServerReply(text="The job is done: loss 0.5."))
    await desk.say("train it")
    await terminal.shows("hf_jobs run", "first idea", "y approve")
    terminal.keys("F2", "e")
    await terminal.shows("editing script")
    terminal.type("import os")
    terminal.keys("Enter", "C-s")
    await terminal.shows("The job is done: loss 0.5.")
    sent = desk.hub.jobs.last
    assert sent is not None
    assert "import os" in "\n".join(str(event) for event in _events(desk)) and "import os" in unpacked(sent.spec["environment"])


async def interrupted(desk: Desk) -> None:
    """Esc ends what the model would do for ever."""
    desk.server.enqueue(Fault(kind=FaultKind.HANG))
    await desk.say("and now think for ever")
    await desk.server.asked(3)
    desk.terminal.keys("Escape")
    await desk.terminal.shows("interrupted")


async def rewound(desk: Desk) -> None:
    """Conversation and files go back; what was there before stays."""
    terminal = desk.terminal
    write = Call("write", json.dumps({"path": "made.txt", "content": "by the model"}))
    desk.server.enqueue(ServerReply(calls=(write,)), ServerReply(text="Written."))
    await desk.say("write a file")
    await terminal.shows("Written.")
    assert (desk.folder / "made.txt").exists()
    await desk.say("/rewind")
    await terminal.shows("What you said, the last first", "write a file")  # the title stands in the list of commands too
    terminal.keys("Enter")
    await terminal.shows("conversation and files")
    terminal.keys("Enter")
    await terminal.shows("1 file deleted", "made.txt")
    terminal.keys("y")
    await terminal.shows_no_more("Written.")
    await terminal.until(lambda: not (desk.folder / "made.txt").exists())
    assert (desk.folder / "notes.txt").read_text() == "before"


@pytest.mark.timeout(200)
async def test_the_whole_way_from_the_first_run_over_an_edited_job_to_a_resume_after_kill_9(desk: Desk) -> None:
    terminal = desk.terminal
    await first_run(desk)
    (desk.folder / "notes.txt").write_text("before")
    desk.start(token="")  # the one that was kept is found
    await terminal.shows("org/model", "ask")
    await edited_job(desk)
    await interrupted(desk)
    await rewound(desk)
    os.kill(desk.app_pid(), signal.SIGKILL)
    await terminal.shows("ENDED")
    terminal.close()

    desk.server.enqueue(ServerReply(text="Welcome back."))
    desk.start("--continue", token="")
    await terminal.shows("train it", "The job is done: loss 0.5.", "interrupted")
    await desk.say("go on")
    await terminal.shows("Welcome back.")
    terminal.keys("C-c")
    terminal.keys("C-c")
    await terminal.shows("ENDED 0")


@pytest.mark.timeout(100)
async def test_undo_takes_the_last_turn_back(desk: Desk) -> None:
    desk.server.enqueue(ServerReply(text="The first answer."), ServerReply(text="The second answer."))
    desk.start()
    await desk.terminal.shows("local/m")
    for text, answer in (("one", "The first answer."), ("two", "The second answer.")):
        desk.terminal.type(text)
        desk.terminal.keys("Enter")
        await desk.terminal.shows(answer)
    desk.terminal.type("/undo")
    desk.terminal.keys("Enter")
    await desk.terminal.shows_no_more("The second answer.")
    assert "The first answer." in desk.terminal.screen()


@pytest.mark.timeout(100)
async def test_leaving_tells_of_a_job_that_runs_on_and_what_it_may_cost(desk: Desk) -> None:
    desk.hub.jobs.plays = Play(lines=("epoch 1",), stage="RUNNING")
    desk.server.enqueue(ServerReply(text="I send a job.", calls=(RUN,)))
    desk.start()
    await desk.terminal.shows("local/m")
    await desk.say("train it")
    await desk.terminal.shows("y approve")
    desk.terminal.keys("F2", "y")
    await desk.terminal.shows("of at most 1h")
    desk.terminal.keys("C-d")
    await desk.terminal.shows("Ctrl-D again")
    desk.terminal.keys("C-d")
    await desk.terminal.shows("ENDED 0", "1 job runs on, ≤$0.40 set aside")


@pytest.mark.timeout(100)
async def test_a_small_terminal_is_enough(desk: Desk) -> None:
    desk.terminal = Terminal(desk.home / "s", width=44, height=12)
    try:
        desk.server.enqueue(ServerReply(text="A short answer."))
        desk.start()
        await desk.terminal.shows("local/m")
        desk.terminal.type("hi")
        desk.terminal.keys("Enter")
        await desk.terminal.shows("A short answer.")
    finally:
        desk.terminal.close()


def _events(desk: Desk) -> list[object]:
    """The log, through the command."""
    done = subprocess.run(
        [sys.executable, "-m", "ml_intern", "sessions", "export", "last", "--format", "jsonl"],
        cwd=desk.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
