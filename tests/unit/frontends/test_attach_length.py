"""``ml-intern attach``: a message that the model's window does not hold."""

from __future__ import annotations

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.entrance import TOO_LONG
from tests.unit.frontends.test_attach import BASH, Joined, Terminal, asks


@pytest.mark.parametrize("busy", [False, True])
async def test_a_message_that_the_window_does_not_hold_stays_on_the_line_and_the_user_is_told_what_to_do(busy: bool) -> None:
    terminal = Terminal(Joined())
    terminal.host.context_window = 20_000
    if busy:
        terminal.host.emit(e.Processing(message="…"))
    await terminal.settled()
    assert not terminal.follower.typed("word " * 20_000, "")
    await terminal.settled()
    assert terminal.host.operations == [] and "Sent:" not in terminal.text
    assert "The message was not sent. The message has about" in terminal.text and "the model takes 20k" in terminal.text
    assert TOO_LONG in terminal.text and "Ctrl-U clears" in terminal.text
    assert terminal.follower.typed("word", "")
    await terminal.settled()
    assert terminal.host.operations == [op.UserInput(text="word")]
    await terminal.left()


async def test_a_message_that_is_sent_at_the_second_enter_is_measured_too() -> None:
    terminal = Terminal(Joined())
    terminal.host.context_window = 20_000
    terminal.host.emit(asks(BASH))
    await terminal.settled()
    text = "word " * 20_000
    assert not terminal.follower.typed(text, "") and "Enter again sends it" in terminal.text
    assert not terminal.follower.typed(text, "") and TOO_LONG in terminal.text
    await terminal.settled()
    assert terminal.host.operations == []
    await terminal.left()
