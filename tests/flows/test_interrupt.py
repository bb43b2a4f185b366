"""An interrupt works in every state and poisons nothing after it."""

from __future__ import annotations

import asyncio

from ml_intern.models.base import RetryNotice, TextDelta
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import AssistantMessage, ToolMessage, UnreadMessage, UserMessage

from .conftest import MakeWorld
from .support import ASKS, Echo, World, call


async def _interrupt(w: World) -> None:
    await w.session.submit(op.Interrupt())
    end = await w.turn_end()
    assert isinstance(end, e.Interrupted)


async def _still_works(w: World) -> None:
    w.port.steps[:] = ["fine"]
    end = await w.say("again")
    assert isinstance(end, e.TurnComplete) and end.final_response == "fine"


def _answers_every_call(w: World) -> None:
    called = [event.tool_call_id for event in w.of(e.ToolCalled)]
    finished = [event.tool_call_id for event in w.of(e.ToolFinished)]
    assert sorted(called) == sorted(finished)


async def test_while_waiting_for_the_first_token(world: MakeWorld) -> None:
    waiting = asyncio.Event()

    async def silent(request):  # type: ignore[no-untyped-def]
        waiting.set()
        await asyncio.sleep(600)
        yield TextDelta("never")

    w = await world(silent)
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(waiting.wait(), 5)
    await _interrupt(w)
    assert w.port.closed_streams == 1
    await _still_works(w)


async def test_during_a_backoff(world: MakeWorld) -> None:
    async def backing_off(request):  # type: ignore[no-untyped-def]
        yield RetryNotice(1, 30.0, "429", discard_text=False)
        await asyncio.sleep(600)

    w = await world(backing_off)
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.Retrying)
    await _interrupt(w)
    await _still_works(w)


async def test_while_text_streams_what_was_shown_stays_said(world: MakeWorld) -> None:
    async def half(request):  # type: ignore[no-untyped-def]
        yield TextDelta("The answer is ")
        await asyncio.sleep(600)

    w = await world(half)
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.AssistantChunk)
    await _interrupt(w)
    (message,) = w.of(e.AssistantMessageAdded)
    assert (message.content, message.finish_reason) == ("The answer is ", "interrupted")
    await _still_works(w)
    assert AssistantMessage(text="The answer is ", model="fake/model") in w.port.requests[-1]


async def test_while_tools_run_finished_work_is_kept_and_the_rest_is_answered(world: MakeWorld) -> None:
    started = asyncio.Event()

    async def maybe_hang(args, ctx):  # type: ignore[no-untyped-def]
        if args.text == "hang":
            ctx.report("half of it\n")
            started.set()
            await asyncio.sleep(600)
        return "finished"

    w = await world([call("echo", '{"text":"quick"}'), call("echo", '{"text":"hang"}')], tools=[Echo(maybe_hang)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.until(e.ToolFinished)
    await _interrupt(w)
    _answers_every_call(w)
    quick, hang = w.of(e.ToolFinished)
    assert quick.output == "finished" and quick.success
    assert hang.error_kind == "interrupted" and "half of it" in hang.output and "unknown" in hang.output
    await _still_works(w)
    assert next(m.text for m in w.port.requests[-1] if isinstance(m, ToolMessage)) == "finished"


async def test_a_call_that_had_not_begun_is_told_so(world: MakeWorld) -> None:
    from ml_intern.tools.base import Effect, Risk

    started = asyncio.Event()

    async def hang(args, ctx):  # type: ignore[no-untyped-def]
        started.set()
        await asyncio.sleep(600)

    risk = Risk(effects=frozenset({Effect.WRITES_WORKSPACE}), writes=frozenset({"/a"}))
    echo = Echo(hang, risk=risk)
    w = await world([call("echo", '{"text":"1"}'), call("echo", '{"text":"2"}')], tools=[echo])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await _interrupt(w)
    _answers_every_call(w)
    assert "not run" in {event.tool_call_id: event for event in w.of(e.ToolFinished)}[w.of(e.ToolCalled)[1].tool_call_id].output
    assert echo.ran == ["1"]


async def test_while_an_approval_waits(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world([call("echo")], tools=[echo])
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.ApprovalRequired)
    await _interrupt(w)
    _answers_every_call(w)
    assert echo.ran == [] and w.state.pending == {}
    await _still_works(w)


async def test_an_interrupt_while_idle_leaves_no_mark(world: MakeWorld) -> None:
    """The original kept a stale flag: the next approved tool was reported cancelled."""
    echo = Echo(risk=ASKS)
    w = await world([call("echo", '{"text":"go"}')], "done", tools=[echo])
    await w.session.submit(op.Interrupt())
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    answer = op.ApprovalAnswer(tool_call_id=approval.tools[0].tool_call_id, approved=True)
    await w.session.submit(op.ExecApproval(approvals=(answer,)))
    assert (await w.turn_end()).reason == "done"
    assert w.of(e.ToolFinished)[0].output == "go"
    assert w.of(e.Interrupted) == []


async def test_during_compaction(world: MakeWorld) -> None:
    summarising = asyncio.Event()

    async def silent(request):  # type: ignore[no-untyped-def]
        summarising.set()
        await asyncio.sleep(600)
        yield TextDelta("never")

    w = await world(*[[call("echo", f'{{"text":"{"y" * 4000}","n":{n}}}', id=f"c{n}")] for n in range(6)], "done", tools=[Echo()])
    await w.say("go")
    before = list(w.state.history.messages)
    w.port.steps[:] = [silent]
    await w.session.submit(op.Compact())
    await asyncio.wait_for(summarising.wait(), 5)
    await w.session.submit(op.Interrupt())
    await w.until(e.Interrupted)
    assert w.state.history.messages == before
    await _still_works(w)


async def test_a_second_interrupt_does_not_tear_up_the_first(world: MakeWorld) -> None:
    started = asyncio.Event()

    async def hang(args, ctx):  # type: ignore[no-untyped-def]
        started.set()
        await asyncio.sleep(600)

    w = await world([call("echo", f'{{"n":{n}}}') for n in range(5)], tools=[Echo(hang)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await asyncio.gather(*(w.session.submit(op.Interrupt()) for _ in range(4)))
    assert isinstance(await w.turn_end(), e.Interrupted)
    _answers_every_call(w)
    assert len(w.of(e.Interrupted)) == 1


async def test_words_that_an_interrupt_kept_from_being_read_are_their_senders_again_and_run_unasked_never(world: MakeWorld) -> None:
    started = asyncio.Event()

    async def hang(args, ctx):  # type: ignore[no-untyped-def]
        started.set()
        await asyncio.sleep(600)

    w = await world([call("echo")], tools=[Echo(hang)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.UserInput(text="use the small set"))
    await w.session.submit(op.UserInput(text="and be quick", sent_by="process 7"))
    await _interrupt(w)
    (interrupted,) = w.of(e.Interrupted)
    assert interrupted.unread == (UnreadMessage("use the small set"), UnreadMessage("and be quick", sent_by="process 7"))
    await _still_works(w)
    assert [m.text for m in w.port.requests[-1] if isinstance(m, UserMessage)] == ["go", "again"]


async def test_words_that_wait_when_the_session_is_closed_are_in_its_log(world: MakeWorld) -> None:
    started = asyncio.Event()

    async def hang(args, ctx):  # type: ignore[no-untyped-def]
        started.set()
        await asyncio.sleep(600)

    w = await world([call("echo")], tools=[Echo(hang)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.UserInput(text="use the small set"))
    await w.session.aclose()
    assert [one.content for event in w.of(e.Interrupted) for one in event.unread] == ["use the small set"]


async def test_an_interrupt_right_behind_the_words_still_ends_the_turn(world: MakeWorld) -> None:
    w = await world("never")
    await w.session.submit(op.UserInput(text="go"))
    await w.session.submit(op.Interrupt())
    assert isinstance(await w.turn_end(), e.Interrupted)
    assert len(w.of(e.UserMessageAdded)) == len(w.of(e.Processing)) == 1
    await _still_works(w)


async def test_words_that_come_while_the_interrupt_cleans_up_start_a_turn(world: MakeWorld) -> None:
    started, cleaning, clean = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hang(args, ctx):  # type: ignore[no-untyped-def]
        started.set()
        try:
            await asyncio.sleep(600)
        finally:
            cleaning.set()
            await clean.wait()

    w = await world([call("echo")], "here I am", tools=[Echo(hang)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.Interrupt())
    await asyncio.wait_for(cleaning.wait(), 5)
    await w.session.submit(op.UserInput(text="now this"))
    clean.set()
    assert isinstance(await w.turn_end(), e.Interrupted)
    end = await w.turn_end(2)
    assert end.final_response == "here I am" and w.port.requests[-1][-1].text == "now this"


async def test_words_that_come_during_a_compaction_start_a_turn_after_it(world: MakeWorld) -> None:
    w = await world("first", "second")
    await w.say("one")
    await w.session.submit(op.Compact())
    await w.session.submit(op.UserInput(text="two"))
    assert (await w.turn_end(2)).final_response == "second"


async def test_an_approval_whose_sender_is_cut_off_is_decided_all_the_same(world: MakeWorld) -> None:
    w = await world([call("echo", "{}", "c1")], "done", tools=[Echo(risk=ASKS)])
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.ApprovalRequired)
    approval = op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=True),))
    sending = asyncio.create_task(w.session.submit(approval))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])
    assert sending.cancelled()
    end = await w.turn_end()
    assert isinstance(end, e.TurnComplete) and [finished.success for finished in w.of(e.ToolFinished)] == [True]
