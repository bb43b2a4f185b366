"""Hooks that change a call, end a turn, run in the background, or read the session: the contract of the field."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.hooks.hooks import Hooks
from ml_intern.tools.base import Risk

from .conftest import MakeWorld
from .hook_support import Configure, last_answer, ran, says
from .support import ASKS, RECURRING, Echo, call

# ── the field's contract: changing, stopping, in the background, the transcript ──────────────────────────────────────


async def test_what_a_hook_changes_when_the_user_would_be_asked_is_judged_anew_and_shown(world: MakeWorld, hooks: Configure) -> None:
    tool = Echo(risk=ASKS)
    change = says(hookSpecificOutput={"decision": {"behavior": "ask", "updatedInput": {"text": "safer"}}})
    w = await world([call("echo", '{"text":"wild"}')], "done", tools=[tool], hooks=hooks(PermissionRequest=change))
    await w.session.submit(op.UserInput(text="go"))
    (pending,) = (await w.until(e.ApprovalRequired)).tools
    assert pending.arguments == {"text": "safer"}, "the card shows what would run"
    await w.session.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id=pending.tool_call_id, approved=True),)))
    await w.turn_end()
    assert tool.ran == ["safer"] and "changed the arguments to" in last_answer(w).output


async def test_a_hook_that_allows_a_changed_call_does_not_get_round_the_rules(world: MakeWorld, hooks: Configure) -> None:
    def risk(args: Any) -> Risk:
        return RECURRING if args.text == "nightly" else ASKS

    tool = Echo(risk=risk)
    change = says(hookSpecificOutput={"decision": {"behavior": "allow", "updatedInput": {"text": "nightly"}}})
    w = await world([call("echo")], tools=[tool], hooks=hooks(PermissionRequest=change))
    await w.session.submit(op.UserInput(text="go"))
    (pending,) = (await w.until(e.ApprovalRequired)).tools
    assert pending.recurring and pending.arguments == {"text": "nightly"}
    await w.session.submit(op.Interrupt())
    await w.turn_end()
    assert tool.ran == []


async def test_that_a_hook_allowed_a_call_does_not_hold_for_what_another_makes_of_it(world: MakeWorld, hooks: Configure) -> None:
    tool = Echo(risk=lambda args: ASKS if args.text == "once" else RECURRING)
    change = says(hookSpecificOutput={"decision": {"updatedInput": {"text": "once"}}})
    allow = says(hookSpecificOutput={"permissionDecision": "allow"})
    w = await world([call("echo", '{"text":"nightly"}')], tools=[tool], hooks=hooks(PermissionRequest=change, PreToolUse=allow))
    await w.session.submit(op.UserInput(text="go"))
    (pending,) = (await w.until(e.ApprovalRequired)).tools
    assert pending.arguments == {"text": "once"} and not pending.recurring
    await w.session.submit(op.Interrupt())
    await w.turn_end()


async def test_a_changed_call_that_is_allowed_runs_as_it_was_changed(world: MakeWorld, hooks: Configure) -> None:
    tool = Echo(risk=ASKS)
    change = says(hookSpecificOutput={"decision": {"behavior": "allow", "updatedInput": {"text": "safer"}}})
    w = await world([call("echo", '{"text":"wild"}')], "done", tools=[tool], hooks=hooks(PermissionRequest=change))
    await w.say("go")
    assert tool.ran == ["safer"] and not w.of(e.ApprovalRequired)


@pytest.mark.parametrize(("event", "ran_it"), [("PreToolUse", False), ("PostToolUse", True)])
async def test_continue_false_ends_the_turn_and_says_why(world: MakeWorld, hooks: Configure, event: str, ran_it: bool) -> None:
    stop = says(**{"continue": False, "stopReason": "budget meeting first"})
    tool = Echo()
    w = await world([call("echo")], "never asked", tools=[tool], hooks=hooks(**{event: stop}))
    end = await w.say("go")
    assert isinstance(end, e.TurnComplete) and end.reason == "hook_stop" and "budget meeting first" in end.detail
    assert len(w.port.requests) == 1 and bool(tool.ran) is ran_it
    assert isinstance(await w.say("now?"), e.TurnComplete), "the next turn is its own"
    assert len(w.port.requests) == 2


async def test_a_denial_that_interrupts_ends_the_turn(world: MakeWorld, hooks: Configure) -> None:
    deny = says(hookSpecificOutput={"decision": {"behavior": "deny", "message": "never", "interrupt": True}})
    w = await world([call("echo")], "never asked", tools=[Echo(risk=ASKS)], hooks=hooks(PermissionRequest=deny))
    assert (await w.say("go")).reason == "hook_stop"
    assert last_answer(w).error_kind == "rejected" and len(w.port.requests) == 1


async def test_continue_false_at_the_end_lets_it_end_whoever_wants_more(world: MakeWorld, hooks: Configure) -> None:
    rules = [{"command": "echo more tests >&2; exit 2"}, {"command": says(**{"continue": False, "stopReason": "enough"})}]
    w = await world("done", hooks=hooks(Stop=rules))
    assert (await w.say("go")).reason == "done" and len(w.port.requests) == 1


async def test_continue_false_keeps_a_message_from_the_model(world: MakeWorld, hooks: Configure) -> None:
    w = await world("hello", hooks=hooks(UserPromptSubmit=says(**{"continue": False, "stopReason": "frozen"})))
    end = await w.say("hi")
    assert isinstance(end, e.ErrorRaised) and "frozen" in end.error and w.port.requests == []


async def test_a_hook_in_the_background_holds_up_nothing_and_its_words_come_with_the_next_message(
    world: MakeWorld, hooks: Configure, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "go")
    context = json.dumps({"hookSpecificOutput": {"additionalContext": "the tests failed"}, "systemMessage": "tests are over"})
    rules = [{"hooks": [{"type": "command", "command": f"cat $D/go > /dev/null; echo '{context}'", "async": True}]}]
    w = await world([call("echo")], "done", "again", tools=[Echo()], hooks=hooks(PostToolUse=rules))
    await w.say("go")
    assert last_answer(w).output == "done" and ran(w) == []
    await asyncio.to_thread((tmp_path / "go").write_text, "x")
    await w.until(e.HookRan, count=2)
    await w.say("next")
    assert "the tests failed" in w.port.requests[-1][-1].text
    assert ("PostToolUse", "said") in ran(w)


async def test_a_hook_in_the_background_blocks_nothing(world: MakeWorld, hooks: Configure) -> None:
    tool = Echo()
    w = await world([call("echo")], "done", tools=[tool], hooks=hooks(PreToolUse=[{"command": "exit 2", "async": True}]))
    await w.say("go")
    assert tool.ran == [""]


async def test_the_transcript_is_the_session_so_far_and_only_what_is_new_is_written(
    world: MakeWorld, hooks: Configure, tmp_path: Path
) -> None:
    path = tmp_path / "own" / "transcript.jsonl"
    seen = "import json,sys; print(open(json.load(sys.stdin)['transcript_path']).read(), end='')"
    read = f'{sys.executable} -c "{seen}" > $D/seen'
    w = await world([call("echo", '{"text":"hi"}', "c1")], "done", "more", tools=[Echo()], hooks=hooks(Stop=read))
    assert not path.exists()
    await w.say("go")
    lines = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert [line["type"] for line in lines] == ["user", "assistant", "user", "assistant"]
    assert lines[0]["message"]["content"] == "go" and lines[0]["sessionId"] == "s1"
    assert path.stat().st_mode & 0o777 == 0o600
    first, inode = path.read_bytes(), path.stat().st_ino
    await w.say("again")
    assert path.read_bytes().startswith(first) and path.read_bytes().count(b"\n") == 6
    assert path.stat().st_ino == inode


async def test_a_transcript_that_a_killed_process_left_is_written_anew_and_goes_with_the_session(
    world: MakeWorld, hooks: Configure, tmp_path: Path
) -> None:
    path = tmp_path / "own" / "transcript.jsonl"
    path.parent.mkdir()
    path.write_text("of another time\n")
    made: list[Hooks] = []
    configured = hooks(Stop="exit 0")
    w = await world("done", hooks=lambda log: made.append(configured(log)) or made[-1])
    await w.say("go")
    assert "of another time" not in path.read_text() and path.read_text().count("\n") == 2
    await made[-1].aclose()
    assert not path.exists()


async def test_a_hook_that_let_things_be_is_shown_and_not_stored(world: MakeWorld, hooks: Configure) -> None:
    w = await world([call("echo")], "done", tools=[Echo()], hooks=hooks(PreToolUse="echo fine >&2; exit 0"))
    shown: list[e.HookRan] = []

    async def look() -> None:
        async for envelope in w.session.log.events():
            if isinstance(envelope.event, e.HookRan):
                assert envelope.seq is None
                shown.append(envelope.event)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    await w.say("go")
    await w.session.aclose()
    await looking
    (event,) = shown
    assert (event.outcome, event.exit_code, event.stderr) == ("ran", 0, "fine")
