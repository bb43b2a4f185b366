"""A turn from the user's words to its end."""

from __future__ import annotations

import asyncio

import pytest

from ml_intern.config.settings import Prices
from ml_intern.models.base import Reply, TextDelta, Usage
from ml_intern.models.prices import priced
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import AssistantMessage, ToolMessage, UserMessage

from .conftest import MakeWorld
from .support import Echo, FakePort, call, calls_reply, text_reply


async def test_a_text_reply_ends_the_turn_with_that_text(world: MakeWorld) -> None:
    w = await world("Hello.")
    end = await w.say("Hi")
    assert isinstance(end, e.TurnComplete)
    assert (end.final_response, end.reason, end.steps, end.history_size) == ("Hello.", "done", 1, 2)
    assert w.names() == [
        "session_started", "user_message", "processing", "assistant_chunk", "assistant_stream_end", "assistant_message", "llm_call",
        "turn_complete",
    ]  # fmt: skip


async def test_every_stored_event_has_the_next_seq(world: MakeWorld) -> None:
    """core W4.3: and what streams is not stored, which the original did with every piece."""
    w = await world([call("echo", '{"text":"a"}')], "done", tools=[Echo()])
    await w.say("go")
    seqs = [envelope.seq for envelope in w.envelopes if envelope.seq is not None]
    assert seqs == list(range(1, len(seqs) + 1))
    assert all(envelope.seq is None for envelope in w.envelopes if envelope.event.transient)


async def test_without_streaming_the_whole_text_comes_as_one_message(world: MakeWorld) -> None:
    w = await world("All at once.", stream=False)
    await w.say("Hi")
    assert w.of(e.AssistantChunk) == []
    (message,) = w.of(e.AssistantMessageAdded)
    assert (message.content, message.streamed) == ("All at once.", False)


async def test_the_answers_go_back_in_the_order_of_the_calls_whichever_ended_first(world: MakeWorld) -> None:
    release = asyncio.Event()

    async def slow_then_fast(args, ctx):  # type: ignore[no-untyped-def]
        if args.text == "slow":
            await release.wait()
        else:
            release.set()
        return args.text

    first, second = call("echo", '{"text":"slow"}'), call("echo", '{"text":"fast"}')
    w = await world([first, second], "done", tools=[Echo(slow_then_fast)])
    await w.say("go")
    assert [event.output for event in w.of(e.ToolFinished)] == ["fast", "slow"]
    answers = [m for m in w.port.requests[1] if isinstance(m, ToolMessage)]
    assert [(m.tool_call_id, m.text) for m in answers] == [(first.id, "slow"), (second.id, "fast")]


async def test_one_crashing_tool_hurts_only_its_own_call(world: MakeWorld) -> None:
    def crash(args, ctx):  # type: ignore[no-untyped-def]
        raise ZeroDivisionError("boom")

    w = await world([call("crasher"), call("echo", '{"text":"fine"}')], "done", tools=[Echo(), Echo(crash, name="crasher")])
    end = await w.say("go")
    assert end.reason == "done"
    by_tool = {event.tool: event for event in w.of(e.ToolFinished)}
    assert by_tool["echo"].output == "fine" and by_tool["echo"].success
    assert not by_tool["crasher"].success and by_tool["crasher"].error_kind == "crash"
    assert "ZeroDivisionError: boom" in by_tool["crasher"].output
    assert "Traceback" not in by_tool["crasher"].output


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ("[]", "invalid_arguments"),
        ("null", "invalid_arguments"),
        ('"x"', "invalid_arguments"),
        ('{"nope": 1}', "invalid_arguments"),
        ('{"n": "many"}', "invalid_arguments"),
        ('{"text": "unterminated', "malformed"),
        ("{'single': 1}", "malformed"),
    ],
)
async def test_arguments_that_do_not_fit_are_answered_not_raised(world: MakeWorld, arguments: str, kind: str) -> None:
    echo = Echo()
    w = await world([call("echo", arguments)], "done", tools=[echo])
    end = await w.say("go")
    assert end.reason == "done"
    (finished,) = w.of(e.ToolFinished)
    assert not finished.success and finished.error_kind == kind and finished.output.startswith("ERROR: ")
    assert echo.ran == []
    (called,) = w.of(e.ToolCalled)
    assert called.tool_call_id == finished.tool_call_id


async def test_empty_arguments_are_an_empty_object(world: MakeWorld) -> None:
    w = await world([call("echo", "")], "done", tools=[Echo()])
    await w.say("go")
    assert w.of(e.ToolFinished)[0].success


async def test_an_unknown_tool_is_answered_with_the_names_there_are(world: MakeWorld) -> None:
    w = await world([call("nonsense")], "done", tools=[Echo()])
    await w.say("go")
    (finished,) = w.of(e.ToolFinished)
    assert finished.error_kind == "unknown_tool" and "echo" in finished.output


async def test_a_tool_over_its_time_is_stopped_and_said_to_be(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(lambda args, ctx: asyncio.sleep(60), timeout_s=0.01)])
    await w.say("go")
    assert w.of(e.ToolFinished)[0].error_kind == "timeout"


async def test_steering_reaches_the_model_at_the_next_step(world: MakeWorld) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def wait(args, ctx):  # type: ignore[no-untyped-def]
        started.set()
        await release.wait()
        return "ok"

    w = await world([call("echo")], "done", tools=[Echo(wait)])
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.UserInput(text="and be quick"))
    release.set()
    await w.turn_end()
    assert w.port.requests[1][-1] == UserMessage(text="and be quick")
    assert [event.steering for event in w.of(e.UserMessageAdded)] == [False, True]
    assert len(w.of(e.TurnComplete)) == 1


async def test_words_that_come_too_late_for_the_turn_are_not_lost(world: MakeWorld) -> None:
    sent = asyncio.Event()

    async def last_words(request):  # type: ignore[no-untyped-def]
        yield TextDelta("bye")
        await sent.wait()
        yield Reply(AssistantMessage(text="bye"), "stop")

    w = await world(last_words, "still here")
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.AssistantChunk)
    await w.session.submit(op.UserInput(text="one more thing"))
    sent.set()
    end = await w.turn_end()
    assert end.final_response == "still here"
    assert w.port.requests[1][-1] == UserMessage(text="one more thing")


async def test_a_defect_ends_the_turn_with_an_error_and_no_traceback(world: MakeWorld) -> None:
    """core W2.11: the original sent tracebacks to the screen, the dataset and Slack."""
    w = await world(RuntimeError("boom"), "recovered")
    end = await w.say("go")
    assert isinstance(end, e.ErrorRaised) and end.error == "RuntimeError: boom" and "Traceback" not in end.error
    assert (await w.say("again")).final_response == "recovered"


async def test_call_ids_that_a_server_uses_twice_are_told_apart(world: MakeWorld) -> None:
    echo = Echo()
    w = await world([call("echo", '{"text":"a"}', id="call_0")], [call("echo", '{"text":"b"}', id="call_0")], "done", tools=[echo])
    await w.say("go")
    ids = [event.tool_call_id for event in w.of(e.ToolFinished)]
    assert ids == ["call_0", "call_0-2"]
    answers = [m.tool_call_id for m in w.port.requests[2] if isinstance(m, ToolMessage)]
    assert answers == ids


async def test_calls_that_write_the_same_thing_run_one_after_the_other(world: MakeWorld) -> None:
    from ml_intern.tools.base import Effect, Risk

    order: list[str] = []

    async def slow(args, ctx):  # type: ignore[no-untyped-def]
        order.append(f"start {args.text}")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        order.append(f"end {args.text}")
        return "ok"

    risk = Risk(effects=frozenset({Effect.WRITES_WORKSPACE}), writes=frozenset({"/a"}))
    w = await world([call("echo", '{"text":"1"}'), call("echo", '{"text":"2"}')], "done", tools=[Echo(slow, risk=risk)])
    await w.say("go")
    assert order == ["start 1", "end 1", "start 2", "end 2"]
    states = [type(event).__name__ + getattr(event, "state", "") for event in w.of(e.ToolStateChange, e.ToolFinished)]
    assert states == ["ToolStateChangewaiting", "ToolFinished", "ToolStateChangerunning", "ToolFinished"], "who waits says so"


async def test_consecutive_requests_share_everything_but_the_tail(world: MakeWorld) -> None:
    w = await world(*[[call("echo", f'{{"n":{n}}}', id=f"c{n}")] for n in range(5)], "done", tools=[Echo()])
    await w.say("go")
    for before, after in zip(w.port.requests, w.port.requests[1:], strict=False):
        assert all(a is b for a, b in zip(before, after, strict=False))
    systems = {(r.system, r.tools) for r in w.port.raw_requests} if False else {r.system for r in w.port.raw_requests}
    assert len(systems) == 1
    assert all(r.tools is w.port.raw_requests[0].tools for r in w.port.raw_requests)


async def test_usage_and_cost_of_each_call_are_told(world: MakeWorld) -> None:
    usage = Usage(prompt_tokens=100, completion_tokens=20, cache_read_tokens=60)
    w = await world(text_reply("hi", usage=usage, cost=0.125))
    await w.say("go")
    (record,) = w.of(e.LlmCall)
    assert (record.prompt_tokens, record.completion_tokens, record.total_tokens, record.cache_read_tokens) == (100, 20, 120, 60)
    assert record.cost_usd == 0.125 and record.kind == "main"
    assert w.state.spending.spent_usd == 0.125


class Priced(FakePort):
    """At prices of a provider whose cache costs a tenth to read and a quarter more to write."""

    async def cost_usd(self, usage: Usage | None, stated: float | None) -> float | None:
        prices = Prices(input_usd_per_mtok=10, output_usd_per_mtok=20, cache_read_usd_per_mtok=1, cache_write_usd_per_mtok=12.5)
        return priced(prices, usage) if stated is None and usage is not None else stated


async def test_what_the_cache_spared_is_written_down_also_where_the_provider_states_the_cost(world: MakeWorld) -> None:
    cached = Usage(100_000, 10, cache_read_tokens=60_000, cache_creation_tokens=20_000)
    calls = text_reply("hi", usage=cached, cost=0.5), text_reply("again", usage=Usage(100, 10))
    w = await world(port=Priced(*calls))
    await w.say("go")
    await w.say("go on")
    first, second = w.of(e.LlmCall)
    assert first.cost_usd == 0.5 and first.cache_saved_usd == pytest.approx(0.06 * 9 - 0.02 * 2.5)
    assert second.cache_saved_usd is None, "no cache was used"


async def test_an_unknown_price_is_not_zero(world: MakeWorld) -> None:
    w = await world(text_reply("hi", usage=Usage(10, 10)), price_usd=None)
    await w.say("go")
    assert w.of(e.LlmCall)[0].cost_usd is None
    assert w.state.spending.unpriced_calls == 1


async def test_tool_output_is_bounded_and_can_be_read_in_full(world: MakeWorld) -> None:
    from pathlib import Path

    w = await world([call("echo")], "done", tools=[Echo(lambda args, ctx: "x" * 300_000)])
    await w.say("go")
    (finished,) = w.of(e.ToolFinished)
    assert len(finished.output) < 30_000
    assert len(Path(finished.spill_path).read_text()) == 300_000


async def test_an_empty_message_is_refused_with_a_reason(world: MakeWorld) -> None:
    w = await world()
    await w.session.submit(op.UserInput(text="  "))
    error = await w.until(e.ErrorRaised)
    assert not error.ends_turn and "empty" in error.error


async def test_text_beside_calls_is_kept(world: MakeWorld) -> None:
    w = await world(calls_reply(call("echo"), text="Let me look."), "done", tools=[Echo()])
    await w.say("go")
    assert [m.text for m in w.port.requests[1] if isinstance(m, AssistantMessage)] == ["Let me look."]
