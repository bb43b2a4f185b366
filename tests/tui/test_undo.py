"""``/undo``: what is taken back, what is asked before, and where the words go."""

from __future__ import annotations

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import UnreadMessage
from ml_intern.protocol.ran_words import ran_words
from tests.tui.pilots import command
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import FakeHost, done, reply, started

SAID = "two\nin two lines"
TURNS = (STARTED, *started("one"), reply("first"), done("first"), *started(SAID), reply("second"), done("second"))
STEERED = (*TURNS, *started("three"), e.UserMessageAdded(content="and steered", steering=True))
CUTS = {1: 6, 2: 10}
"""What the fake session cuts at, by the message that was named."""


async def taking_back(host: FakeHost, operation: op.AnyOperation) -> None:
    if isinstance(operation, op.Undo):
        if host.busy:
            host.emit(e.Interrupted(unread=(UnreadMessage("unread"),)))
        host.emit(e.UndoComplete(cut_seq=CUTS.get(operation.before_message or 0, 2)))


async def test_what_undo_took_back_is_in_the_composer_again() -> None:
    host = scripted(play=taking_back, past=TURNS)
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/undo")
        await settled(app, pilot, host)
        assert app.composer.text == SAID
        assert "second" not in "\n".join(screen_text(app))
    assert host.operations == [op.Undo(before_message=1)]


async def test_undo_leaves_what_is_being_written_alone() -> None:
    host = scripted(play=taking_back, past=TURNS)
    async with running(host) as (app, pilot):
        app.composer.text = "already here"
        await command(app, pilot, host, "/undo")
        await settled(app, pilot, host)
        assert app.composer.text == "already here"


async def test_undo_with_a_number_takes_back_that_many_turns_steering_included() -> None:
    host = scripted(play=taking_back, past=(*STEERED, done("third")))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/undo 2")
        await settled(app, pilot, host)
        assert app.composer.text == SAID
    assert host.operations == [op.Undo(before_message=1)]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/undo 3", "There are only 2 turns to take back."),
        ("/undo 0", "'0' is no number of turns."),
        ("/undo all", "'all' is no number of turns."),
        (f"/undo {'9' * 50}", "turns to take back"),
    ],
)
async def test_undo_refuses_a_number_that_it_cannot_do(typed: str, told: str) -> None:
    host = scripted(play=taking_back, past=TURNS)
    async with running(host) as (app, pilot):
        await command(app, pilot, host, typed)
        assert told in "\n".join(screen_text(app))
    assert host.operations == []


@pytest.mark.parametrize("key", ["n", "enter", "escape"])
async def test_undo_asks_before_it_takes_back_a_turn_that_runs(key: str) -> None:
    host = scripted(play=taking_back, past=STEERED)
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/undo")
        assert "A turn is running. Take it back?" in "\n".join(screen_text(app))
        await pilot.press(key)
        await settled(app, pilot, host)
        assert app.composer.text == ""
    assert host.operations == []


async def test_undo_of_a_turn_that_runs_gives_back_all_that_was_said_in_it() -> None:
    host = scripted(play=taking_back, past=STEERED)
    host.busy = True
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/undo")
        await pilot.press("y")
        await settled(app, pilot, host)
        assert app.composer.text == "three\n\nand steered\nunread"
    assert host.operations == [op.Undo(before_message=2)]


async def test_undo_takes_back_the_turn_that_it_asked_about_and_not_one_that_began_since() -> None:
    host = scripted(play=taking_back, past=STEERED)
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/undo")
        host.emit(done("third"), *started("four"))
        await settled(app, pilot, host)
        await pilot.press("y")
        await settled(app, pilot, host)
    assert host.operations == [op.Undo(before_message=2)]


async def test_shell_lines_that_went_with_a_message_do_not_come_back_into_the_composer() -> None:
    ran = f"{ran_words('ls', '(exit code 0)', 'a')}\n\nwhy?"
    host = scripted(play=taking_back, past=(STARTED, *started(ran), reply("so"), done("so")))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/undo")
        await settled(app, pilot, host)
        assert app.composer.text == "why?"
