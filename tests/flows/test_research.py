"""The research sub-agent: its own context, read-only by construction, its cost the session's, its findings never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ml_intern.app import default_policies
from ml_intern.errors import RateLimited
from ml_intern.models.base import Delta, ModelRequest, Reply, Usage
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.messages import ToolMessage
from ml_intern.session.clock import SystemClock
from ml_intern.session.hooks.hooks import Hooks
from ml_intern.session.permissions import HARMLESS, Permissions
from ml_intern.session.subagent import SubagentParts, Subagents, nobody_watches
from ml_intern.tools.base import Effect, Risk, Tool
from ml_intern.tools.research.tool import ResearchTool

from .conftest import MakeWorld
from .hook_support import Configure, says
from .support import Echo, FakePort, World, call, calls_reply, text_reply

TASK = '{"task": "find the best recipe", "context": "SFT of a 1B model"}'
WRITES = Risk(effects=frozenset({Effect.WRITES_HUB}))


class Late:
    """Stands for the sub-agents until there is a session whose log they book on."""

    def __init__(self) -> None:
        self.subagents: Subagents | None = None

    async def run(self, agent_id: str, label: str, task: str) -> Any:
        assert self.subagents is not None
        return await self.subagents.run(agent_id, label, task)


class Desk:
    """A session with the tool, and what its sub-agents are made from."""

    def __init__(self, tmp_path: Path, tools: Sequence[Tool[Any]], *ports: FakePort, **more: Any) -> None:
        self.tmp_path, self.tools, self.ports, self.more = tmp_path, tools, list(ports), more
        self.used: list[FakePort] = []
        self.late = Late()
        self.tool = ResearchTool(self.late)

    def attach(self, world: World) -> World:
        def open_model() -> FakePort:
            self.used.append(self.ports.pop(0))
            return self.used[-1]

        parts = SubagentParts(
            parent=world.session.log,
            clock=SystemClock(),
            open_model=open_model,
            tools=lambda: tuple(self.tools),
            permissions=lambda: Permissions(read_only=True),
            policies=default_policies,
            scrub=lambda event: event,
            spill_dir=self.tmp_path / "spill",
            system="You research.",
            max_iterations=self.more.get("max_iterations", 60),
            max_cost_usd=self.more.get("max_cost_usd"),
            watch=self.more.get("watch", nobody_watches),
            hooks=self.more.get("hooks", Hooks)(world.session.log),
        )
        self.late.subagents = Subagents(parts)
        return world


async def test_it_answers_with_its_sources_and_keeps_its_context_to_itself(world: MakeWorld, tmp_path: Path) -> None:
    usage = Usage(prompt_tokens=900, completion_tokens=100)
    own = FakePort(calls_reply(call("echo", '{"text": "table 3"}'), usage=usage), text_reply("Use LoRA, rank 16 [table 3].", usage=usage))
    desk = Desk(tmp_path, [Echo()], own)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool]))
    assert (await w.say("go")).final_response == "Done."
    (answer,) = [x for x in w.of(e.ToolFinished) if x.tool == "research"]
    assert answer.success
    assert answer.output == "Use LoRA, rank 16 [table 3].\n\nConsulted:\n- echo table 3"
    assert "table 3" not in [m.text for m in w.state.history.messages if isinstance(m, ToolMessage) and m.name == "echo"]
    assert [m.text for m in own.requests[0]] == ["Context: SFT of a 1B model\n\nTask: find the best recipe"]
    assert own.closed


async def test_its_progress_and_its_end_are_typed_events(world: MakeWorld, tmp_path: Path) -> None:
    usage = Usage(prompt_tokens=900, completion_tokens=100)
    own = FakePort(calls_reply(call("echo", '{"text": "x"}'), usage=usage), text_reply("Found.", usage=usage), price_usd=0.25)
    desk = Desk(tmp_path, [Echo()], own)
    w = desk.attach(await world([call("research", TASK, id="c1")], "Done.", tools=[desk.tool]))
    await w.say("go")
    progress = w.of(e.SubagentProgress)
    assert progress and {(p.agent_id, p.label) for p in progress} == {("c1", "find the best recipe")}
    assert (progress[-1].steps, progress[-1].tool_calls, progress[-1].tokens) == (2, 1, 2000)
    (end,) = w.of(e.SubagentFinished)
    assert (end.outcome, end.steps, end.tool_calls, end.tokens, end.cost_usd) == ("done", 2, 1, 2000, 0.5)
    booked = [x for x in w.of(e.LlmCall) if x.kind == "research"]
    assert [x.cost_usd for x in booked] == [0.25, 0.25]
    assert w.state.spending.by_kind["research"] == pytest.approx(0.5)
    assert w.state.steps == 2, "its steps are not the session's"


async def test_nothing_that_changes_anything_runs_whatever_it_read(world: MakeWorld, tmp_path: Path) -> None:
    """W20: the original's read-only agent deleted a repository because a page told it to."""
    delete = Echo(name="hf_repo_files", risk=WRITES)
    own = FakePort([call("hf_repo_files", '{"text": "delete *"}')], "I could not.")
    desk = Desk(tmp_path, [delete], own)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool]))
    await w.say("go")
    assert delete.ran == []
    refused = own.requests[1][-1]
    assert isinstance(refused, ToolMessage) and "read-only" in refused.text
    assert w.of(e.ApprovalRequired) == []


@pytest.mark.parametrize("effect", Effect)
async def test_nobody_is_ever_asked_for_a_call_of_a_sub_agent_so_none_is_edited_and_none_costs(
    effect: Effect, world: MakeWorld, tmp_path: Path
) -> None:
    seen: list[e.AnyEvent] = []

    async def watch(envelope: Envelope) -> None:
        seen.append(envelope.event)

    tool = Echo(risk=Risk(effects=frozenset({effect}), cost_usd=1.0))
    desk = Desk(tmp_path, [tool], FakePort([call("echo", '{"text": "x"}')], "Found."), watch=watch)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool]))
    await w.session.submit(op.SetAutoApproval(enabled=True, cost_cap_usd=5.0))
    await w.say("go")
    assert tool.ran == (["x"] if effect in HARMLESS else [])
    assert [x for x in (*seen, *w.seen) if isinstance(x, e.ApprovalRequired | e.BudgetReserved)] == []


async def test_a_hook_that_wants_a_call_of_a_sub_agent_asked_for_denies_it_since_nobody_can_be_asked(
    world: MakeWorld, hooks: Configure, tmp_path: Path
) -> None:
    """Its question was put where nobody looks: the sub-agent waited for ever."""
    decision = {"hookEventName": "PreToolUse", "permissionDecision": "ask", "permissionDecisionReason": "Is that page safe?"}
    configured = hooks(PreToolUse=[{"matcher": "echo", "command": says(hookSpecificOutput=decision)}])
    own = FakePort([call("echo", '{"text":"x"}')], "I could not.")
    tool = Echo()
    desk = Desk(tmp_path, [tool], own, hooks=configured)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool], hooks=configured))
    assert (await w.say("go")).final_response == "Done."
    assert tool.ran == [] and w.of(e.ApprovalRequired) == []
    assert "nobody is asked" in own.requests[1][-1].text and "Is that page safe?" in own.requests[1][-1].text


async def test_what_it_found_is_kept_when_its_model_fails(world: MakeWorld, tmp_path: Path) -> None:
    """W44: in the original the first error of the model dropped every finding."""
    own = FakePort([call("echo", '{"text": "rank 16 beats rank 8"}')], RateLimited("no more requests now"))
    desk = Desk(tmp_path, [Echo()], own)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool]))
    await w.say("go")
    (answer,) = [x for x in w.of(e.ToolFinished) if x.tool == "research"]
    assert not answer.success
    assert "rank 16 beats rank 8" in answer.output and "no more requests now" in answer.output
    assert w.of(e.SubagentFinished)[0].outcome == "failed"


async def test_at_its_limit_it_sums_up_what_it_has(world: MakeWorld, tmp_path: Path) -> None:
    own = FakePort([call("echo", '{"text": "1"}')], [call("echo", '{"text": "2"}')], "So far: two findings.")
    desk = Desk(tmp_path, [Echo()], own, max_iterations=2)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool]))
    await w.say("go")
    (answer,) = [x for x in w.of(e.ToolFinished) if x.tool == "research"]
    assert answer.success and "So far: two findings." in answer.output and "max_iterations 2" in answer.output
    *_, before, last = own.raw_requests
    assert last.tools == before.tools != (), "the prefix that the provider has cached stays"
    assert list(last.messages[: len(before.messages)]) == list(before.messages)
    assert w.of(e.SubagentFinished)[0].outcome == "stopped"


async def test_a_tool_that_is_asked_for_instead_of_the_summary_is_not_run_and_the_findings_stay(world: MakeWorld, tmp_path: Path) -> None:
    own = FakePort([call("echo", '{"text": "one"}')], [call("echo", '{"text": "two"}')])
    desk = Desk(tmp_path, [Echo()], own, max_iterations=1)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool]))
    await w.say("go")
    (answer,) = [x for x in w.of(e.ToolFinished) if x.tool == "research"]
    assert "one" in answer.output and "two" not in answer.output
    assert w.of(e.SubagentFinished)[0].tool_calls == 1


async def test_a_cap_of_its_own_stops_it_with_its_findings(world: MakeWorld, tmp_path: Path) -> None:
    own = FakePort(*[[call("echo", f'{{"text": "finding {n}"}}')] for n in range(9)], price_usd=0.4)
    desk = Desk(tmp_path, [Echo()], own, max_cost_usd=1.0)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool]))
    await w.say("go")
    assert len(own.requests) == 2, "a third call might have passed the cap"
    (answer,) = [x for x in w.of(e.ToolFinished) if x.tool == "research"]
    assert "finding 1" in answer.output


async def test_several_together_keep_the_cap_of_the_session(world: MakeWorld, tmp_path: Path) -> None:
    steps = [[call("echo", f'{{"text": "{n}"}}')] for n in range(20)]
    ports = [FakePort(*steps, price_usd=0.1) for _ in range(3)]
    desk = Desk(tmp_path, [Echo()], *ports)
    calls = [call("research", f'{{"task": "question {n}"}}', id=f"c{n}") for n in range(3)]
    w = desk.attach(await world(calls, "Done.", tools=[desk.tool]))
    await w.session.submit(op.SetAutoApproval(enabled=True, cost_cap_usd=1.0))
    await w.say("go")
    assert w.state.spending.spent_usd <= 1.0
    assert sum(len(port.requests) for port in ports) >= 6, "what is left is shared, not withheld"


async def test_they_run_side_by_side(world: MakeWorld, tmp_path: Path) -> None:
    both = asyncio.Barrier(2)

    async def meet(request: ModelRequest) -> AsyncIterator[Delta | Reply]:
        await asyncio.wait_for(both.wait(), 5)
        yield text_reply("met")

    desk = Desk(tmp_path, [], FakePort(meet), FakePort(meet))
    calls = [call("research", f'{{"task": "question {n}"}}', id=f"c{n}") for n in range(2)]
    w = desk.attach(await world(calls, "Done.", tools=[desk.tool]))
    await w.say("go")
    assert [x.output for x in w.of(e.ToolFinished) if x.tool == "research"] == ["met", "met"]


async def test_an_interrupt_stops_it_and_says_what_it_cost(world: MakeWorld, tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def hang(request: ModelRequest) -> AsyncIterator[Delta | Reply]:
        reached.set()
        await asyncio.Event().wait()
        yield text_reply("never")

    own = FakePort([call("echo", '{"text": "x"}')], hang, price_usd=0.25)
    desk = Desk(tmp_path, [Echo()], own)
    w = desk.attach(await world([call("research", TASK)], tools=[desk.tool]))
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(reached.wait(), 5)
    await w.session.submit(op.Interrupt())
    assert isinstance(await w.turn_end(), e.Interrupted)
    (end,) = w.of(e.SubagentFinished)
    assert (end.outcome, end.cost_usd) == ("interrupted", 0.25)
    assert own.closed


@pytest.mark.parametrize(
    ("ended", "detail"), [(False, "The process ended while it ran echo slow"), (True, "The process ended after it had run echo slow")]
)
async def test_after_a_crash_the_log_tells_how_far_each_sub_agent_had_come(
    world: MakeWorld, tmp_path: Path, ended: bool, detail: str
) -> None:
    """W5: "outcome unknown" was all that was said, though two steps were paid for and on disk."""
    reads, usage = asyncio.Event(), Usage(prompt_tokens=900, completion_tokens=100)

    async def hang(args: Any, ctx: Any) -> None:
        if args.text == "slow":
            reads.set()
            await asyncio.sleep(0 if ended else 3600)

    async def never_answers(request: ModelRequest) -> AsyncIterator[Delta | Reply]:
        await asyncio.sleep(3600)
        yield text_reply("never")

    steps = [calls_reply(call("echo", f'{{"text": "{text}"}}', id=text), usage=usage) for text in ("quick", "slow")]
    desk = Desk(tmp_path, [Echo(hang)], FakePort(*steps, never_answers, price_usd=0.25))
    w = desk.attach(await world([call("research", TASK, id="c1")], tools=[desk.tool]))
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(reads.wait(), 5)
    count = 1
    while (seen := await w.until(e.SubagentProgress, count=count)).tool_calls < 2 or (ended and seen.activity):
        count += 1
    await w.store.release("s1")  # as kill -9 leaves things: see test_resume
    again = await world(port=FakePort("I see."), store=w.store, tools=[ResearchTool(Late())])
    await again.until(e.Interrupted)
    (end,) = again.of(e.SubagentFinished)
    assert (end.agent_id, end.outcome, end.label) == ("c1", "interrupted", "find the best recipe")
    assert (end.steps, end.tool_calls, end.tokens, end.cost_usd) == (2, 2, 2000, 0.5)
    assert end.detail == detail
    assert end.duration_s == 0, "nobody knows how long it lived after its last event"
    (answer,) = again.of(e.ToolFinished)
    assert answer.output.startswith("Interrupted after 2 steps and 2 calls.") and answer.error_kind == "interrupted"
