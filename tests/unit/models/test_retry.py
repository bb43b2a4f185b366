from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import pytest

from ml_intern.errors import (
    BadRequest,
    ConnectionFailed,
    ContextOverflow,
    EffortRejected,
    ModelError,
    NonsenseReply,
    RateLimited,
    RetryableModelError,
    ServerFailed,
    SignatureRejected,
    StreamBroken,
    Unreachable,
)
from ml_intern.models.base import Delta, EffortNotice, ModelRequest, Reply, RetryNotice, TextDelta
from ml_intern.models.retry import Backoff, RetryingModel
from ml_intern.protocol.messages import AssistantMessage, Message, Thinking, UserMessage
from tests.contracts.model_bench import hear, request

REPLY = Reply(AssistantMessage(text="fine"), "stop")


@dataclass
class Played:
    """A client that plays one list of outcomes per request: deltas, a reply, or an exception to raise."""

    takes: list[list[Delta | Reply | ModelError]]
    asked: list[ModelRequest] = field(default_factory=list)
    forgotten: int = 0
    closed: int = 0
    model_id: str = "played/model"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | Reply, None]:
        self.asked.append(request)
        try:
            for outcome in self.takes.pop(0):
                if isinstance(outcome, ModelError):
                    raise outcome
                yield outcome
        finally:
            self.closed += 1

    def forget_thinking(self, messages: Sequence[Message]) -> bool:
        self.forgotten += 1
        return self.forgotten == 1

    async def aclose(self) -> None:
        return


@dataclass
class Slept:
    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def retrying(*takes: list[Delta | Reply | ModelError], sleep: Slept | None = None) -> tuple[RetryingModel, Played, Slept]:
    sleep = sleep or Slept()
    played = Played(list(takes))
    return RetryingModel(played, backoff=Backoff(sleep=sleep), levels=("low", "medium", "high")), played, sleep


async def test_transient_failures_wait_longer_each_time() -> None:
    model, played, slept = retrying([ServerFailed("a")], [ConnectionFailed("b")], [StreamBroken("c")], [REPLY])
    heard = await hear(model, request())
    assert heard.reply == REPLY
    assert slept.seconds == [5, 15, 30]
    assert heard.deltas == [RetryNotice(1, 5, "a", False), RetryNotice(2, 15, "b", False), RetryNotice(3, 30, "c", False)]
    assert played.closed == 4


async def test_rate_limits_have_their_own_schedule() -> None:
    model, _, slept = retrying([RateLimited("a")], [RateLimited("b")], [RateLimited("c")], [REPLY])
    await hear(model, request())
    assert slept.seconds == [30, 60, 60]


async def test_the_server_says_how_long_to_wait_within_reason() -> None:
    model, _, slept = retrying([RateLimited("a", retry_after_s=1.5)], [ServerFailed("b", retry_after_s=86_400)], [REPLY])
    await hear(model, request())
    assert slept.seconds == [1.5, 120]


async def test_three_retries_are_the_end() -> None:
    failures: list[list[Delta | Reply | ModelError]] = [[ServerFailed(str(n))] for n in range(9)]
    model, played, _ = retrying(*failures)
    with pytest.raises(ServerFailed, match="3"):
        await hear(model, request())
    assert len(played.asked) == 4


@pytest.mark.parametrize(("error", "delay_s"), [(Unreachable("nobody there"), 0.5), (NonsenseReply("a web page"), 5)])
async def test_what_waiting_rarely_cures_is_tried_once_more_only(error: ModelError, delay_s: float) -> None:
    model, played, slept = retrying([error], [error], [REPLY])
    with pytest.raises(type(error)):
        await hear(model, request())
    assert len(played.asked) == 2
    assert slept.seconds == [delay_s]


async def test_a_stream_that_breaks_midway_is_begun_again_and_the_text_is_void() -> None:
    model, _, _ = retrying([TextDelta("half"), StreamBroken("cut")], [TextDelta("whole"), REPLY])
    heard = await hear(model, request())
    assert heard.deltas == [TextDelta("half"), RetryNotice(1, 5, "cut", True), TextDelta("whole")]


async def test_nothing_is_retried_after_the_reply() -> None:
    model, played, _ = retrying([REPLY, StreamBroken("too late")], [REPLY])
    assert (await hear(model, request())).reply == REPLY
    assert len(played.asked) == 1


@pytest.mark.parametrize("error", [BadRequest("no"), ContextOverflow("long"), SignatureRejected("sig")])
async def test_what_sending_again_cannot_cure_is_raised_at_once(error: ModelError) -> None:
    model, played, slept = retrying([error], [error], [REPLY])
    played.forgotten = 1
    with pytest.raises(type(error)):
        await hear(model, request())
    assert len(played.asked) == 1
    assert slept.seconds == []


async def test_a_refused_effort_is_lowered_step_by_step_and_remembered() -> None:
    model, played, slept = retrying([EffortRejected("no high")], [EffortRejected("no medium")], [REPLY], [REPLY])
    heard = await hear(model, request(effort="max"))
    assert [d.effective for d in heard.deltas if isinstance(d, EffortNotice)] == ["medium", "low"]
    await hear(model, request(effort="max"))
    assert [asked.effort for asked in played.asked] == ["max", "medium", "low", "low"]
    assert slept.seconds == []


async def test_a_model_that_does_not_think_is_asked_without_effort() -> None:
    model, played, _ = retrying([EffortRejected("no", thinking_unsupported=True)], [REPLY])
    heard = await hear(model, request(effort="high"))
    assert heard.deltas == [EffortNotice(None, "high not supported; no reasoning effort is sent")]
    assert played.asked[-1].effort is None


async def test_refusing_an_effort_that_was_not_sent_is_an_error() -> None:
    model, _, _ = retrying([EffortRejected("what?")])
    with pytest.raises(EffortRejected):
        await hear(model, request())


async def test_refused_thinking_is_left_out_once() -> None:
    thinking = AssistantMessage(thinking=(Thinking(text="t", signature="s"),))
    model, played, slept = retrying([SignatureRejected("no")], [REPLY])
    assert (await hear(model, request(UserMessage(text="x"), thinking))).reply == REPLY
    assert played.forgotten == 1
    assert slept.seconds == []


async def test_both_heals_work_on_the_last_attempt() -> None:
    failures: list[list[Delta | Reply | ModelError]] = [[ServerFailed(str(n))] for n in range(3)]
    model, played, slept = retrying(*failures, [EffortRejected("no")], [SignatureRejected("no")], [REPLY])
    assert (await hear(model, request(effort="high"))).reply == REPLY
    assert len(played.asked) == 6
    assert len(slept.seconds) == 3


async def test_an_overflow_tells_the_window_and_is_not_retried() -> None:
    learnt: list[int] = []
    played = Played([[ContextOverflow("long", limit_tokens=8192)]])
    with pytest.raises(ContextOverflow):
        await hear(RetryingModel(played, on_overflow=learnt.append), request())
    assert learnt == [8192]


async def test_waiting_for_a_retry_can_be_cancelled() -> None:
    sleeping = asyncio.Event()

    async def sleep(seconds: float) -> None:
        sleeping.set()
        await asyncio.Event().wait()

    model = RetryingModel(Played([[RateLimited("x", retry_after_s=99)], [REPLY]]), backoff=Backoff(sleep=sleep))
    asking = asyncio.create_task(hear(model, request()))
    await sleeping.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_closing_the_iterator_closes_the_inner_one() -> None:
    model, played, _ = retrying([TextDelta("a"), TextDelta("b"), REPLY])
    stream = model.stream(request())
    assert await anext(stream) == TextDelta("a")
    await stream.aclose()
    assert played.closed == 1


def test_every_retryable_error_has_a_delay() -> None:
    for kind in RetryableModelError.__subclasses__():
        assert Backoff().delay_s(kind("x"), 1) > 0
