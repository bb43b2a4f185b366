"""How long a call took: from when it began to run, however long it waited for another call or for the user before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.tools.base import ANY_FILE, Effect, Risk, ToolContext

from .conftest import MakeWorld
from .support import ASKS, Echo, EchoArgs, call


class HandClock:
    """Goes only when it is told to."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at_s


async def test_a_queued_call_took_as_long_as_it_ran_and_not_as_long_as_it_waited_for_the_one_before(world: MakeWorld) -> None:
    clock, both_began = HandClock(), asyncio.Event()

    async def work(args: EchoArgs, _ctx: ToolContext) -> str:
        await both_began.wait()
        clock.at_s += 7.0 if args.n else 50.0
        return ""

    writes = Risk(effects=frozenset({Effect.READS}), reads=frozenset({ANY_FILE}), writes=frozenset({ANY_FILE}))
    calls = [call("echo", '{"n":0}', "c1"), call("echo", '{"n":1}', "c2")]
    w = await world(calls, "done", tools=[Echo(work, risk=writes)], clock=clock)
    await w.session.submit(op.UserInput(text="go"))
    assert (await w.until(e.ToolStateChange)).state == "waiting"
    both_began.set()
    await w.turn_end()
    assert {one.tool_call_id: one.duration_s for one in w.of(e.ToolFinished)} == {"c1": 50.0, "c2": 7.0}


async def test_a_call_that_waited_for_the_user_took_as_long_as_it_ran(world: MakeWorld) -> None:
    clock = HandClock()

    def work(_args: EchoArgs, _ctx: ToolContext) -> str:
        clock.at_s += 7.0
        return ""

    w = await world([call("echo", id="c1")], "done", tools=[Echo(work, risk=ASKS)], clock=clock)
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.ApprovalRequired)
    clock.at_s += 600.0
    await w.session.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=True),)))
    await w.turn_end()
    assert w.of(e.ToolFinished)[0].duration_s == 7.0
