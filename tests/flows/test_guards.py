"""The rules of the loop, seen from outside."""

from __future__ import annotations

from ml_intern.app import default_policies
from ml_intern.models.base import Usage
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import AssistantMessage, UserMessage
from ml_intern.session.permissions import Mode

from .conftest import MakeWorld
from .support import Echo, call, calls_reply, text_reply


def test_the_order_of_the_policies() -> None:
    assert [policy.name for policy in default_policies(300)] == [
        "hook_stop",
        "iteration_limit",
        "spend_cap",
        "usage_warning",
        "auto_compact",
        "finished_jobs",
        "doom_loop",
        "malformed_calls",
        "truncated_reply",
        "unfinished_plan",
    ]


async def test_the_iteration_limit_is_said_and_counts_the_whole_turn(world: MakeWorld) -> None:
    w = await world(*[[call("echo", f'{{"n":{n}}}')] for n in range(9)], tools=[Echo()], max_iterations=3)
    end = await w.say("go")
    assert (end.reason, end.steps, end.final_response) == ("iteration_limit", 3, None)
    assert "3" in end.detail
    assert len(w.port.requests) == 3


async def test_minus_one_is_no_limit(world: MakeWorld) -> None:
    w = await world(*[[call("echo", f'{{"n":{n}}}')] for n in range(20)], "done", tools=[Echo()], max_iterations=-1)
    assert (await w.say("go")).reason == "done"


async def test_the_doom_loop_is_named_once_and_not_again_after_recovery(world: MakeWorld) -> None:
    """The original scolded at nine of the next fourteen different steps."""
    same = [[call("echo", '{"text":"x"}')] for _ in range(3)]
    different = [[call("echo", f'{{"n":{n}}}')] for n in range(14)]
    w = await world(*same, *different, "done", tools=[Echo()])
    await w.say("go")
    guards = [g for g in w.of(e.GuardTriggered) if g.guard == "doom_loop"]
    assert len(guards) == 1 and guards[0].message.startswith("[SYSTEM: REPETITION GUARD]") and "`echo`" in guards[0].message
    assert isinstance(w.port.requests[3][-1], UserMessage) and w.port.requests[3][-1].internal


async def test_polling_whose_result_changes_is_no_loop(world: MakeWorld) -> None:
    count = iter(range(100))
    w = await world(*[[call("echo", '{"text":"status"}')] for _ in range(8)], "done", tools=[Echo(lambda a, c: f"{next(count)} %")])
    await w.say("go")
    assert w.of(e.GuardTriggered) == []


async def test_a_cycle_of_two_is_a_loop_whatever_the_key_order(world: MakeWorld) -> None:
    a1, a2 = call("echo", '{"text":"x","n":1}'), call("echo", '{"n": 1, "text": "x"}')
    b = call("other", "{}")
    w = await world([a1], [b], [a2], [b], "done", tools=[Echo(), Echo(name="other")])
    await w.say("go")
    (guard,) = w.of(e.GuardTriggered)
    assert "`echo` → `other`" in guard.message


async def test_two_malformed_calls_in_a_row_bring_advice(world: MakeWorld) -> None:
    bad = [call("echo", '{"text": "never closed')]
    w = await world(bad, bad, "done", tools=[Echo()])
    await w.say("go")
    guards = [g.guard for g in w.of(e.GuardTriggered)]
    assert guards == ["malformed_calls"]


async def test_the_calls_of_a_cut_reply_are_not_run(world: MakeWorld) -> None:
    echo = Echo()
    w = await world(calls_reply(call("echo", '{"text":"half'), text="So:", finish="length"), "done", tools=[echo])
    assert (await w.say("go")).final_response == "done"
    assert echo.ran == [] and w.of(e.ToolCalled) == []
    assistant = [m for m in w.port.requests[1] if isinstance(m, AssistantMessage)]
    assert assistant == [AssistantMessage(text="So:", model="fake/model")]
    assert "echo" in w.port.requests[1][-1].text


async def test_a_cut_text_goes_on_and_an_empty_reply_is_asked_again_a_bounded_number_of_times(world: MakeWorld) -> None:
    w = await world(text_reply("first half", finish="length"), text_reply(""), "the rest")
    assert (await w.say("go")).final_response == "the rest"
    assert [g.guard for g in w.of(e.GuardTriggered)] == ["truncated_reply", "truncated_reply"]
    w = await world(*[text_reply("") for _ in range(20)], session_id="s2")
    end = await w.say("go")
    assert end.reason == "model_refused" and len(w.port.requests) == 4


async def test_an_unfinished_plan_holds_the_end_back_twice(world: MakeWorld) -> None:
    plan = call("plan_tool", '{"todos":[{"id":"1","content":"train","status":"pending"},{"id":"2","content":"x","status":"completed"}]}')
    w = await world([plan], "done?", "done??", "done!")
    end = await w.say("go")
    assert end.final_response == "done!" and len(w.port.requests) == 4
    guards = w.of(e.GuardTriggered)
    assert [g.guard for g in guards] == ["unfinished_plan"] * 2
    assert guards[0].message.startswith("[SYSTEM: CONTINUATION GUARD]") and "1. train [pending]" in guards[0].message


async def test_the_cap_stops_a_headless_turn_before_the_call_that_would_pass_it(world: MakeWorld) -> None:
    w = await world(*[[call("echo", f'{{"n":{n}}}')] for n in range(9)], tools=[Echo()], mode=Mode.CONTAINED, price_usd=0.4)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=1.0))
    end = await w.say("go")
    assert end.reason == "spend_cap" and len(w.port.requests) == 2
    assert w.state.spending.spent_usd <= 1.0


async def test_a_cap_with_an_unknown_price_fails_closed(world: MakeWorld) -> None:
    w = await world("never", price_usd=None, mode=Mode.CONTAINED)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=1.0))
    end = await w.say("go")
    assert end.reason == "spend_cap" and "unknown" in end.detail and w.port.requests == []


async def test_at_the_cap_a_person_is_asked_and_may_raise_it(world: MakeWorld) -> None:
    w = await world("answer", price_usd=0.4)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=0.1))
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    assert approval.yolo_budget and approval.tools[0].arguments["cap_usd"] == 0.1
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=1.0))
    yes = op.ApprovalAnswer(tool_call_id=approval.tools[0].tool_call_id, approved=True)
    await w.session.submit(op.ExecApproval(approvals=(yes,)))
    end = await w.turn_end()
    assert end.reason == "done" and end.final_response == "answer"


async def test_a_no_at_the_cap_ends_the_turn_and_loses_nothing(world: MakeWorld) -> None:
    w = await world([call("echo")], "never", tools=[Echo()], price_usd=0.4)
    await w.session.submit(op.SetAutoApproval(enabled=False, cost_cap_usd=0.5))
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    no = op.ApprovalAnswer(tool_call_id=approval.tools[0].tool_call_id, approved=False)
    await w.session.submit(op.ExecApproval(approvals=(no,)))
    end = await w.turn_end()
    assert end.reason == "declined"
    assert len(w.of(e.AssistantMessageAdded)) == 1 and len(w.of(e.ToolFinished)) == 1


async def test_the_usage_warning_doubles_when_acknowledged(world: MakeWorld) -> None:
    replies = [calls_reply(call("echo", f'{{"n":{n}}}'), usage=Usage(1, 1)) for n in range(3)]
    w = await world(*replies, "done", tools=[Echo()], price_usd=6.0, usage_warning_usd=5.0)
    await w.session.submit(op.UserInput(text="go"))
    for count, threshold in ((1, 5.0), (2, 10.0)):
        approval = await w.until(e.ApprovalRequired, count=count)
        assert approval.usage_threshold and approval.tools[0].arguments["threshold_usd"] == threshold
        yes = op.ApprovalAnswer(tool_call_id=approval.tools[0].tool_call_id, approved=True)
        await w.session.submit(op.ExecApproval(approvals=(yes,)))
    assert (await w.turn_end()).reason == "done"
    assert w.state.spending.next_warning_usd == 20.0 or w.state.spending.next_warning_usd == 40.0
