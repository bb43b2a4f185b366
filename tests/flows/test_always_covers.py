"""What is allowed "always" answers the other calls that wait for the same, and none that has a reason of its own to ask."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import ToolCall
from ml_intern.session.permissions import Mode
from ml_intern.tools.base import Effect, PermissionSubject, Risk
from ml_intern.tools.bash.command_parts import subject

from .conftest import MakeWorld
from .hook_support import Configure, says
from .support import ASKS, SPENDS, Echo, EchoArgs, World, call


class Shell(Echo):
    """A shell that runs nothing."""

    def subject(self, args: EchoArgs) -> PermissionSubject:
        return subject(args.text)


def shell(command: str, id: str) -> ToolCall:
    return call("bash", msgspec.json.encode({"text": command}).decode(), id)


async def _asked(w: World) -> e.ApprovalRequired:
    await w.session.submit(op.UserInput(text="go"))
    return await w.until(e.ApprovalRequired)


async def _always(w: World, *more: op.ApprovalAnswer, sent_by: str = "", scope: Literal["session", "project"] = "session") -> None:
    first = op.ApprovalAnswer(tool_call_id="c1", approved=True, remember=scope)
    await w.session.submit(op.ExecApproval(approvals=(first, *more), sent_by=sent_by))


def _approved(w: World) -> dict[str, str]:
    """The calls that were approved, and the rule that did it."""
    return {change.tool_call_id: change.rule for change in w.of(e.ToolStateChange) if change.state == "approved"}


@pytest.mark.parametrize("scope", ["session", "project"])
async def test_always_answers_the_other_calls_that_wait_and_that_it_covers(world: MakeWorld, scope: Literal["session", "project"]) -> None:
    tool = Shell(name="bash", risk=ASKS)
    calls = [shell("git push origin a", "c1"), shell("git push origin b", "c2"), shell("rm -r build", "c3")]
    w = await world(calls, "done", tools=[tool])
    await _asked(w)
    await _always(w, sent_by="process 7", scope=scope)
    await w.until(e.ToolFinished, count=2)
    assert _approved(w) == {"c1": "", "c2": "bash(git push origin ...)"}
    assert {change.sent_by for change in w.of(e.ToolStateChange) if change.state == "approved"} == {"process 7"}
    assert list(w.state.pending) == ["c3"]
    await w.check_the_fold()


async def test_what_the_same_answer_rejects_stays_rejected(world: MakeWorld) -> None:
    tool = Shell(name="bash", risk=ASKS)
    w = await world([shell("git push origin a", "c1"), shell("git push origin b", "c2")], "done", tools=[tool])
    await _asked(w)
    await _always(w, op.ApprovalAnswer(tool_call_id="c2", approved=False))
    await w.turn_end()
    assert tool.ran == ["git push origin a"] and w.of(e.ErrorRaised) == []


async def test_what_costs_recurs_or_is_blocked_for_a_reason_of_its_own_goes_on_waiting(world: MakeWorld) -> None:
    def risk(args: EchoArgs) -> Risk:
        dear = {1: SPENDS, 2: Risk(effects=frozenset({Effect.RECURRING, Effect.WRITES_OUTSIDE}))}
        return dear.get(args.n, ASKS)

    calls = [call("echo", f'{{"n":{number}}}', f"c{number + 1}") for number in range(4)]
    w = await world(calls, "done", tools=[Echo(risk=risk)])
    await _asked(w)
    await _always(w)
    await w.until(e.ToolFinished, count=2)
    assert list(w.state.pending) == ["c2", "c3"]
    assert set(_approved(w)) == {"c1", "c4"}


async def test_a_call_for_which_an_ask_rule_stands_goes_on_waiting(world: MakeWorld) -> None:
    w = await world([shell("git push origin a", "c1"), shell("git push origin main", "c2")], "done", tools=[Shell(name="bash", risk=ASKS)])
    await w.session.submit(op.ChangeRule(outcome="ask", rule="bash(git push origin main)", scope="session"))
    await _asked(w)
    await _always(w)
    await w.until(e.ToolFinished)
    assert list(w.state.pending) == ["c2"]


async def test_a_call_for_which_a_hook_wants_a_person_goes_on_waiting(world: MakeWorld, hooks: Configure) -> None:
    ask = says(hookSpecificOutput={"permissionDecision": "ask", "permissionDecisionReason": "look at it"})
    calls = [shell("git push origin a", "c1"), shell("git push origin main", "c2")]
    w = await world(calls, "done", tools=[Shell(name="bash", risk=ASKS)], hooks=hooks(PreToolUse=f"grep -q main && {ask} || true"))
    await _asked(w)
    await _always(w)
    await w.until(e.ToolFinished)
    assert list(w.state.pending) == ["c2"]


async def test_after_a_restart_always_still_answers_what_it_covers(world: MakeWorld) -> None:
    calls = [shell("git push origin a", "c1"), shell("git push origin b", "c2")]
    before = await world(calls, tools=[Shell(name="bash", risk=ASKS)])
    await _asked(before)
    tool = Shell(name="bash", risk=ASKS)
    w = await world("done", tools=[tool], store=before.store)
    await w.until(e.ApprovalRequired)
    await _always(w)
    await w.turn_end()
    assert tool.ran == ["git push origin a", "git push origin b"]


async def test_always_answers_what_waits_because_nothing_contains_it(world: MakeWorld) -> None:
    tool = Shell(name="bash", risk=ASKS)
    w = await world([shell("git push origin a", "c1"), shell("git push origin b", "c2")], "done", tools=[tool], mode=Mode.CONTAINED)
    asked = await _asked(w)
    assert all((pending.block_reason or "").startswith("Nothing contains it") for pending in asked.tools)
    await _always(w)
    await w.turn_end()
    assert tool.ran == ["git push origin a", "git push origin b"]


async def test_a_call_that_another_rule_allows_by_now_goes_on_waiting(world: MakeWorld) -> None:
    calls = [shell("git push origin a", "c1"), shell("rm -r build", "c2")]
    w = await world(calls, "done", tools=[Shell(name="bash", risk=ASKS)])
    await _asked(w)
    await w.session.submit(op.ChangeRule(outcome="allow", rule="bash(rm -r build)", scope="session"))
    await _always(w)
    await w.until(e.ToolFinished)
    assert list(w.state.pending) == ["c2"] and set(_approved(w)) == {"c1"}
