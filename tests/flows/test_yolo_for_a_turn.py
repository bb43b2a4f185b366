"""Approve this and the rest of the turn: unasked until the turn ends, however it ends, and no longer."""

from __future__ import annotations

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.state import SessionState

from .conftest import MakeWorld
from .support import ASKS, SPENDS, Echo, FakePort, World, call

THE_REST = op.SetAutoApproval(enabled=True, scope="turn")


async def _yes(w: World, asked: e.ApprovalRequired) -> None:
    await w.session.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id=asked.tools[0].tool_call_id, approved=True),)))


async def _asked(w: World, count: int = 1) -> e.ApprovalRequired:
    await w.session.submit(op.UserInput(text="go"))
    return await w.until(e.ApprovalRequired, count=count)


async def test_the_rest_of_this_turn_runs_unasked_and_the_next_turn_asks_again(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world(
        [call("echo", '{"text":"1"}')], [call("echo", '{"text":"2"}')], "done", [call("echo", '{"text":"3"}')], "x", tools=[echo]
    )
    asked = await _asked(w)
    await w.session.submit(THE_REST)
    await _yes(w, asked)
    await w.turn_end()
    assert echo.ran == ["1", "2"] and not w.state.yolo_this_turn and not w.state.auto_approval
    again = await _asked(w, count=2)
    assert again.tools[0].arguments == {"text": "3"}
    await w.session.submit(op.Interrupt())
    await w.until(e.Interrupted)


@pytest.mark.parametrize("end", [e.TurnComplete(history_size=1, final_response=""), e.Interrupted(), e.ErrorRaised(error="x")])
def test_what_was_said_for_a_turn_ends_with_it_however_it_ends(end: e.AnyEvent) -> None:
    state = SessionState()
    said = e.SessionUpdate(session_id="s1", auto_approval={"enabled": False, "cost_cap_usd": None, "this_turn": True})
    cap_alone = e.SessionUpdate(session_id="s1", auto_approval={"enabled": False, "cost_cap_usd": 2.0})
    refused = e.ErrorRaised(error="no such question", ends_turn=False)
    for seq, event in enumerate((e.Processing(message=""), said, cap_alone, refused), 1):
        state.apply(seq, event)
    assert state.yolo_this_turn and not state.auto_approval and state.spending.cap_usd == 2.0
    state.apply(5, end)
    assert not state.yolo_this_turn
    state.apply(6, said)
    assert not state.yolo_this_turn, "it came after the end of its turn"


async def test_it_survives_a_restart_in_the_middle_of_the_turn(world: MakeWorld) -> None:
    w = await world([call("echo", '{"text":"1"}')], tools=[Echo(risk=ASKS)])
    await _asked(w)
    await w.session.submit(THE_REST)
    await w.until(e.SessionUpdate)
    await w.store.release("s1")  # as kill -9 leaves it
    echo = Echo(risk=ASKS)
    again = await world(port=FakePort([call("echo", '{"text":"2"}')], "done"), store=w.store, tools=[echo])
    assert again.state.yolo_this_turn
    asked = await again.until(e.ApprovalRequired, count=2)  # what was asked before waits for its answer all the same
    await _yes(again, asked)
    await again.until(e.TurnComplete)
    assert echo.ran == ["1", "2"] and not again.state.yolo_this_turn


async def test_the_cap_holds_while_the_rest_of_a_turn_runs_unasked(world: MakeWorld) -> None:
    echo = Echo(risk=SPENDS)
    w = await world([call("echo", '{"text":"1"}')], [call("echo", '{"text":"2"}')], "done", tools=[echo])
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=3.0))
    asked = await _asked(w)
    await w.session.submit(THE_REST)
    assert w.state.spending.cap_usd == 3.0
    await _yes(w, asked)
    over = await w.until(e.ApprovalRequired, count=2)
    assert "exceeds the remaining cap" in (over.block_reason or "") and echo.ran == ["1"]
    await w.session.submit(op.Interrupt())
    await w.until(e.Interrupted)


async def test_switching_yolo_off_ends_the_word_for_the_turn_too(world: MakeWorld) -> None:
    w = await world([call("echo", '{"text":"1"}')], [call("echo", '{"text":"2"}')], tools=[Echo(risk=ASKS)])
    asked = await _asked(w)
    await w.session.submit(THE_REST)
    await w.session.submit(op.SetAutoApproval(enabled=False))
    await _yes(w, asked)
    assert (await w.until(e.ApprovalRequired, count=2)).tools[0].arguments == {"text": "2"}
    await w.session.submit(op.Interrupt())
    await w.until(e.Interrupted)


async def test_the_rest_of_a_turn_cannot_be_approved_where_none_runs(world: MakeWorld) -> None:
    w = await world("done")
    await w.session.submit(THE_REST)
    error = await w.until(e.ErrorRaised)
    assert "No turn runs" in error.error and not error.ends_turn and not w.state.yolo_this_turn
