"""Keys in a real terminal: typed fast, and what every program of the terminal does with Ctrl-C and Ctrl-Z."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tests.e2e.test_terminal_app import Desk, desk
from tests.e2e.tmux import needs_tmux

__all__ = ["desk"]
pytestmark = needs_tmux
BURST = ("a", "b", "c", "BSpace", "BSpace", "d", "e", "f")
FAMILY = "👩‍👩‍👧"


def line_with(text: str) -> Callable[[str], bool]:
    """Whether a row of the screen holds this and nothing else but a frame."""
    return lambda screen: any(row.strip(" │▌▊▎") == text for row in screen.split("\n"))


async def test_keys_typed_in_a_burst_take_effect_in_their_order_in_the_composer_and_in_a_search_field(desk: Desk) -> None:
    desk.start()
    await desk.terminal.shows("local/m high ·")
    desk.terminal.keys(*BURST)
    await desk.terminal.until(lambda: line_with("adef")(desk.terminal.screen()))
    desk.terminal.keys("C-c")
    await desk.terminal.shows("↑ brings it back")
    await desk.say("/theme")
    await desk.terminal.shows("Theme", "Type to search")
    desk.terminal.keys(*BURST)
    await desk.terminal.until(lambda: line_with("adef")(desk.terminal.screen()))


async def test_backspace_takes_a_whole_family_of_emoji(desk: Desk) -> None:
    desk.start()
    await desk.terminal.shows("local/m high ·")
    desk.terminal.type(f"ab{FAMILY}")
    desk.terminal.keys("BSpace", "c")
    await desk.terminal.until(lambda: line_with("abc")(desk.terminal.screen()))


async def test_ctrl_c_clears_what_is_written_and_up_brings_it_back_and_twice_leaves(desk: Desk) -> None:
    desk.start()
    await desk.terminal.shows("local/m high ·")
    await type_it(desk, "what I wrote")
    desk.terminal.keys("C-c")
    await desk.terminal.shows_no_more("what I wrote")
    desk.terminal.keys("Up")
    await desk.terminal.shows("what I wrote")
    desk.terminal.keys("C-c", "C-c")
    await desk.terminal.shows("ENDED 0")


async def type_it(desk: Desk, text: str) -> None:
    desk.terminal.type(text)
    await desk.terminal.shows(text)


async def test_ctrl_z_suspends_and_after_fg_the_screen_is_whole(desk: Desk) -> None:
    environ = {**os.environ, "HF_ENDPOINT": desk.hub.url, "TERM": "xterm-256color", "HF_TOKEN": desk.hub.TOKEN}
    desk.terminal.start(["/bin/bash", "--norc", "--noprofile", "-i"], cwd=desk.folder, environ=environ)
    await desk.terminal.shows("bash-")
    await desk.say(f"{sys.executable} -m ml_intern")
    await desk.terminal.shows("local/m high ·", "$0.00 · ask")
    await type_it(desk, "half a sentence")
    before = desk.terminal.screen()
    desk.terminal.keys("C-z")
    await desk.terminal.shows("Stopped", "bash-")
    await desk.say("echo $((6*7)) and fg")
    await desk.terminal.shows("42 and fg")
    desk.terminal.keys(*"fg", "Enter")
    await desk.terminal.shows("half a sentence", "$0.00 · ask")
    assert desk.terminal.screen() == before
    desk.terminal.keys("C-_")
    await desk.terminal.shows_no_more("half a sentence")


async def test_ctrl_z_stops_a_script_that_started_the_app_too_and_after_fg_both_go_on(desk: Desk) -> None:
    environ = {**os.environ, "HF_ENDPOINT": desk.hub.url, "TERM": "xterm-256color", "HF_TOKEN": desk.hub.TOKEN}
    (desk.folder / "start").write_text(f"{sys.executable} -m ml_intern\necho LEFT $?\n")
    desk.terminal.start(["/bin/bash", "--norc", "--noprofile", "-i"], cwd=desk.folder, environ=environ)
    await desk.terminal.shows("bash-")
    await desk.say("sh start")
    await desk.terminal.shows("local/m high ·", "$0.00 · ask")
    await type_it(desk, "half a sentence")
    before = desk.terminal.screen()
    for turn in ("first", "second"):
        desk.terminal.keys("C-z")
        await desk.terminal.shows("Stopped", "bash-")
        await desk.say(f"echo $((6*7)) {turn}")
        await desk.terminal.shows(f"42 {turn}")
        desk.terminal.keys(*"fg", "Enter")
        await desk.terminal.shows("half a sentence", "$0.00 · ask")
        assert desk.terminal.screen() == before
    desk.terminal.keys("C-_")
    await desk.terminal.shows_no_more("half a sentence")
    desk.terminal.keys("C-c", "C-c")
    await desk.terminal.shows("LEFT 0", "bash-")


async def test_ctrl_z_does_nothing_where_no_shell_could_bring_the_app_back(desk: Desk) -> None:
    desk.start()
    await desk.terminal.shows("local/m high ·", "$0.00 · ask")
    desk.terminal.keys("C-z")
    await desk.terminal.shows("there is no shell to go to")
    await type_it(desk, "still here")
    desk.terminal.keys("C-c", "C-c")
    await desk.terminal.shows("ENDED 0")


async def test_a_new_session_is_told_with_its_name(desk: Desk) -> None:
    desk.start()
    await desk.terminal.shows("local/m high ·", "$0.00 · ask")
    await desk.say("/new")
    await desk.terminal.shows("new session ")
