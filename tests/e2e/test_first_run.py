"""``ml-intern`` on a terminal for the first time: it asks, can be left, and asks nobody where there is no terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_intern.testing.fake_hub.server import FakeHub

pytestmark = pytest.mark.timeout(90)
NOBODY = "http://127.0.0.1:9"


class Screen:
    """A pseudo-terminal around a process."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.shown = ""

    async def until(self, text: str) -> None:
        async with asyncio.timeout(30):
            while text not in self.shown:
                self.shown += (await asyncio.to_thread(os.read, self.ours, 4096)).decode()

    def type(self, text: str) -> None:
        os.write(self.ours, f"{text}\n".encode())


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    os.close(made.ours)
    os.close(made.theirs)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        yield server


def _environment(hub: FakeHub) -> dict[str, str]:
    local = dict.fromkeys(("OLLAMA_BASE_URL", "VLLM_BASE_URL", "LMSTUDIO_BASE_URL", "LLAMACPP_BASE_URL"), NOBODY)
    return {**os.environ, **local, "HF_ENDPOINT": hub.url, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


async def _start(hub: FakeHub, folder: Path, screen: Screen | None, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ml_intern", *arguments, stdin=screen.theirs if screen else DEVNULL, stdout=PIPE,
        stderr=screen.theirs if screen else PIPE, cwd=folder, env=_environment(hub), start_new_session=True,
    )  # fmt: skip


async def test_a_token_that_is_pasted_is_not_shown_and_kept(hub: FakeHub, tmp_path: Path, home: Path, screen: Screen) -> None:
    process = await _start(hub, tmp_path, screen, "setup")
    await screen.until("Token or key (not shown")
    screen.type(FakeHub.TOKEN)
    await screen.until("Share traces?")
    screen.type("n")
    await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert "Hello alice." in screen.shown and FakeHub.TOKEN not in screen.shown
    assert (home / ".config" / "ml-intern" / "hf_token").read_text().strip() == FakeHub.TOKEN


async def test_ctrl_c_leaves_the_first_run_and_the_next_start_asks_again(hub: FakeHub, tmp_path: Path, screen: Screen) -> None:
    """W5.4: the token prompt of the original could not be left."""
    process = await _start(hub, tmp_path, screen, "describe data.csv")
    await screen.until("Token or key (not shown")
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130
    again = await _start(hub, tmp_path, screen, "describe data.csv")
    screen.shown = ""
    await screen.until("Token or key (not shown")
    screen.type("")
    await asyncio.wait_for(again.communicate(), 30)
    await screen.until("There is no model to work with")
    assert again.returncode == 2


async def test_without_a_terminal_nobody_is_asked(hub: FakeHub, tmp_path: Path, home: Path) -> None:
    process = await _start(hub, tmp_path, None, "describe data.csv")
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2 and "Token" not in err.decode()
    assert not (home / ".local" / "state" / "ml-intern" / "first_run").exists()
    asked = await _start(hub, tmp_path, None, "setup")
    _, err = await asyncio.wait_for(asked.communicate(), 30)
    assert asked.returncode == 2 and "nobody to ask" in err.decode()
