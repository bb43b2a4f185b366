"""A program that says more than the model's window holds is told so, and nothing of it is cut in silence."""

from __future__ import annotations

import asyncio
from typing import Any

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op

from .conftest import MakeWorld
from .support import Echo, call

LONG = "word " * 40_000


async def test_a_message_that_the_window_does_not_hold_is_refused_before_anything_is_sent(world: MakeWorld) -> None:
    w = await world("Hello.", window=20_000, refuses_too_long=True)
    end = await w.say(LONG)
    assert (end.kind, end.ends_turn) == ("MessageTooLong", True)
    assert "the model takes 20" in end.error and "file" in end.hint
    assert w.port.requests == [] and w.state.history.messages == [] and not w.session.busy
    assert (await w.say("hi")).final_response == "Hello."


async def test_a_steering_message_that_is_too_long_is_refused_and_the_turn_goes_on(world: MakeWorld) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def hold(args: Any, ctx: Any) -> str:
        started.set()
        await go_on.wait()
        return "held"

    w = await world([call("echo")], "done", tools=[Echo(hold)], window=20_000, refuses_too_long=True)
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.UserInput(text=LONG))
    go_on.set()
    assert (await w.turn_end()).final_response == "done"
    (refused,) = w.of(e.ErrorRaised)
    assert (refused.kind, refused.ends_turn) == ("MessageTooLong", False)
    assert len(w.of(e.UserMessageAdded)) == 1


async def test_what_another_terminal_sends_is_let_in_for_it_was_measured_there(world: MakeWorld) -> None:
    w = await world("Hello.", window=20_000, refuses_too_long=True)
    await w.session.submit(op.UserInput(text=LONG, sent_by="another terminal"))
    await w.turn_end()
    assert [x.sent_by for x in w.of(e.UserMessageAdded)] == ["another terminal"]
