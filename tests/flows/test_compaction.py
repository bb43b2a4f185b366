"""Making room: whole groups, a bounded number of tries, nothing lost."""

from __future__ import annotations

from typing import Any

import pytest

from ml_intern.errors import ContextOverflow, ModelAuthError, ServerFailed
from ml_intern.models.base import Usage
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import AssistantMessage, Message, ToolMessage, UserMessage

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

    async def stream(self, request: Any) -> Any:
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
    """The original said nothing below its threshold, and its frontend hung."""
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
