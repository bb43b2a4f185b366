"""A call that the user edits is judged and priced like a new one before it runs."""

from __future__ import annotations

import asyncio
from typing import Any

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.permissions import Mode
from ml_intern.tools.base import Effect, Risk

from .conftest import MakeWorld
from .support import Echo, FakePort, World, call


def _priced(args: Any) -> Risk:
    return Risk(effects=frozenset({Effect.SPENDS}), cost_usd=float(args.n))


async def _asked(w: World) -> e.PendingTool:
    await w.session.submit(op.UserInput(text="go"))
    return (await w.until(e.ApprovalRequired)).tools[0]


async def _yes(w: World, pending: e.PendingTool, **more: Any) -> None:
    answer = op.ApprovalAnswer(tool_call_id=pending.tool_call_id, approved=True, **more)
    await w.session.submit(op.ExecApproval(approvals=(answer,)))


async def test_an_edit_that_costs_something_else_is_shown_with_its_new_price_before_it_runs(world: MakeWorld) -> None:
    echo = Echo(risk=_priced)
    w = await world([call("echo", '{"n":1,"text":"cheap"}')], "done", tools=[echo])
    pending = await _asked(w)
    await _yes(w, pending, arguments={"n": 3, "text": "dear"})
    again = (await w.until(e.ApprovalRequired, count=2)).tools[0]
    assert (again.tool_call_id, again.arguments, again.estimated_cost_usd) == (pending.tool_call_id, {"n": 3, "text": "dear"}, 3.0)
    assert echo.ran == [] and w.state.pending[again.tool_call_id] == again
    await _yes(w, again)
    await w.turn_end()
    assert echo.ran == ["dear"]
    assert [x.state for x in w.of(e.ToolStateChange)] == ["changed", "approved", "running"]
    (finished,) = w.of(e.ToolFinished)
    assert finished.output.count("[The user changed the arguments") == 1


async def test_an_answer_to_the_new_price_counts_however_soon_it_comes(world: MakeWorld) -> None:
    """Whoever edited it held it for a moment longer than it was shown: "No pending approval" was not true."""
    echo = Echo(risk=_priced)
    w = await world([call("echo", '{"n":1,"text":"cheap"}')], "done", tools=[echo])
    pending = await _asked(w)

    async def someone_else() -> None:
        await _yes(w, (await w.until(e.ApprovalRequired, count=2)).tools[0])

    await asyncio.gather(someone_else(), _yes(w, pending, arguments={"n": 3, "text": "dear"}))
    await w.turn_end()
    assert echo.ran == ["dear"] and w.of(e.ErrorRaised) == []


async def test_a_yes_to_the_old_price_is_none_to_the_new_one(world: MakeWorld) -> None:
    echo = Echo(risk=_priced)
    w = await world([call("echo", '{"n":1,"text":"cheap"}')], "done", tools=[echo])
    pending = await _asked(w)
    await asyncio.gather(_yes(w, pending, arguments={"n": 3, "text": "dear"}), _yes(w, pending))
    assert "is not what was shown" in (await w.until(e.ErrorRaised)).error and echo.ran == []
    await _yes(w, (await w.until(e.ApprovalRequired, count=2)).tools[0])
    await w.turn_end()
    assert echo.ran == ["dear"]


async def test_an_edit_that_costs_the_same_runs_at_once(world: MakeWorld) -> None:
    echo = Echo(risk=_priced)
    w = await world([call("echo", '{"n":1,"text":"a"}')], "done", tools=[echo])
    await _yes(w, await _asked(w), arguments={"n": 1, "text": "b"})
    await w.turn_end()
    assert echo.ran == ["b"] and len(w.of(e.ApprovalRequired)) == 1


async def test_an_edit_that_was_priced_anew_survives_a_restart(world: MakeWorld) -> None:
    w = await world([call("echo", '{"n":1,"text":"cheap"}')], tools=[Echo(risk=_priced)])
    await _yes(w, await _asked(w), arguments={"n": 3, "text": "dear"})
    shown = (await w.until(e.ApprovalRequired, count=2)).tools[0]
    await w.store.release("s1")  # as after a crash: nothing more is written
    echo = Echo(risk=_priced)
    again = await world(port=FakePort("done"), store=w.store, tools=[echo], mode=Mode.ASK)
    asked = (await again.until(e.ApprovalRequired, count=3)).tools[0]
    assert (asked.arguments, asked.estimated_cost_usd) == (shown.arguments, 3.0)
    await _yes(again, asked)
    await again.until(e.TurnComplete)
    assert echo.ran == ["dear"]
