"""The user's hooks in a session: real programs that are told what happens, and what comes of their answers."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.display import Text
from ml_intern.protocol.messages import UserMessage
from ml_intern.session.hooks.watch import HookWatch
from ml_intern.session.permissions import Mode, Permissions
from ml_intern.tools.base import Effect, Risk

from .conftest import MakeWorld
from .hook_support import Configure, last_answer, ran, says, told
from .support import ASKS, RECURRING, SPENDS, Echo, FakePort, call
from .test_research import TASK, Desk

PUBLISHES = Risk(effects=frozenset({Effect.WRITES_HUB}))

# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_hook_is_told_what_hooks_of_the_field_are_told(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    w = await world([call("echo", '{"text":"hi"}', "c1")], "done", tools=[Echo()], hooks=hooks(PreToolUse="cat > $D/told"))
    await w.say("go")
    assert told(tmp_path) == {
        "session_id": "s1",
        "transcript_path": str(tmp_path / "own" / "transcript.jsonl"),
        "cwd": str(tmp_path),
        "permission_mode": "default",
        "hook_event_name": "PreToolUse",
        "tool_name": "echo",
        "tool_input": {"text": "hi"},
        "tool_use_id": "c1",
    }
    assert last_answer(w).success
    assert ran(w) == []  # it let things be: nothing to tell


async def test_exit_code_2_blocks_a_call_and_the_model_reads_why(world: MakeWorld, hooks: Configure) -> None:
    tool = Echo()
    w = await world([call("echo")], "done", tools=[tool], hooks=hooks(PreToolUse="echo not on a Friday >&2; exit 2"))
    await w.say("go")
    assert tool.ran == []
    answer = last_answer(w)
    assert (answer.success, answer.error_kind) == (False, "denied")
    assert "not on a Friday" in answer.output and "exit 2" in answer.output
    (event,) = w.of(e.HookRan)
    assert (event.outcome, event.message, event.tool_call_id) == ("blocked", "not on a Friday", answer.tool_call_id)


async def test_a_decision_in_json_blocks_as_well(world: MakeWorld, hooks: Configure) -> None:
    deny = says(hookSpecificOutput={"hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": "no way"})
    w = await world([call("echo")], "done", tools=[Echo()], hooks=hooks(PreToolUse=deny))
    await w.say("go")
    assert "no way" in last_answer(w).output and not last_answer(w).success


async def test_other_exit_codes_are_told_and_change_nothing(world: MakeWorld, hooks: Configure) -> None:
    w = await world([call("echo")], "done", tools=[Echo()], hooks=hooks(PreToolUse="echo oops >&2; exit 1"))
    await w.say("go")
    assert last_answer(w).success
    (event,) = w.of(e.HookRan)
    assert event.outcome == "failed" and "oops" in event.message


async def test_a_hook_that_hangs_is_ended_and_the_session_goes_on(world: MakeWorld, hooks: Configure) -> None:
    rules = [{"hooks": [{"type": "command", "command": "sleep 1000", "timeout": 0.2}]}]
    w = await world([call("echo")], "done", tools=[Echo()], hooks=hooks(PreToolUse=rules))
    await w.say("go")
    assert last_answer(w).success
    assert "stopped after 0.2 s" in w.of(e.HookRan)[0].message


async def test_nonsense_for_an_answer_is_told_and_changes_nothing(world: MakeWorld, hooks: Configure) -> None:
    w = await world([call("echo")], "done", tools=[Echo()], hooks=hooks(PreToolUse="echo '{\"hookSpecificOutput\": 3}'"))
    await w.say("go")
    assert last_answer(w).success and ran(w) == [("PreToolUse", "failed")]


async def test_a_matcher_is_for_the_whole_name(world: MakeWorld, hooks: Configure) -> None:
    rules = [{"matcher": "ech|other", "command": "exit 2"}, {"matcher": "ec.*", "command": "exit 1"}]
    w = await world([call("echo")], "done", tools=[Echo()], hooks=hooks(PreToolUse=rules))
    await w.say("go")
    assert last_answer(w).success and ran(w) == [("PreToolUse", "failed")]


async def test_hooks_of_one_moment_run_side_by_side(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # each end waits for the other: one after the other they would never end
    rules = [{"command": "cat $D/pipe > $D/got"}, {"command": "echo met > $D/pipe"}]
    w = await world([call("echo")], "done", tools=[Echo()], hooks=hooks(PreToolUse=rules))
    await w.say("go")
    assert last_answer(w).success
    assert (tmp_path / "got").read_text() == "met\n"


async def test_a_hook_changes_the_arguments_and_the_model_is_told(world: MakeWorld, hooks: Configure) -> None:
    tool = Echo()
    change = says(hookSpecificOutput={"updatedInput": {"text": "safer"}})
    w = await world([call("echo", '{"text":"wild"}')], "done", tools=[tool], hooks=hooks(PreToolUse=change))
    await w.say("go")
    assert tool.ran == ["safer"]
    assert "A hook of the user's changed the arguments" in last_answer(w).output
    (told,) = (event for event in w.of(e.ToolStateChange) if event.state == "changed")
    assert told.arguments == {"text": "safer"}, "whoever looks on sees what runs"


async def test_of_a_changed_call_that_is_refused_nothing_says_that_it_ran(world: MakeWorld, hooks: Configure) -> None:
    change = says(hookSpecificOutput={"updatedInput": {"text": "nightly"}})
    tools = [Echo(name="denied")]
    w = await world(
        [call("denied", '{"text":"wild"}')], "done", tools=tools, permissions=Permissions(deny=["denied"]), hooks=hooks(PreToolUse=change)
    )
    await w.say("go")
    assert "was not run" in last_answer(w).output and "this ran" not in last_answer(w).output


async def test_a_hook_approves_what_only_the_mode_asks_for(world: MakeWorld, hooks: Configure) -> None:
    allow = says(hookSpecificOutput={"permissionDecision": "allow"})
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)], hooks=hooks(PreToolUse=allow))
    await w.say("go")
    assert last_answer(w).success and not w.of(e.ApprovalRequired)


async def test_no_hook_approves_what_recurs_or_what_a_rule_forbids(world: MakeWorld, hooks: Configure) -> None:
    allow = says(hookSpecificOutput={"permissionDecision": "allow"})
    tools = [Echo(risk=RECURRING), Echo(name="denied")]
    both = hooks(PreToolUse=allow, PermissionRequest=says(hookSpecificOutput={"decision": {"behavior": "allow"}}))
    w = await world([call("denied"), call("echo")], "done", tools=tools, permissions=Permissions(deny=["denied"]), hooks=both)
    await w.session.submit(op.UserInput(text="go"))
    approval = await w.until(e.ApprovalRequired)
    assert [tool.tool for tool in approval.tools] == ["echo"]
    await w.session.submit(op.Interrupt())
    await w.turn_end()
    assert {x.tool: x.error_kind for x in w.of(e.ToolFinished)} == {"denied": "denied", "echo": "interrupted"}


async def test_a_hook_makes_a_harmless_call_ask_even_when_everything_is_approved(world: MakeWorld, hooks: Configure) -> None:
    ask = says(hookSpecificOutput={"permissionDecision": "ask", "permissionDecisionReason": "look at it"})
    w = await world([call("echo")], "done", tools=[Echo()], mode=Mode.YOLO, hooks=hooks(PreToolUse=ask))
    await w.session.submit(op.UserInput(text="go"))
    (pending,) = (await w.until(e.ApprovalRequired)).tools
    assert "look at it" in pending.reason
    await w.session.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id=pending.tool_call_id, approved=True),)))
    await w.turn_end()
    assert last_answer(w).success


@pytest.mark.parametrize(("behavior", "success"), [("allow", True), ("deny", False)])
async def test_a_hook_answers_an_approval_in_the_users_place(world: MakeWorld, hooks: Configure, behavior: str, success: bool) -> None:
    decide = says(hookSpecificOutput={"decision": {"behavior": behavior, "message": "because"}})
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)], hooks=hooks(PermissionRequest=decide))
    await w.say("go")
    assert last_answer(w).success is success
    assert not w.of(e.ApprovalRequired)
    assert success or "because" in last_answer(w).output


async def test_after_a_call_a_hook_may_tell_the_model_something(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    w = await world(
        [call("echo", '{"text":"hi"}')], "done", tools=[Echo()], hooks=hooks(PostToolUse="cat > $D/told; echo lint failed >&2; exit 2")
    )
    await w.say("go")
    assert told(tmp_path)["tool_response"] == {"success": True, "output": "hi", "error_kind": ""}
    answer = last_answer(w)
    assert answer.success and answer.output.startswith("hi") and "lint failed" in answer.output


async def test_an_interrupt_ends_a_hook_and_answers_the_call(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    w = await world([call("echo")], tools=[Echo()], hooks=hooks(PreToolUse="echo $$ > $D/started; exec sleep 1000"))
    await w.session.submit(op.UserInput(text="go"))
    pid = int(await asyncio.to_thread((tmp_path / "started").read_text))
    await w.session.submit(op.Interrupt())
    assert isinstance(await w.turn_end(), e.Interrupted)
    assert last_answer(w).error_kind == "interrupted"
    with pytest.raises(OSError):
        os.kill(pid, 0)


async def test_calls_of_a_sub_agent_pass_the_same_hooks(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    """One that blocks could otherwise be walked around by asking a sub-agent."""
    configured = hooks(PreToolUse=[{"matcher": "echo", "command": "echo not this way >&2; exit 2"}])
    own = FakePort([call("echo", '{"text":"x"}')], "I could not.")
    tool = Echo()
    desk = Desk(tmp_path, [tool], own, hooks=configured)
    w = desk.attach(await world([call("research", TASK)], "Done.", tools=[desk.tool], hooks=configured))
    await w.say("go")
    assert tool.ran == []
    assert "not this way" in own.requests[1][-1].text
    assert ran(w) == [("PreToolUse", "blocked")]


# ── jobs and the Hub ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_before_a_job_a_hook_is_told_the_price_and_nothing_is_reserved_when_it_blocks(
    world: MakeWorld, hooks: Configure, tmp_path: Path
) -> None:
    tool = Echo(risk=replace(SPENDS, starts_job=True))
    w = await world([call("echo")], "done", tools=[tool], mode=Mode.YOLO, hooks=hooks(PreJob="cat > $D/told; echo too dear >&2; exit 2"))
    await w.say("go")
    assert told(tmp_path)["estimated_cost_usd"] == 2.0
    assert tool.ran == [] and "too dear" in last_answer(w).output
    assert w.of(e.BudgetReserved) == []


async def test_before_something_is_published_a_hook_may_block_it_even_when_it_was_approved(world: MakeWorld, hooks: Configure) -> None:
    tool = Echo(risk=PUBLISHES)
    w = await world([call("echo")], "done", tools=[tool], mode=Mode.YOLO, hooks=hooks(PrePublish="echo has secrets >&2; exit 2"))
    await w.say("go")
    assert tool.ran == [] and "has secrets" in last_answer(w).output


async def test_a_sandbox_is_no_job(world: MakeWorld, hooks: Configure) -> None:
    tool = Echo(risk=SPENDS)
    w = await world([call("echo")], "done", tools=[tool], mode=Mode.YOLO, hooks=hooks(PreJob="exit 2"))
    await w.say("go")
    assert tool.ran == [""]


async def test_a_job_whose_code_pushes_is_a_publication(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    class Job(Echo):
        def risk(self, args: Any) -> Risk:
            return replace(SPENDS, starts_job=True, publishes="push" in args.text)

        def preview(self, args: Any) -> tuple[Text, ...]:
            return (Text(text=args.text, language="python"),)

    tool = Job()
    calls = [call("echo", '{"text":"model.push_to_hub(x)"}', "c1"), call("echo", '{"text":"print(1)"}', "c2")]
    w = await world(calls, "done", tools=[tool], mode=Mode.YOLO, hooks=hooks(PrePublish="cat > $D/told; echo not yet >&2; exit 2"))
    await w.say("go")
    assert tool.ran == ["print(1)"]
    assert told(tmp_path)["script"] == "model.push_to_hub(x)" and told(tmp_path)["tool_use_id"] == "c1"


async def test_calls_that_neither_spend_nor_publish_are_none_of_their_business(world: MakeWorld, hooks: Configure) -> None:
    w = await world([call("echo")], "done", tools=[Echo()], hooks=hooks(PrePublish="exit 2", PreJob="exit 2"))
    await w.say("go")
    assert last_answer(w).success


# ── messages, the end of a turn, compaction ──────────────────────────────────────────────────────────────────────────


async def test_a_blocked_message_never_reaches_the_model(world: MakeWorld, hooks: Configure) -> None:
    w = await world("hello", hooks=hooks(UserPromptSubmit="grep -q password && { echo no passwords >&2; exit 2; }; exit 0"))
    end = await w.say("my password is x")
    assert isinstance(end, e.ErrorRaised) and "no passwords" in end.error
    assert w.port.requests == [] and w.of(e.UserMessageAdded) == []
    assert isinstance(await w.say("hello"), e.TurnComplete)
    assert len(w.port.requests) == 1


async def test_what_a_hook_prints_goes_to_the_model_behind_the_message(world: MakeWorld, hooks: Configure) -> None:
    w = await world("hello", hooks=hooks(UserPromptSubmit="echo the build is red", SessionStart="exit 0"))
    await w.say("hi")
    texts = [message.text for message in w.port.requests[0] if isinstance(message, UserMessage)]
    assert texts[0] == "hi" and "the build is red" in texts[1]


async def test_an_interrupt_while_a_hook_looks_at_a_message_gives_the_words_back(
    world: MakeWorld, hooks: Configure, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "started")
    once = "[ -e $D/again ] && exit 0; touch $D/again; echo x > $D/started; sleep 1000"
    w = await world("hello", hooks=hooks(UserPromptSubmit=once))
    await w.session.submit(op.UserInput(text="first"))
    await asyncio.to_thread((tmp_path / "started").read_text)
    await w.session.submit(op.Interrupt())
    interrupted = await w.turn_end()
    assert isinstance(interrupted, e.Interrupted) and [one.content for one in interrupted.unread] == ["first"]
    await w.session.submit(op.UserInput(text="second"))
    await w.until(e.TurnComplete)
    assert [x.content for x in w.of(e.UserMessageAdded)] == ["second"]


async def test_steering_that_a_hook_looks_at_is_given_back_by_an_interrupt(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    second = "cat > $D/told; grep -q zebra $D/told || exit 0; echo x > $D/started; sleep 1000"
    started, go_on = asyncio.Event(), asyncio.Event()

    async def wait(args, ctx):  # type: ignore[no-untyped-def]
        started.set()
        await go_on.wait()
        return "done"

    w = await world([call("echo")], tools=[Echo(wait)], hooks=hooks(UserPromptSubmit=second))
    await w.session.submit(op.UserInput(text="go"))
    await asyncio.wait_for(started.wait(), 5)
    await w.session.submit(op.UserInput(text="zebra"))
    go_on.set()
    await asyncio.to_thread((tmp_path / "started").read_text)
    await w.session.submit(op.Interrupt())
    interrupted = await w.turn_end()
    assert isinstance(interrupted, e.Interrupted) and [one.content for one in interrupted.unread] == ["zebra"]


async def test_a_hook_makes_the_model_go_on_but_not_for_ever(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    w = await world(*["done"] * 30, hooks=hooks(Stop="cat > $D/told; echo run the tests >&2; exit 2"), policies=())
    end = await w.say("go")
    assert isinstance(end, e.TurnComplete)
    assert [x.guard for x in w.of(e.GuardTriggered)] == ["stop_hook"] * 8
    assert len(w.port.requests) == 9
    [said] = w.of(e.ToolLog)
    assert "8 times" in said.log and "without asking them again" in said.log
    assert "run the tests" in w.port.requests[-1][-1].text
    assert told(tmp_path)["stop_hook_active"] is True and told(tmp_path)["last_assistant_message"] == "done"


async def test_a_hook_forbids_a_summary_and_the_user_hears_why(world: MakeWorld, hooks: Configure) -> None:
    rules = [{"matcher": "manual", "command": "echo keep it all >&2; exit 2"}]
    w = await world("hello", hooks=hooks(PreCompact=rules))
    await w.say("hi")
    await w.session.submit(op.Compact())
    error = await w.until(e.ErrorRaised)
    assert "keep it all" in error.error and w.of(e.Compacted) == []


# ── told afterwards ──────────────────────────────────────────────────────────────────────────────────────────────────

JOB_OVER = e.HfJobComplete(
    job_id="j1", flavor="a10g-large", final_status="ERROR", wall_time_s=60.0, billable_seconds_estimate=60.0, price_usd_per_hour=1.0,
    estimated_cost_usd=0.02, cost_estimate_source="catalog",
)  # fmt: skip


async def test_hooks_hear_of_jobs_alerts_and_questions(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    """They write into a pipe: reading it is waiting for them."""
    for name in ("job", "alert", "ask"):
        os.mkfifo(tmp_path / name)
    configured = hooks(
        PostJob=[{"matcher": "error", "command": "cat > $D/job"}],
        OnAlert=[{"matcher": "warn", "command": "cat > $D/alert"}],
        Notification="cat > $D/ask",
    )
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)], hooks=configured)
    watch = HookWatch(w.session.log, configured(w.session.log))
    watch.start()
    await w.session.log.append(JOB_OVER)
    job = json.loads(await asyncio.to_thread((tmp_path / "job").read_text))
    assert (job["job_id"], job["status"], job["hardware"]) == ("j1", "error", "a10g-large")
    lines = "\x1b[94m[TRACKIO INFO]\x1b[0m fine\nstep 3\n\x1b[93m[TRACKIO WARN]\x1b[0m Loss spike: lower the rate (step 40)\n"
    w.session.log.show(e.ToolLog(tool="hf_jobs", log=lines, tool_call_id="c1"))
    alert = json.loads(await asyncio.to_thread((tmp_path / "alert").read_text))
    assert (alert["level"], alert["message"], alert["step"]) == ("warn", "Loss spike: lower the rate", 40)
    await w.session.submit(op.UserInput(text="go"))
    asked = json.loads(await asyncio.to_thread((tmp_path / "ask").read_text))
    assert asked["notification_type"] == "permission_prompt" and "echo" in asked["message"]
    await w.session.aclose()
    await watch.aclose()


async def test_a_hook_that_was_late_still_hears_of_the_last_job(world: MakeWorld, hooks: Configure, tmp_path: Path) -> None:
    configured = hooks(PostJob="sleep 0.2; cat > $D/job")
    w = await world("done", hooks=configured)
    watch = HookWatch(w.session.log, configured(w.session.log))
    watch.start()
    await w.session.log.append(JOB_OVER)
    await w.session.aclose()
    await watch.aclose()
    assert told(tmp_path, "job")["job_id"] == "j1"


async def test_what_a_hook_says_at_the_start_reaches_the_first_answer(world: MakeWorld, hooks: Configure) -> None:
    w = await world("hello", hooks=hooks(SessionStart=[{"matcher": "startup", "command": "echo branch is main"}]))
    w.entrance.session_started()
    await w.say("hi")
    assert "branch is main" in w.port.requests[0][1].text  # type: ignore[union-attr]


async def test_hooks_hold_for_nothing_that_is_not_configured(world: MakeWorld) -> None:
    port = FakePort([call("echo")], "done")
    w = await world(port=port, tools=[Echo()])
    await w.say("go")
    assert w.of(e.HookRan) == [] and last_answer(w).success
