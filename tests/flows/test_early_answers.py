"""An answer to what an earlier process asked counts, also when it comes before this one has asked it again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ml_intern.errors import ToolError
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.permissions import Mode
from ml_intern.tools.base import Effect, Risk

from .conftest import MakeWorld
from .support import ASKS, Echo, FakePort, World, call


class Resumed:
    """A session whose process died while calls waited, opened again and held just before it asks anew."""

    def __init__(self, world: MakeWorld) -> None:
        self._world = world
        self._go_on = asyncio.Event()
        self._held = asyncio.Event()
        self.w: World
        self.asked: tuple[e.PendingTool, ...] = ()

    async def open(self, *ids: str, before: Any = ASKS, now: Any = ASKS) -> Echo:
        calls = [call("echo", f'{{"n":1,"text":"{id}"}}', id=id) for id in ids]
        first = await self._world(calls, tools=[Echo(risk=before)])
        await first.session.submit(op.UserInput(text="go"))
        self.asked = (await first.until(e.ApprovalRequired)).tools
        await first.store.release("s1")  # as after a crash: nothing more is written
        echo = Echo(risk=now)
        self.w = await self._world(port=FakePort("done"), store=first.store, tools=[echo], mode=Mode.ASK, ready=self._ready)
        await asyncio.wait_for(self._held.wait(), 5)
        return echo

    async def _ready(self) -> None:
        self._held.set()
        await self._go_on.wait()

    async def answer(self, *answers: op.ApprovalAnswer) -> bool:
        return await self.w.session.answer(op.ExecApproval(approvals=answers, sent_by="Ada on slack"))

    async def end(self) -> Any:
        self.let_it_ask()
        return await self.w.turn_end()

    def let_it_ask(self) -> None:
        self._go_on.set()

    def states(self) -> list[tuple[str, str]]:
        return [(x.tool_call_id, x.state) for x in self.w.of(e.ToolStateChange)]


@pytest.fixture
def resumed(world: MakeWorld) -> Resumed:
    return Resumed(world)


def _priced(factor: float) -> Any:
    return lambda args: Risk(effects=frozenset({Effect.SPENDS}), cost_usd=factor * args.n)


def _yes(key: str, **more: Any) -> op.ApprovalAnswer:
    return op.ApprovalAnswer(tool_call_id=key, approved=True, **more)


def _no(key: str) -> op.ApprovalAnswer:
    return op.ApprovalAnswer(tool_call_id=key, approved=False, feedback="not that")


async def test_a_yes_that_comes_before_the_question_is_asked_again_counts(resumed: Resumed) -> None:
    echo = await resumed.open("c1")
    assert await resumed.answer(_yes("c1"))
    await resumed.end()
    assert echo.ran == ["c1"] and resumed.w.of(e.ErrorRaised) == []
    assert resumed.states() == [("c1", "approved"), ("c1", "running")]
    assert resumed.w.of(e.ToolStateChange)[0].sent_by == "Ada on slack"
    asked_and_decided = [x for x in resumed.w.names() if x in ("approval_required", "tool_state_change")]
    assert asked_and_decided[:3] == ["approval_required", "approval_required", "tool_state_change"], "else it would go on waiting"


async def test_a_no_that_comes_before_the_question_is_asked_again_counts_with_its_words(resumed: Resumed) -> None:
    echo = await resumed.open("c1")
    assert await resumed.answer(_no("c1"))
    await resumed.end()
    assert echo.ran == [] and "not that" in resumed.w.of(e.ToolFinished)[0].output and resumed.w.of(e.ErrorRaised) == []


async def test_of_two_early_answers_the_first_counts_and_the_other_is_told(resumed: Resumed) -> None:
    echo = await resumed.open("c1")
    assert await resumed.answer(_no("c1"))
    assert not await resumed.answer(_yes("c1"))
    assert "No pending approval" in (await resumed.w.until(e.ErrorRaised)).error
    await resumed.end()
    assert echo.ran == [] and resumed.states() == [("c1", "rejected")]


async def test_what_an_early_answer_does_not_name_goes_on_waiting(resumed: Resumed) -> None:
    echo = await resumed.open("c1", "c2")
    await resumed.answer(_yes("c2"))
    resumed.let_it_ask()
    await resumed.w.until(e.ToolFinished)
    assert echo.ran == ["c2"] and list(resumed.w.state.pending) == ["c1"]
    assert await resumed.answer(_no("c1"))
    await resumed.end()


async def test_an_early_always_covers_what_waits_but_not_what_the_same_answer_decides(resumed: Resumed) -> None:
    echo = await resumed.open("c1", "c2", "c3")
    await resumed.answer(_yes("c1", remember="session"), _no("c2"))
    await resumed.end()
    assert sorted(echo.ran) == ["c1", "c3"]


async def test_an_early_yes_to_another_price_does_not_count_and_is_told(resumed: Resumed) -> None:
    echo = await resumed.open("c1", before=_priced(1), now=_priced(2))
    await resumed.answer(_yes("c1"))
    resumed.let_it_ask()
    assert "is not what was shown" in (await resumed.w.until(e.ErrorRaised)).error
    assert echo.ran == [] and resumed.w.state.pending["c1"].estimated_cost_usd == 2.0
    assert await resumed.answer(_yes("c1"))
    await resumed.end()
    assert echo.ran == ["c1"]


async def test_an_early_yes_to_a_call_that_asks_for_another_reason_now_does_not_count(resumed: Resumed) -> None:
    echo = await resumed.open("c1", now=Risk(effects=ASKS.effects, reason="It deletes what others use."))
    await resumed.answer(_yes("c1"))
    resumed.let_it_ask()
    assert "is not what was shown" in (await resumed.w.until(e.ErrorRaised)).error
    assert echo.ran == [] and resumed.w.state.pending["c1"].reason == "It deletes what others use."
    await resumed.answer(_no("c1"))
    await resumed.end()


async def test_an_early_edit_is_judged_and_priced_like_any_other(resumed: Resumed) -> None:
    echo = await resumed.open("c1", before=_priced(1), now=_priced(1))
    await resumed.answer(_yes("c1", arguments={"n": 3, "text": "dear"}))
    resumed.let_it_ask()
    again = (await resumed.w.until(e.ApprovalRequired, count=3)).tools[0]
    assert (again.arguments, again.estimated_cost_usd, echo.ran) == ({"n": 3, "text": "dear"}, 3.0, [])
    await resumed.answer(_yes("c1"))
    await resumed.end()
    assert echo.ran == ["dear"]


async def test_a_message_after_an_early_answer_does_not_set_that_aside(resumed: Resumed) -> None:
    echo = await resumed.open("c1", "c2")
    await resumed.answer(_yes("c1"))
    await resumed.w.session.submit(op.UserInput(text="something else"))
    await resumed.end()
    assert echo.ran == ["c1"] and ("c2", "abandoned") in resumed.states()


async def test_an_early_yes_to_a_call_that_cannot_be_asked_again_is_told(resumed: Resumed) -> None:
    def broken(args: Any) -> Risk:
        raise ToolError("The price list is gone.")

    echo = await resumed.open("c1", now=broken)
    await resumed.answer(_yes("c1"))
    await resumed.end()
    assert echo.ran == [] and "price list is gone" in resumed.w.of(e.ToolFinished)[0].output
    assert "No pending approval" in resumed.w.of(e.ErrorRaised)[0].error


async def test_an_interrupt_before_it_is_asked_again_forgets_the_early_answer(resumed: Resumed) -> None:
    echo = await resumed.open("c1")
    await resumed.answer(_yes("c1"))
    await resumed.w.session.submit(op.Interrupt())
    assert isinstance(await resumed.w.turn_end(), e.Interrupted)
    assert not await resumed.answer(_yes("c1"))
    resumed.let_it_ask()
    await resumed.w.say("go on")
    assert echo.ran == []


async def test_a_message_after_an_interrupt_before_it_is_asked_again_starts_a_turn(resumed: Resumed) -> None:
    echo = await resumed.open("c1")
    await resumed.w.session.submit(op.Interrupt())
    await resumed.w.turn_end()
    resumed.let_it_ask()
    assert (await resumed.w.say("go on")).final_response == "done" and echo.ran == []
