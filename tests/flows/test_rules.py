"""Rules in a session: what a call hides from them, what "always" leaves behind, and which calls wait for one another."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.permissions import Mode, Permissions
from ml_intern.tools.base import ANY_FILE, Effect, PermissionSubject, Risk, ToolContext
from ml_intern.tools.bash.command_parts import subject

from .conftest import MakeWorld
from .support import ASKS, Echo, EchoArgs, World, call

CONFINED = Risk(effects=frozenset({Effect.RUNS_CODE, Effect.WRITES_WORKSPACE}), confined=True)


class Shell(Echo):
    """A shell that runs nothing."""

    def subject(self, args: EchoArgs) -> PermissionSubject:
        return subject(args.text)


def line(text: str) -> str:
    return msgspec.json.encode({"text": text}).decode()


async def _approve(w: World, number: int, remember: Literal["", "project"] = "") -> e.PendingTool:
    approval = await w.until(e.ApprovalRequired, count=number)
    (pending,) = approval.tools
    answer = op.ApprovalAnswer(tool_call_id=pending.tool_call_id, approved=True, remember=remember)
    await w.session.submit(op.ExecApproval(approvals=(answer,)))
    return pending


async def test_a_tool_whose_name_no_rule_can_hold_poisons_nothing(world: MakeWorld) -> None:
    tools = [Echo(name="a/b", risk=ASKS), Echo()]
    w = await world([call("a/b")], [call("a/b", '{"n":1}')], [call("echo")], "done", tools=tools)
    await w.session.submit(op.UserInput(text="go"))
    assert (await _approve(w, 1, "project")).remember_rule == ""
    await _approve(w, 2)
    await w.turn_end()
    assert [x.success for x in w.of(e.ToolFinished)] == [True, True, True]
    assert w.of(e.PermissionGranted) == []


async def test_a_denied_command_in_disguise_is_asked_for_and_other_commands_run(world: MakeWorld) -> None:
    shell = Shell(name="bash", risk=CONFINED)
    commands = ["python train.py --lr $LR > log", "g=git; $g push"]
    w = await world(
        *[[call("bash", line(command))] for command in commands],
        "done",
        tools=[shell],
        permissions=Permissions(allow=["bash"], deny=["bash(git push *)"]),
    )
    await w.session.submit(op.UserInput(text="go"))
    pending = await _approve(w, 1)
    await w.turn_end()
    assert pending.arguments == {"text": "g=git; $g push"}
    assert "`bash(git push *)` may apply" in pending.reason
    assert shell.ran == commands


async def test_where_nobody_decides_a_possible_match_is_blocked_and_says_why(world: MakeWorld) -> None:
    permissions = Permissions(deny=["bash(git push *)"])
    steps = [call("bash", line("$(echo git) push"))], "done"
    w = await world(*steps, tools=[Shell(name="bash", risk=CONFINED)], permissions=permissions, mode=Mode.CONTAINED)
    await w.session.submit(op.UserInput(text="go"))
    pending = await _approve(w, 1)
    await w.turn_end()
    assert pending.auto_approval_blocked
    assert "`bash(git push *)` may apply" in (pending.block_reason or "")


async def test_what_writes_anything_runs_before_what_reads_after_it(world: MakeWorld) -> None:
    order: list[str] = []

    async def note(args: EchoArgs, _ctx: ToolContext) -> str:
        order.append(f"{args.text} begins")
        await asyncio.sleep(0)
        order.append(f"{args.text} ends")
        return ""

    def risk(args: EchoArgs) -> Risk:
        anything = frozenset({ANY_FILE})
        return Risk(effects=frozenset({Effect.READS}), reads=anything, writes=anything if args.text.startswith("write") else frozenset())

    calls = [call("echo", line(text)) for text in ("write 1", "write 2", "read 1", "read 2")]
    w = await world(calls, "done", tools=[Echo(note, risk=risk)])
    await w.say("go")
    assert order[:4] == ["write 1 begins", "write 1 ends", "write 2 begins", "write 2 ends"]
    assert order[4:6] == ["read 1 begins", "read 2 begins"]
