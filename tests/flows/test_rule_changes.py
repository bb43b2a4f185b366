"""Rules that change while a session runs: from the next call on, through the log, and never a malformed one."""

from __future__ import annotations

from typing import Any

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.permission_events import RuleInForce

from .conftest import MakeWorld
from .support import ASKS, Echo, KeptInMemory, call


def change(rule: str, outcome: Any = "allow", scope: Any = "session", *, remove: bool = False) -> op.ChangeRule:
    return op.ChangeRule(outcome=outcome, rule=rule, scope=scope, remove=remove)


@pytest.mark.parametrize("scope", ["session", "project", "user"])
async def test_a_rule_holds_from_the_next_call_on_and_no_longer_than_it_is_there(world: MakeWorld, scope: str) -> None:
    kept = KeptInMemory()
    denied, again = [call("echo")], [call("echo", '{"n":2}')]
    w = await world(denied, "one", again, "two", tools=[Echo()], kept=kept)
    await w.session.submit(change("echo", "deny", scope))
    await w.say("go")
    assert w.of(e.ToolFinished)[0].error_kind == "denied"
    await w.session.submit(change("echo", "deny", scope, remove=True))
    await w.say("again")
    assert w.of(e.ToolFinished)[1].success
    assert w.of(e.RuleChanged) == [e.RuleChanged(outcome="deny", rule="echo", scope=scope, removed=gone) for gone in (False, True)]
    assert kept.rules == [] and w.state.rules == []


async def test_a_grant_is_listed_and_taken_back(world: MakeWorld) -> None:
    w = await world([call("echo")], "one", [call("echo", '{"n":2}')], "two", tools=[Echo(risk=ASKS)])
    await w.session.submit(op.UserInput(text="go"))
    asked = await w.until(e.ApprovalRequired)
    answer = op.ApprovalAnswer(tool_call_id=asked.tools[0].tool_call_id, approved=True, remember="session")
    await w.session.submit(op.ExecApproval(approvals=(answer,)))
    await w.turn_end()
    await w.session.submit(op.ShowRules())
    shown = await w.until(e.RulesInForce)
    assert shown.rules == (RuleInForce(outcome="allow", rule="echo", scope="session", origin="this session"),)
    await w.session.submit(change("echo", remove=True))
    await w.session.submit(op.UserInput(text="again"))
    assert (await w.until(e.ApprovalRequired, count=2)).tools[0].tool == "echo"


async def test_a_rule_of_the_session_outlives_its_process(world: MakeWorld) -> None:
    first = await world("hello", tools=[Echo()])
    await first.session.submit(change("echo", "deny"))
    await first.say("hi")
    await first.check_the_fold()
    await first.close()
    second = await world([call("echo")], "done", tools=[Echo()], store=first.store)
    await second.session.submit(op.UserInput(text="go"))
    assert (await second.until(e.ToolFinished)).error_kind == "denied"
    await second.until(e.TurnComplete, count=2)


@pytest.mark.parametrize("scope", ["session", "project", "user"])
async def test_what_is_no_rule_is_refused_before_it_is_kept(world: MakeWorld, scope: str) -> None:
    kept = KeptInMemory()
    w = await world(tools=[Echo()], kept=kept)
    await w.session.submit(change("rm -rf (", "deny", scope))
    error = await w.until(e.ErrorRaised)
    assert "no permission rule" in error.error and "bash(pytest *)" in error.hint
    assert kept.rules == [] and w.of(e.RuleChanged) == []


async def test_a_rule_that_is_not_there_cannot_be_removed(world: MakeWorld) -> None:
    w = await world(tools=[Echo()])
    await w.session.submit(change("echo", remove=True))
    assert "no rule `allow echo`" in (await w.until(e.ErrorRaised)).error
    assert w.of(e.RuleChanged) == []


@pytest.mark.parametrize(
    ("rule", "outcome", "deciding"),
    [(None, "ask", ()), ("deny", "deny", ("echo",)), ("ask", "ask", ("echo",)), ("allow", "allow", ("echo",))],
)
async def test_a_call_is_tried_and_does_not_run(world: MakeWorld, rule: Any, outcome: str, deciding: tuple[str, ...]) -> None:
    echo = Echo(risk=ASKS)
    w = await world(tools=[echo])
    await w.until(e.SessionStarted)
    if rule:
        await w.session.submit(change("echo", rule))
    await w.session.submit(op.TryCall(call='echo: {"text": "rm x"}'))
    tried = await w.until(e.CallTried)
    assert (tried.outcome, tuple(each.rule for each in tried.rules)) == (outcome, deciding)
    assert tried.reason and echo.ran == [] and w.of(e.ToolCalled) == []


@pytest.mark.parametrize(("text", "says"), [("nothing: x", "no tool 'nothing'"), ("echo: {", "do not fit"), ("", "names no tool")])
async def test_what_is_no_call_is_told(world: MakeWorld, text: str, says: str) -> None:
    w = await world(tools=[Echo()])
    await w.until(e.SessionStarted)
    await w.session.submit(op.TryCall(call=text))
    tried = await w.until(e.CallTried)
    assert tried.outcome == "" and says in tried.reason


@pytest.mark.parametrize("scope", ["session", "project", "user"])
async def test_a_rule_is_changed_in_one_go_or_not_at_all(world: MakeWorld, scope: Any) -> None:
    w = await world([call("echo")], "one", tools=[Echo()], kept=KeptInMemory())
    await w.session.submit(op.ChangeRule(outcome="deny", rule="echo", scope=scope, replaces="read"))
    assert "no rule `deny read` there to replace" in (await w.until(e.ErrorRaised)).error
    assert w.of(e.RuleChanged) == []
    await w.session.submit(change("read", "deny", scope))
    await w.session.submit(op.ChangeRule(outcome="deny", rule="echo", scope=scope, replaces="read"))
    await w.session.submit(op.ShowRules())
    assert [rule.rule for rule in (await w.until(e.RulesInForce)).rules] == ["echo"]
    assert [(event.rule, event.removed) for event in w.of(e.RuleChanged)] == [("read", False), ("read", True), ("echo", False)]
    await w.say("go")
    assert w.of(e.ToolFinished)[0].error_kind == "denied"
