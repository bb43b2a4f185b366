"""Ctrl-Z in ``ml-intern attach``: it stops and goes on like any other program of the terminal."""

from __future__ import annotations

import os
import sys

import pytest

from ml_intern.testing.replies import ServerReply
from tests.e2e.test_two_terminals import Desk, desk
from tests.e2e.tmux import needs_tmux

__all__ = ["desk"]
pytestmark = [needs_tmux, pytest.mark.timeout(180)]


@pytest.mark.parametrize("on_screen", [True, False])
async def test_ctrl_z_stops_attach_and_the_script_that_started_it_and_after_fg_both_go_on(desk: Desk, on_screen: bool) -> None:
    desk.start(desk.first)
    await desk.first.shows("local/m high")
    desk.server.enqueue(ServerReply(text="Good morning."), ServerReply(text="And good night."))
    await desk.say(desk.first, "hello")
    await desk.first.shows("Good morning.")
    (desk.folder / "start").write_text(f"{'' if on_screen else 'TERM=dumb '}{sys.executable} -m ml_intern attach\necho LEFT $?\n")
    terminal = desk.second
    terminal.start(["/bin/bash", "--norc", "--noprofile", "-i"], cwd=desk.folder, environ=dict(os.environ))
    await terminal.shows("bash-")
    terminal.type("sh start")
    terminal.keys("Enter")
    await terminal.shows("Good morning.")
    for turn in ("first", "second"):
        terminal.keys("C-z")
        await terminal.shows("Stopped", "bash-")
        terminal.type(f"clear; stty -a | grep -o '.icanon'; echo $((6*7)) {turn}")
        terminal.keys("Enter")
        screen = await terminal.shows(f"42 {turn}")
        assert " icanon" in screen and "❯" not in screen
        terminal.keys(*"fg", "Enter")
        if on_screen:
            await terminal.shows("❯", "Enter sends a message")
            assert terminal.screen().count("Enter sends a message") == 1 and f"42 {turn}" in terminal.screen()
    await desk.say(terminal, "good night")
    await terminal.shows("And good night.")
    terminal.keys("C-d")
    await terminal.shows("LEFT 0", "bash-")
