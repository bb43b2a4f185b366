"""Making room: whole groups, a bounded number of tries, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ml_intern.errors import ContextOverflow, ModelAuthError, ServerFailed
from ml_intern.models.base import ModelRequest, Reply, Usage
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import AssistantMessage, Message, ToolMessage, UserMessage
from ml_intern.session.permissions import Mode

from .conftest import MakeWorld
from .support import Echo, FakePort, World, call, calls_reply, text_reply

SUMMARY = "A summary that is long enough to be one: the user wants X, files are in out/, next is Y."


def _is_summary_request(messages: list[Message]) -> bool:
    last = messages[-1]
    return isinstance(last, UserMessage) and "The context is nearly full" in last.text


class Summariser(FakePort):
    """Answers requests for a summary with ``summaries`` in order (an exception is raised), others from the steps."""

    def __init__(self, *steps: Any, summaries: tuple[Any, ...] = (SUMMARY,) * 50, **how: Any) -> None:
        super().__init__(*steps, **how)
        self.summaries = list(summaries)
        self.summary_requests: list[list[Message]] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[Any]:
        if _is_summary_request(list(request.messages)):
            self.summary_requests.append(list(request.messages))
            step = self.summaries.pop(0)
            if isinstance(step, BaseException):
                raise step
            yield text_reply(step) if isinstance(step, str) else step
            return
        async for item in super().stream(request):
            yield item


def _rounds(n: int, size: int = 8_000) -> list[Any]:
    return [[call("echo", f'{{"text":"{"x" * size}","n":{i}}}', id=f"c{i}")] for i in range(n)]


def _whole(messages: list[Message]) -> None:
    """Every answer follows its call, every call has its answer."""
    open_calls: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            assert message.tool_call_id in open_calls
            open_calls.remove(message.tool_call_id)
        else:
            assert open_calls == []
            open_calls = [c.id for c in message.tool_calls] if isinstance(message, AssistantMessage) else []
    assert open_calls == []


async def _long_session(world: MakeWorld, **how: Any) -> World:
    port = Summariser(*_rounds(40), "done", window=20_000, **how)
    return await world(port=port, tools=[Echo()])


async def test_one_long_turn_is_summarised_and_goes_on(world: MakeWorld) -> None:
    """The original found no second user message, summarised nothing and ended the session."""
    w = await _long_session(world)
    end = await w.say("the task, in the user's own words")
    assert (end.reason, end.final_response) == ("done", "done")
    assert len(w.of(e.Compacted)) >= 2
    for messages in w.port.requests:
        _whole(messages)
        assert messages[0] == UserMessage(text="the task, in the user's own words")
    assert any(isinstance(m, UserMessage) and SUMMARY in m.text for m in w.port.requests[-1])
    assert all(event.new_tokens < event.old_tokens for event in w.of(e.Compacted))


async def test_the_originals_stay_in_the_log(world: MakeWorld) -> None:
    w = await _long_session(world)
    await w.say("go")
    assert len(w.of(e.ToolFinished)) == 40
    assert len([entry for entry in w.state.history.entries if isinstance(entry.message, ToolMessage)]) == 40


async def test_undoing_past_a_compaction_brings_the_originals_back(world: MakeWorld) -> None:
    port = Summariser("first answer", *_rounds(40), "done", window=20_000)
    w = await world(port=port, tools=[Echo()])
    await w.say("first")
    before = list(w.state.history.messages)
    await w.say("second")
    assert w.of(e.Compacted)
    await w.session.submit(op.Undo())
    await w.until(e.UndoComplete)
    assert w.state.history.messages == before


@pytest.mark.parametrize(
    "bad",
    ["", "too short", text_reply("x" * 100, finish="length"), calls_reply(call("echo"), text=SUMMARY), ServerFailed("500")],
    ids=["empty", "short", "truncated", "calls", "error"],
)
async def test_a_bad_summary_is_tried_again_and_then_made_by_rule(world: MakeWorld, bad: Any) -> None:
    w = await _long_session(world, summaries=(bad,) * 200)
    assert (await w.say("find the needle")).reason == "done"
    (first, *_) = w.of(e.Compacted)
    assert "list made by rule" in first.summary and "find the needle" in first.summary
    port = w.port
    assert isinstance(port, Summariser) and len(port.summary_requests) <= 6 * len(w.of(e.Compacted))


async def test_a_second_try_that_works_is_taken(world: MakeWorld) -> None:
    w = await _long_session(world, summaries=("", SUMMARY, *(SUMMARY,) * 50))
    assert (await w.say("go")).reason == "done"
    assert w.of(e.Compacted)[0].summary == SUMMARY


async def test_no_credit_is_said_and_costs_no_history(world: MakeWorld) -> None:
    w = await _long_session(world, summaries=(ModelAuthError("key refused", hint="Set it."),) * 9)
    end = await w.say("go")
    assert isinstance(end, e.ErrorRaised) and end.kind == "ModelAuthError" and end.hint == "Set it."
    assert w.of(e.Compacted) == []


async def test_one_giant_message_is_cut_to_head_and_tail(world: MakeWorld) -> None:
    w = await world("first", "done", window=10_000)
    await w.say("HEAD" + "y" * 100_000 + "TAIL")
    end = await w.say("go on")
    assert end.reason == "done"
    first = w.port.requests[-1][0]
    assert isinstance(first, UserMessage) and len(first.text) < 10_000
    assert first.text.startswith("HEAD") and first.text.endswith("TAIL")


async def test_a_batch_of_large_results_is_seen_before_the_next_call(world: MakeWorld) -> None:
    """The original only knew the provider's last count and overflowed."""
    batch = [call("echo", f'{{"n":{n}}}', id=f"c{n}") for n in range(4)]
    first = calls_reply(*batch, usage=Usage(prompt_tokens=500, completion_tokens=10))
    port = Summariser(first, "done", window=20_000)
    w = await world(port=port, tools=[Echo(lambda a, c: "z" * 24_000)])
    assert (await w.say("go")).reason == "done"
    assert len(w.of(e.Compacted)) == 1


async def test_an_overflow_compacts_learns_the_window_and_is_bounded(world: MakeWorld) -> None:
    """The original retried without end and without counting."""
    overflow = ContextOverflow("too long", limit_tokens=8_000)
    port = Summariser(*_rounds(5), overflow, "done")
    w = await world(port=port, tools=[Echo()])
    assert (await w.say("go")).reason == "done"
    assert port.window == 8_000 and len(w.of(e.Compacted)) == 1

    port = Summariser(*_rounds(5), *[ContextOverflow("too long") for _ in range(300)])
    w = await world(port=port, tools=[Echo()], session_id="s2")
    end = await w.say("go")
    assert isinstance(end, e.ErrorRaised) and end.kind == "ContextOverflow" and "window" in end.hint
    assert len(port.requests) + len(port.summary_requests) < 30


async def test_compact_now_always_says_how_it_went(world: MakeWorld) -> None:
    """core W1.18: the original said nothing below its threshold, and its frontend hung."""
    w = await world("hi")
    await w.session.submit(op.Compact())
    nothing = await w.until(e.Compacted)
    assert nothing.old_tokens == nothing.new_tokens
    port = Summariser(*_rounds(5, 1000), "done")
    w = await world(port=port, tools=[Echo()], session_id="s2")
    await w.say("go")
    await w.session.submit(op.Compact())
    done = await w.until(e.Compacted)
    assert done.new_tokens < done.old_tokens and done.summary == SUMMARY
    assert (await w.say("more")).reason == "done"
    _whole(w.port.requests[-1])


async def test_the_window_that_nothing_makes_fit_ends_the_run_not_the_session(world: MakeWorld) -> None:
    w = await world("a", window=1_000)
    end = await w.say("q" * 30_000)
    assert end.reason == "context_exhausted"
    (terminated,) = w.of(e.SessionTerminated)
    assert terminated.reason == "compaction_failed" and terminated.context_usage > terminated.context_threshold
    w.port.window = 200_000
    w.port.steps[:] = ["fine"]
    assert (await w.say("again")).reason == "done"


async def test_a_second_compaction_keeps_what_the_first_one_said(world: MakeWorld) -> None:
    port = Summariser(*_rounds(40), "done", window=20_000)
    w = await world(port=port, tools=[Echo()])
    await w.say("go")
    assert len(port.summary_requests) >= 2
    assert any(SUMMARY in str(m) for m in port.summary_requests[1])


async def test_giant_arguments_of_a_kept_call_are_cut_and_stay_an_object(world: MakeWorld) -> None:
    """They could not be made smaller: the session ended with a full context."""
    giant = call("echo", msgspec.json.encode({"text": "HEAD" + "z" * 60_000 + "TAIL", "n": 3}).decode(), id="g")
    port = Summariser([giant], "done", window=16_000)
    w = await world(port=port, tools=[Echo(lambda a, c: "ok")])
    assert (await w.say("go")).reason == "done"
    (sent,) = [m for m in port.requests[-1] if isinstance(m, AssistantMessage)]
    arguments = msgspec.json.decode(sent.tool_calls[0].arguments)
    assert arguments["n"] == 3 and arguments["text"].startswith("HEAD") and arguments["text"].endswith("TAIL")
    assert len(arguments["text"]) < 10_000 and port.summary_requests == []
    assert any(isinstance(x.message, AssistantMessage) and x.message.tool_calls == (giant,) for x in w.state.history.entries)


class ThinksUnasked(Summariser):
    """Whatever maximum it is given goes into thoughts."""

    def __init__(self, *steps: Any, **how: Any) -> None:
        super().__init__(*steps, **how)
        self.maxima: list[int | None] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[Any]:
        if _is_summary_request(list(request.messages)):
            self.maxima.append(request.max_output_tokens)
            yield Reply(AssistantMessage(), "length") if request.max_output_tokens else text_reply(SUMMARY)
            return
        async for item in super().stream(request):
            yield item


async def test_a_model_that_thinks_unasked_is_given_one_try_without_a_maximum(world: MakeWorld) -> None:
    """Its summary was cut twice, and a list made by rule took its place."""
    port = ThinksUnasked(*_rounds(12), "done", window=20_000)
    w = await world(port=port, tools=[Echo()])
    assert (await w.say("go")).reason == "done"
    compacted = w.of(e.Compacted)
    assert compacted and all(event.summary == SUMMARY for event in compacted)
    assert len(port.maxima) == 2 * len(compacted) and port.maxima[0] and port.maxima[1] is None


async def test_no_summary_is_asked_for_that_passes_the_cap(world: MakeWorld) -> None:
    port = Summariser(*_rounds(6), "done", "again", price_usd=0.1)
    w = await world(port=port, tools=[Echo()])
    await w.say("find the needle")
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=w.state.spending.spent_usd))
    await w.session.submit(op.Compact())
    made = await w.until(e.Compacted)
    assert made.new_tokens < made.old_tokens and "list made by rule" in made.summary and "find the needle" in made.summary
    assert port.summary_requests == []


@pytest.mark.parametrize("summary", ["", SUMMARY], ids=["bad", "good"])
@pytest.mark.parametrize("cap_usd", [0.55, 0.65, 0.75, 0.95])
async def test_summaries_and_the_step_behind_them_keep_the_cap_together(world: MakeWorld, summary: str, cap_usd: float) -> None:
    port = Summariser(*_rounds(40), "done", window=20_000, price_usd=0.1, summaries=(summary,) * 200)
    w = await world(port=port, tools=[Echo()], mode=Mode.CONTAINED)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=cap_usd))
    assert (await w.say("go")).reason == "spend_cap"
    assert w.state.spending.spent_usd <= cap_usd


async def test_compacting_during_a_turn_says_that_there_was_nothing_to_gain(world: MakeWorld) -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def wait(args: Any, ctx: Any) -> str:
        started.set()
        await go.wait()
        return "ok"

    w = await world([call("echo")], "done", tools=[Echo(wait)])
    await w.session.submit(op.UserInput(text="go"))
    await started.wait()
    await w.session.submit(op.Compact())
    go.set()
    await w.turn_end()
    (said,) = w.of(e.Compacted)
    assert said.old_tokens == said.new_tokens


async def test_a_summary_longer_than_what_it_replaces_is_not_taken(world: MakeWorld) -> None:
    port = Summariser("a", "b", summaries=(SUMMARY * 20,))
    w = await world(port=port)
    await w.say("one")
    await w.say("two")
    before = list(w.state.history.messages)
    await w.session.submit(op.Compact())
    said = await w.until(e.Compacted)
    assert said.old_tokens == said.new_tokens and w.state.history.messages == before


async def test_making_room_twice_does_not_cut_the_same_message_again(world: MakeWorld) -> None:
    w = await world("first", "done", window=10_000)
    await w.say("y" * 100_000)
    await w.say("go on")
    marks = len(w.state.history.compactions)
    for _ in range(2):
        await w.session.submit(op.Compact())
        await w.until(e.Compacted, count=len(w.of(e.Compacted)) + 1)
    assert len([m for m in w.state.history.compactions[marks:] if not m.summary]) == 0
