"""The log is the session: a crash loses nothing that was shown, repeats nothing, leaves no call without its answer."""

from __future__ import annotations

import asyncio
from typing import Any

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import ToolMessage
from ml_intern.session.history import UNKNOWN_OUTCOME

from .conftest import MakeWorld
from .support import ASKS, Echo, FakePort, World, call


async def _crash(w: World) -> None:
    """As ``kill -9`` leaves things: nothing more is written, and the lease is a dead process's.

    ``tests/e2e`` kills real processes; here the store forgets the session's owner, so that what it still tries to write is refused.
    """
    await w.store.release("s1")


async def test_a_resumed_session_knows_everything(world: MakeWorld) -> None:
    w = await world([call("echo", '{"text":"a"}')], "done", tools=[Echo()])
    await w.say("remember 42")
    await w.session.aclose()
    again = await world(port=FakePort("42"), store=w.store, tools=[Echo()])
    assert again.state.history.messages == w.state.history.messages
    await again.say("what was it?")
    assert again.port.requests[0][:4] == w.port.requests[1] + [w.state.history.messages[-1]]


async def test_a_call_that_ran_when_the_process_died_is_answered_and_not_repeated(world: MakeWorld) -> None:
    started = asyncio.Event()

    async def hang(args: Any, ctx: Any) -> None:
        started.set()
        await asyncio.sleep(3600)

    w = await world([call("echo", '{"text":"deploy"}'), call("echo", '{"text":"other"}')], tools=[Echo(hang)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await _crash(w)
    echo = Echo()
    again = await world(port=FakePort("I see."), store=w.store, tools=[echo])
    await again.until(e.Interrupted)
    answers = again.of(e.ToolFinished)
    assert [a.output for a in answers] == [UNKNOWN_OUTCOME] * 2 and {a.error_kind for a in answers} == {"interrupted"}
    await again.say("go on")
    assert echo.ran == []
    assert len([m for m in again.port.requests[0] if isinstance(m, ToolMessage)]) == 2


async def test_an_approval_survives_a_restart(world: MakeWorld) -> None:
    w = await world([call("echo", '{"text":"rm"}')], tools=[Echo(risk=ASKS)])
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    await _crash(w)
    echo = Echo(risk=ASKS)
    again = await world(port=FakePort("done"), store=w.store, tools=[echo])
    asked = await again.until(e.ApprovalRequired, count=2)
    assert asked.tools[0] == approval.tools[0] and echo.ran == []
    yes = op.ApprovalAnswer(tool_call_id=asked.tools[0].tool_call_id, approved=True)
    await again.session.submit(op.ExecApproval(approvals=(yes,)))
    await again.until(e.TurnComplete)
    assert echo.ran == ["rm"]
    assert len(again.of(e.ToolFinished)) == 1 and len(again.of(e.ToolCalled)) == 1


async def test_an_approved_call_whose_process_died_is_not_run_again(world: MakeWorld) -> None:
    started = asyncio.Event()

    async def hang(args: Any, ctx: Any) -> None:
        started.set()
        await asyncio.sleep(3600)

    w = await world([call("echo")], tools=[Echo(hang, risk=ASKS)])
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    yes = op.ApprovalAnswer(tool_call_id=approval.tools[0].tool_call_id, approved=True)
    await w.session.submit(op.ExecApproval(approvals=(yes,)))
    await asyncio.wait_for(started.wait(), 5)
    await _crash(w)
    echo = Echo(risk=ASKS)
    again = await world(port=FakePort(), store=w.store, tools=[echo])
    await again.until(e.Interrupted)
    assert echo.ran == [] and again.of(e.ToolFinished)[0].output == UNKNOWN_OUTCOME


async def test_spend_and_cap_survive_a_restart(world: MakeWorld) -> None:
    w = await world("hi", price_usd=0.3)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=0.5))
    await w.say("go")
    await w.session.aclose()
    again = await world(port=FakePort("never", price_usd=0.3), store=w.store)
    await again.session.submit(op.UserInput(text="go"))
    approval = await again.until(e.ApprovalRequired)
    assert approval.yolo_budget and approval.tools[0].arguments["current_spend_usd"] == 0.3
    await again.session.submit(op.Interrupt())
    await again.until(e.Interrupted)


async def test_undo_takes_back_a_turn_and_not_the_guards_words(world: MakeWorld) -> None:
    """core W1.15: the original took its own injected messages for the user's."""
    plan = call("plan_tool", '{"todos":[{"id":"1","content":"x","status":"pending"}]}')
    w = await world("first", [plan], "a", "b", "c")
    await w.say("one")
    before = list(w.state.history.messages)
    await w.say("two")
    assert len(w.of(e.GuardTriggered)) == 2 and w.state.plan
    await w.session.submit(op.Undo())
    await w.until(e.UndoComplete)
    assert w.state.history.messages == before and w.state.plan == () and w.state.turn_count == 1


async def test_undo_with_nothing_to_undo_says_so(world: MakeWorld) -> None:
    w = await world()
    await w.session.submit(op.Undo())
    assert (await w.until(e.UndoComplete)).cut_seq == 0


async def test_truncating_to_a_message_counts_the_users_messages(world: MakeWorld) -> None:
    w = await world("a", "b", "c")
    for text in ("one", "two", "three"):
        await w.say(text)
    await w.session.submit(op.Undo(before_message=1))
    await w.until(e.UndoComplete)
    assert [m.text for m in w.state.history.messages] == ["one", "a"]


async def test_undo_during_a_turn_interrupts_it_first(world: MakeWorld) -> None:
    started = asyncio.Event()

    async def hang(args: Any, ctx: Any) -> None:
        started.set()
        await asyncio.sleep(3600)

    w = await world([call("echo")], tools=[Echo(hang)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.Undo())
    await w.until(e.UndoComplete)
    assert w.names()[-2:] == ["interrupted", "undo_complete"] and w.state.history.messages == []


async def test_a_reader_that_joins_late_sees_the_whole_log(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo()])
    await w.say("go")
    last = w.state.last_seq
    seen = []
    async for envelope in w.session.events(after_seq=2):
        seen.append(envelope)
        if envelope.seq == last:
            break
    assert [x.seq for x in seen] == list(range(3, last + 1))
    assert [x.event for x in seen] == [x.event for x in w.envelopes if x.seq is not None and x.seq > 2]


async def test_a_reader_that_falls_behind_loses_nothing_stored(world: MakeWorld) -> None:
    from ml_intern.session import log

    w = await world("x")
    reader = w.session.events()
    assert (await anext(reader)).seq == 1  # it is live now, and then looks away
    for n in range(log.QUEUE_LIMIT + 50):
        await w.session.log.append(e.ToolLog(tool="t", log=str(n)))
    seen = [await anext(reader) for _ in range(log.QUEUE_LIMIT + 50)]
    assert [x.seq for x in seen] == list(range(2, log.QUEUE_LIMIT + 52))
    await reader.aclose()  # type: ignore[attr-defined]


async def test_the_model_can_be_switched_and_a_wrong_one_is_refused(world: MakeWorld) -> None:
    other = FakePort("I am the other.", model_id="other/model")
    w = await world("first", other_ports=[other])
    await w.say("hi")
    await w.session.submit(op.SwitchModel(model="nope/none"))
    assert "nope/none" in (await w.until(e.ErrorRaised)).error
    await w.session.submit(op.SwitchModel(model="other/model"))
    assert (await w.say("who are you?")).final_response == "I am the other."
    assert w.state.model == "other/model"
