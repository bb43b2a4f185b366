"""Tools that misbehave, answers that race, money that leaks: what a reviewer broke once and nobody breaks again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ml_intern.errors import ContextOverflow, StoreError
from ml_intern.models.base import Reply, RetryNotice, TextDelta, Usage
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import AssistantMessage, ToolMessage
from ml_intern.session.permissions import Mode
from ml_intern.tools.base import Effect, Risk

from .conftest import MakeWorld
from .support import ASKS, SPENDS, Echo, FakePort, KeptInMemory, call, text_reply


def _yes(pending: e.PendingTool, **more: Any) -> op.ExecApproval:
    return op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id=pending.tool_call_id, approved=True, **more),))


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_interrupt_that_a_tool_swallows_still_ends_the_turn(world: MakeWorld) -> None:
    started = asyncio.Event()

    async def stubborn(args: Any, ctx: Any) -> str:
        started.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            return "I go on regardless"
        return ""

    w = await world([call("echo")], "never", tools=[Echo(stubborn)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.Interrupt())
    assert isinstance(await w.turn_end(), e.Interrupted)
    assert len(w.of(e.ToolFinished)) == 1 and len(w.port.requests) == 1


@pytest.mark.parametrize("answer", [None, {"rows": 3}, 42], ids=str)
async def test_a_tool_that_answers_with_anything_but_text_has_crashed(world: MakeWorld, answer: Any) -> None:
    class Wrong(Echo):
        async def run(self, args: Any, ctx: Any) -> Any:
            return answer

    w = await world([call("echo"), call("echo", '{"n":1}')], "done", tools=[Wrong()])
    assert (await w.say("go")).reason == "done"
    assert {x.error_kind for x in w.of(e.ToolFinished)} == {"crash"} and "not with text" in w.of(e.ToolFinished)[0].output


async def test_text_that_no_encoding_knows_is_stored_with_replacements(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(lambda args, ctx: "half a \ud83d pair")])
    assert (await w.say("go")).reason == "done"
    assert w.of(e.ToolFinished)[0].output == "half a \ufffd pair"


async def test_arguments_nested_without_end_are_malformed(world: MakeWorld) -> None:
    deep = '{"text":' + "[" * 100_000 + "]" * 100_000 + "}"
    w = await world([call("echo", deep, id="deep")], "done", tools=[Echo()])
    assert (await w.say("go")).reason == "done"
    assert not w.of(e.ToolFinished)[0].success


@pytest.mark.parametrize("timeout_s", [None, 600.0])
async def test_a_time_out_inside_a_tool_is_not_taken_for_ours(world: MakeWorld, timeout_s: float | None) -> None:
    def slow_server(args: Any, ctx: Any) -> None:
        raise TimeoutError("the server did not answer")

    w = await world([call("echo")], "done", tools=[Echo(slow_server, timeout_s=timeout_s)])
    assert (await w.say("go")).reason == "done"
    finished = w.of(e.ToolFinished)[0]
    assert finished.error_kind == "crash" and "the server did not answer" in finished.output


async def test_a_risk_that_crashes_on_an_edit_is_told_and_the_call_waits_on(world: MakeWorld) -> None:
    def risk(args: Any) -> Risk:
        if args.text == "bad":
            raise KeyError("bad")
        return ASKS

    echo = Echo(risk=risk)
    w = await world([call("echo")], "done", tools=[echo])
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    await w.session.submit(_yes(approval.tools[0], arguments={"text": "bad"}))
    assert "could not be judged" in (await w.until(e.ErrorRaised)).error and echo.ran == []
    await w.session.submit(_yes(approval.tools[0]))
    assert (await w.turn_end()).reason == "done" and echo.ran == [""]


async def test_an_interrupt_before_the_calls_are_judged_answers_them(world: MakeWorld) -> None:
    waiting = asyncio.Event()

    async def never_ready() -> None:
        waiting.set()
        await asyncio.sleep(600)

    w = await world([call("echo"), call("echo", '{"n":1}')], tools=[Echo()], ready=never_ready)
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(waiting.wait(), 5)
    await w.session.submit(op.Interrupt())
    assert isinstance(await w.turn_end(), e.Interrupted)
    assert len(w.of(e.ToolCalled)) == len(w.of(e.ToolFinished)) == 2


async def test_one_id_for_two_calls_of_a_reply_becomes_two(world: MakeWorld) -> None:
    w = await world([call("echo", '{"text":"a"}', id="x"), call("echo", '{"text":"b"}', id="x")], "done", tools=[Echo()])
    assert (await w.say("go")).reason == "done"
    assert sorted(m.text for m in w.port.requests[1] if isinstance(m, ToolMessage)) == ["a", "b"]


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_of_two_answers_at_once_the_first_one_counts(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)])
    await w.session.submit(op.UserInput(text="go"))
    key = (await w.until(e.ApprovalRequired)).tools[0].tool_call_id
    answers = [op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id=key, approved=yes),)) for yes in (True, False)]
    await asyncio.gather(*map(w.session.submit, answers))
    await w.turn_end()
    assert [x.state for x in w.of(e.ToolStateChange)] == ["approved", "running"]
    assert "No pending approval" in w.of(e.ErrorRaised)[0].error


async def test_a_rule_that_cannot_be_kept_still_lets_the_call_run(world: MakeWorld) -> None:
    class Unwritable(KeptInMemory):
        def change(self, scope: str, outcome: str, rule: str, *, wanted: bool, replaces: str = "") -> bool:
            raise PermissionError("read-only")

    w = await world([call("echo")], [call("echo", '{"n":2}')], "done", tools=[Echo(risk=ASKS)], kept=Unwritable())
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    await w.session.submit(_yes(approval.tools[0], remember="project"))
    assert (await w.turn_end()).reason == "done"
    assert w.of(e.ToolFinished)[0].success and "this session only" in (await w.until(e.ErrorRaised)).error
    assert len(w.of(e.ApprovalRequired)) == 1, "it does hold for this session"


async def test_an_effort_that_is_none_is_refused_by_name(world: MakeWorld) -> None:
    w = await world()
    await w.session.submit(op.SetEffort(effort="banana"))  # type: ignore[arg-type]
    error = await w.until(e.ErrorRaised)
    assert "banana" in error.error and "high" in error.hint and w.state.effort is None


async def test_undo_takes_back_the_whole_turn_with_its_steering(world: MakeWorld) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def wait(args: Any, ctx: Any) -> str:
        started.set()
        await release.wait()
        return "ok"

    w = await world("first", [call("echo")], "done", tools=[Echo(wait)])
    await w.say("one")
    before = list(w.state.history.messages)
    await w.session.submit(op.UserInput(text="two"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.UserInput(text="faster"))
    await w.session.submit(op.UserInput(text="please"))
    release.set()
    await w.turn_end(2)
    assert [m.text for m in w.port.requests[-1][-2:]] == ["faster", "please"]
    await w.session.submit(op.Undo())
    await w.until(e.UndoComplete)
    assert w.state.history.messages == before and w.state.turn_count == 1


async def test_words_said_during_an_undo_come_after_it(world: MakeWorld) -> None:
    w = await world("first", "second", "third")
    await w.say("one")
    await asyncio.gather(w.session.submit(op.Undo()), w.session.submit(op.UserInput(text="two")))
    end = await w.turn_end(2)
    assert [m.text for m in w.port.requests[-1]] == ["two"] and end.reason == "done"


async def test_auto_approval_from_the_settings_can_be_switched_off(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)], mode=Mode.YOLO)
    await w.session.submit(op.SetAutoApproval(enabled=False))
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    await w.session.submit(_yes(approval.tools[0]))
    await w.turn_end()


async def test_an_overflow_teaches_the_model_that_overflowed(world: MakeWorld) -> None:
    other = FakePort("from the other", model_id="other/model", window=1_000_000)
    asked, go = asyncio.Event(), asyncio.Event()

    async def overflow(request: Any) -> Any:
        asked.set()
        await go.wait()
        raise ContextOverflow("too long", limit_tokens=8_000)
        yield

    w = await world(*[[call("echo", f'{{"n":{n}}}')] for n in range(3)], overflow, tools=[Echo()], other_ports=[other])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(asked.wait(), 5)
    await w.session.submit(op.SwitchModel(model="other/model"))
    go.set()
    await w.turn_end()
    assert (w.port.window, other.window) == (8_000, 1_000_000)


# ── money ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_tells_no_usage_does_not_make_calls_free(world: MakeWorld) -> None:
    w = await world(*[[call("echo", f'{{"n":{n}}}')] for n in range(9)], tools=[Echo()], mode=Mode.CONTAINED, price_usd=0.4)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=1.0))
    assert (await w.say("go")).reason == "spend_cap"
    assert len(w.port.requests) == 2 and all(record.estimated for record in w.of(e.LlmCall))


async def test_an_interrupted_call_and_a_broken_stream_cost_what_came(world: MakeWorld) -> None:
    async def breaks(request: Any) -> Any:
        yield TextDelta("x" * 4_000)
        yield RetryNotice(1, 0.0, "cut", discard_text=True)
        yield TextDelta("y" * 400)
        await asyncio.sleep(600)

    w = await world(breaks, price_usd=0.25)
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.AssistantChunk, count=2)
    await w.session.submit(op.Interrupt())
    await w.turn_end()
    records = w.of(e.LlmCall)
    assert [(r.finish_reason, r.completion_tokens, r.cost_usd) for r in records] == [("broken", 1001, 0.25), ("interrupted", 101, 0.25)]
    assert w.state.steps == 0 and w.state.spending.spent_usd == 0.5


async def test_a_reservation_over_the_warning_asks_once(world: MakeWorld) -> None:
    """The acknowledgement looked at what was spent, the question at what was set aside too: it came at every step."""
    six = Risk(effects=frozenset({Effect.SPENDS}), cost_usd=6.0)
    steps = [[call("job")], *[[call("echo", f'{{"n":{n}}}')] for n in range(4)]]
    w = await world(*steps, "done", tools=[Echo(), Echo(name="job", risk=six)], mode=Mode.YOLO)
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    assert approval.usage_threshold
    await w.session.submit(_yes(approval.tools[0]))
    assert (await w.turn_end()).reason == "done"
    assert len(w.of(e.ApprovalRequired)) == 1


async def test_an_approval_cannot_be_edited_past_the_cap(world: MakeWorld) -> None:
    def risk(args: Any) -> Risk:
        return Risk(effects=frozenset({Effect.SPENDS}), cost_usd=float(args.n))

    echo = Echo(risk=risk)
    w = await world([call("echo", '{"n":1}')], "done", tools=[echo])
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=2.0))
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    await w.session.submit(_yes(approval.tools[0], arguments={"n": 500}))
    await w.session.submit(_yes((await w.until(e.ApprovalRequired, count=2)).tools[0]))
    await w.turn_end()
    assert w.of(e.ToolFinished)[0].error_kind == "over_budget" and echo.ran == [] and w.state.spending.committed_usd == 0.0


async def test_a_yes_at_the_cap_that_raises_nothing_is_asked_again(world: MakeWorld) -> None:
    w = await world("answer", price_usd=0.4)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=0.1))
    await w.session.submit(op.UserInput(text="go"))
    await w.session.submit(_yes((await w.until(e.ApprovalRequired)).tools[0]))
    second = await w.until(e.ApprovalRequired, count=2)
    assert second.yolo_budget and w.port.requests == []
    await w.session.submit(op.SetAutoApproval(enabled=False, lift_cap=True))
    await w.session.submit(_yes(second.tools[0]))
    assert (await w.turn_end()).final_response == "answer" and w.state.spending.cap_usd is None


async def test_under_a_cap_no_reply_can_grow_past_it(world: MakeWorld) -> None:
    w = await world("short", price_usd=0.01, mode=Mode.CONTAINED)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=0.1))
    await w.say("go")
    assert w.port.raw_requests[0].max_output_tokens == 2_560  # 256 tokens cost a cent here
    await w.session.submit(op.SetAutoApproval(enabled=False, lift_cap=True))
    await w.say("go")
    assert w.port.raw_requests[1].max_output_tokens is None


async def test_a_yes_does_not_lift_the_cap_for_a_tool(world: MakeWorld) -> None:
    echo = Echo(risk=SPENDS)
    w = await world([call("echo")], "done", tools=[echo])
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=1.0))
    await w.session.submit(op.UserInput(text="go"))
    await w.session.submit(_yes((await w.until(e.ApprovalRequired)).tools[0]))
    await w.turn_end()
    assert w.of(e.ToolFinished)[0].error_kind == "over_budget" and echo.ran == []


async def test_a_provider_that_tells_usage_is_believed(world: MakeWorld) -> None:
    reply = Reply(AssistantMessage(text="hi"), "stop", Usage(prompt_tokens=5, completion_tokens=7))
    w = await world(reply)
    await w.say("go")
    assert (w.of(e.LlmCall)[0].total_tokens, w.of(e.LlmCall)[0].estimated) == (12, False)


async def test_a_file_name_that_is_no_utf8_does_not_stop_the_log(world: MakeWorld) -> None:
    """Found by a newcomer: a listing with such a name ended the turn."""
    w = await world([call("echo")], "done", tools=[Echo(lambda args, ctx: "r\udce9sum\udce9.csv")])
    assert (await w.say("list \udce9")).reason == "done"
    assert w.of(e.ToolFinished)[0].output == "r\ufffdsum\ufffd.csv"
    assert w.of(e.UserMessageAdded)[0].content == "list \ufffd"


async def test_the_list_of_sessions_tells_unknown_from_free(world: MakeWorld) -> None:
    w = await world(text_reply("a", cost=0.25), text_reply("b"), price_usd=None)
    await w.say("one")
    record = await w.store.record("s1")
    assert (record.cost_usd, record.unpriced_calls) == (0.25, 0)
    await w.say("two")
    record = await w.store.record("s1")
    assert (record.cost_usd, record.unpriced_calls) == (0.25, 1)


async def test_an_interrupt_while_the_reply_is_stored_answers_its_calls(world: MakeWorld) -> None:
    """The reply is in the log, the runner has not seen its calls: the end of the turn answers them."""
    w = await world([call("echo"), call("echo", '{"n":1}')], tools=[Echo()])
    storing, go = asyncio.Event(), asyncio.Event()
    append = w.store.append

    async def slow(session_id: str, events: Any, patch: Any = None) -> None:
        if any(event.type == "assistant_message" for event in events):
            storing.set()
            await go.wait()
        await append(session_id, events, patch)

    w.store.append = slow  # type: ignore[method-assign]  # a disk that takes its time
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(storing.wait(), 5)
    await w.session.submit(op.Interrupt())
    go.set()
    assert isinstance(await w.turn_end(), e.Interrupted)
    assert len(w.of(e.ToolFinished)) == 2 and w.state.history.open_calls == ()


# ── a store that fails ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_said_after_the_store_has_failed_is_refused_with_the_reason(world: MakeWorld) -> None:
    """Nobody reads the log any more: whoever says it must hear it."""
    w = await world("never")
    w.session.log.fail(StoreError("The disk is full."))
    for operation in (op.UserInput(text="go"), op.Compact()):
        with pytest.raises(StoreError, match="full"):
            await w.session.submit(operation)
    assert not w.session.busy
    with pytest.raises(StoreError, match="full"):
        await w.session.aclose()
