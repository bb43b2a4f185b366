"""Approvals: shown exactly, decided one by one, edited, remembered, abandoned."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import field

from ml_intern.errors import ToolError
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import ToolMessage
from ml_intern.session.permissions import Mode, Permissions
from ml_intern.session.scrub import Scrubber
from ml_intern.tools.base import ToolContext, ToolOutput

from .conftest import MakeWorld
from .support import ASKS, RECURRING, SPENDS, Echo, EchoArgs, KeptInMemory, World, call


class SecretArgs(EchoArgs, frozen=True):
    secrets: dict[str, str] = field(default_factory=dict[str, str])


async def _answer(w: World, pending: e.PendingTool, approved: bool = True, **more: Any) -> None:
    answer = op.ApprovalAnswer(tool_call_id=pending.tool_call_id, approved=approved, **more)
    await w.session.submit(op.ExecApproval(approvals=(answer,)))


async def _asked(w: World, text: str = "go", count: int = 1) -> e.ApprovalRequired:
    await w.session.submit(op.UserInput(text=text))
    return await w.until(e.ApprovalRequired, count=count)


async def test_a_gated_call_is_announced_like_any_other(world: MakeWorld) -> None:
    w = await world([call("echo", '{"text":"x"}')], "done", tools=[Echo(risk=ASKS)])
    approval = await _asked(w)
    (called,) = w.of(e.ToolCalled)
    assert called.arguments == {"text": "x"} == approval.tools[0].arguments
    assert approval.count == 1 and approval.tools[0].risk == ("writes outside the workspace",)
    await _answer(w, approval.tools[0])
    await w.turn_end()
    assert [x.state for x in w.of(e.ToolStateChange)] == ["approved", "running"]


async def test_exactly_what_was_shown_runs(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world([call("echo", '{ "text" : "tab\\there" }')], "done", tools=[echo])
    approval = await _asked(w)
    await _answer(w, approval.tools[0])
    await w.turn_end()
    assert echo.ran == [approval.tools[0].arguments["text"]]


async def test_a_rejection_reaches_the_model_with_the_users_words_unchanged(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world([call("echo")], "done", tools=[echo])
    approval = await _asked(w)
    await _answer(w, approval.tools[0], approved=False, feedback="Use /tmp/Scratch INSTEAD")
    await w.turn_end()
    (finished,) = w.of(e.ToolFinished)
    assert finished.error_kind == "rejected" and "Use /tmp/Scratch INSTEAD" in finished.output and echo.ran == []
    assert [x.state for x in w.of(e.ToolStateChange)] == ["rejected"]


async def test_edited_arguments_run_and_the_model_is_told(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world([call("echo", '{"text":"a"}')], "done", tools=[echo])
    approval = await _asked(w)
    await _answer(w, approval.tools[0], arguments={"text": "b"})
    await w.turn_end()
    assert echo.ran == ["b"]
    (finished,) = w.of(e.ToolFinished)
    assert finished.output.startswith("[The user changed the arguments") and finished.output.endswith("b")


class _Job(Echo):
    args = SecretArgs

    async def run(self, args: Any, ctx: ToolContext) -> ToolOutput:
        self.ran.append(f"{args.text} with {args.secrets}")
        return ToolOutput(text="started")


SECRET_CALL = '{"text":"api_key = \\"Zq8Rt5Vw2Yb7Nm4K\\"\\nfit()","secrets":{"DB":"correct-horse-battery","HF_TOKEN":"$HF_TOKEN"}}'
RAN = "api_key = \"Zq8Rt5Vw2Yb7Nm4K\"\nfit() with {'DB': 'correct-horse-battery', 'HF_TOKEN': '$HF_TOKEN'}"


async def test_a_call_runs_with_its_secrets_and_the_log_and_the_question_show_marks(world: MakeWorld) -> None:
    job = _Job(risk=ASKS)
    w = await world([call("echo", SECRET_CALL)], "done", tools=[job], scrub=Scrubber().scrub_event)
    approval = await _asked(w)
    assert approval.tools[0].arguments["secrets"] == {"DB": "[REDACTED]", "HF_TOKEN": "$HF_TOKEN"}
    await _answer(w, approval.tools[0])
    await w.turn_end()
    assert job.ran == [RAN]
    assert "correct-horse" not in repr(w.of(e.Event))


async def test_an_edit_elsewhere_leaves_the_secrets_behind_the_marks_as_they_were(world: MakeWorld) -> None:
    job = _Job(risk=ASKS)
    w = await world([call("echo", SECRET_CALL)], "done", tools=[job], scrub=Scrubber().scrub_event)
    approval = await _asked(w)
    shown = approval.tools[0].arguments
    await _answer(w, approval.tools[0], arguments={**shown, "secrets": {**shown["secrets"], "HF_TOKEN": "other"}})
    await w.turn_end()
    assert job.ran == [RAN.replace("$HF_TOKEN", "other")]
    assert "correct-horse" not in repr(w.of(e.Event))


async def test_an_edit_that_does_not_fit_is_told_and_the_call_waits_on(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world([call("echo")], "done", tools=[echo])
    approval = await _asked(w)
    await _answer(w, approval.tools[0], arguments={"bogus": 1})
    told = await w.until(e.ErrorRaised)
    assert "bogus" in told.error and not told.ends_turn and echo.ran == [] and w.state.pending
    await _answer(w, approval.tools[0], arguments={"text": "better"})
    await w.turn_end()
    assert echo.ran == ["better"]


async def test_an_edit_cannot_get_round_a_deny_rule(world: MakeWorld) -> None:
    from ml_intern.tools.base import PermissionSubject

    class Careful(Echo):
        def subject(self, args: Any) -> PermissionSubject:
            return PermissionSubject(parts=(args.text,))

    echo = Careful(risk=ASKS)
    w = await world([call("echo", '{"text":"fine"}')], "done", tools=[echo], permissions=Permissions(deny=["echo(rm *)"]))
    approval = await _asked(w)
    await _answer(w, approval.tools[0], arguments={"text": "rm -rf /"})
    assert "Not permitted" in (await w.until(e.ErrorRaised)).error
    await _answer(w, approval.tools[0], approved=False)
    await w.turn_end()
    assert echo.ran == []


async def test_calls_of_one_batch_are_asked_together_and_decided_one_by_one(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world([call("echo", '{"text":"1"}'), call("echo", '{"text":"2"}')], "done", tools=[echo])
    approval = await _asked(w)
    assert approval.count == 2
    await _answer(w, approval.tools[1])
    await w.until(e.ToolFinished)
    assert echo.ran == ["2"] and approval.tools[0].tool_call_id in w.state.pending
    await _answer(w, approval.tools[0], approved=False)
    await w.turn_end()
    assert [m.success for m in w.port.requests[1] if isinstance(m, ToolMessage)] == [False, True]


async def test_calls_that_need_no_approval_do_not_wait_for_those_that_do(world: MakeWorld) -> None:
    free, gated = Echo(), Echo(name="gated", risk=ASKS)
    w = await world([call("gated"), call("echo", '{"text":"free"}')], "done", tools=[free, gated])
    approval = await _asked(w)
    finished = await w.until(e.ToolFinished)
    assert finished.tool == "echo"
    await _answer(w, approval.tools[0])
    await w.turn_end()


@pytest.mark.parametrize("scope", ["session", "project"])
async def test_always_is_remembered(world: MakeWorld, scope: str) -> None:
    kept = KeptInMemory()
    w = await world([call("echo")], [call("echo", '{"n":2}')], "done", tools=[Echo(risk=ASKS)], kept=kept)
    approval = await _asked(w)
    assert approval.tools[0].remember_rule == "echo"
    await _answer(w, approval.tools[0], remember=scope)
    await w.turn_end()
    assert len(w.of(e.ApprovalRequired)) == 1
    assert [rule.rule for rule in kept.rules] == (["echo"] if scope == "project" else [])
    assert w.of(e.PermissionGranted) == [e.PermissionGranted(rule="echo", scope=scope)]


async def test_typing_instead_of_deciding_abandons_the_question(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world([call("echo")], "understood", tools=[echo])
    await _asked(w)
    await w.session.submit(op.UserInput(text="forget it"))
    end = await w.turn_end()
    assert end.final_response == "understood" and echo.ran == []
    assert [x.state for x in w.of(e.ToolStateChange)] == ["abandoned"]
    assert w.of(e.ToolFinished)[0].error_kind == "abandoned"
    assert w.port.requests[1][-1].text == "forget it"


async def test_answering_what_nobody_asked_is_an_error_that_ends_nothing(world: MakeWorld) -> None:
    w = await world()
    await w.session.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="nope", approved=True),)))
    error = await w.until(e.ErrorRaised)
    assert "nope" in error.error and not error.ends_turn


async def test_an_answer_that_comes_at_once_is_not_lost(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)])

    async def answer_immediately() -> None:
        async for envelope in w.session.events():
            if isinstance(envelope.event, e.ApprovalRequired):
                await _answer(w, envelope.event.tools[0])
                return

    import asyncio

    answering = asyncio.create_task(answer_immediately())
    assert (await w.say("go")).reason == "done"
    await answering


async def test_recurring_work_always_asks_even_with_auto_approval(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(risk=RECURRING)], mode=Mode.YOLO)
    approval = await _asked(w)
    assert approval.auto_approval_blocked and approval.tools[0].recurring and "recurring" in (approval.block_reason or "").lower()
    await _answer(w, approval.tools[0], approved=False)
    await w.turn_end()


async def test_auto_approval_runs_what_would_have_asked(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)])
    await w.session.submit(op.SetAutoApproval(enabled=True))
    assert (await w.say("go")).reason == "done"
    assert w.of(e.ApprovalRequired) == []


async def test_the_contained_mode_does_not_run_what_nothing_contains(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)], mode=Mode.CONTAINED)
    approval = await _asked(w)
    assert approval.tools[0].auto_approval_blocked and "outside the workspace" in (approval.tools[0].block_reason or "")
    await _answer(w, approval.tools[0], approved=False)
    await w.turn_end()


async def test_spending_is_reserved_before_and_given_back_on_failure(world: MakeWorld) -> None:
    def fail(args: Any, ctx: Any) -> None:
        raise RuntimeError("no GPU today")

    w = await world([call("echo")], "done", tools=[Echo(fail, risk=SPENDS)], mode=Mode.YOLO)
    await w.session.submit(op.SetAutoApproval(enabled=True, cost_cap_usd=5.0))
    await w.say("go")
    wires = w.names()
    assert wires.index("budget_reserved") < wires.index("tool_output")
    assert w.state.spending.committed_usd == 0.0


async def test_a_batch_cannot_jointly_pass_the_cap(world: MakeWorld) -> None:
    """The original judged each call of a batch against the same remaining cap."""
    echo = Echo(risk=SPENDS)
    calls = [call("echo", f'{{"text":"{n}"}}') for n in range(3)]
    w = await world(calls, "done", tools=[echo])
    await w.session.submit(op.SetAutoApproval(enabled=True, cost_cap_usd=5.0))
    approval = await _asked(w)
    assert approval.count == 1 and approval.estimated_cost_usd == 2.0 and approval.remaining_cap_usd == 1.0
    assert "exceeds" in (approval.block_reason or "")
    await _answer(w, approval.tools[0], approved=False)
    await w.turn_end()
    assert sorted(echo.ran) == ["0", "1"] and w.state.spending.committed_usd == 4.0


async def test_read_only_refuses_and_says_why(world: MakeWorld) -> None:
    echo = Echo(risk=ASKS)
    w = await world([call("echo")], "done", tools=[echo], permissions=Permissions(read_only=True))
    await w.say("go")
    (finished,) = w.of(e.ToolFinished)
    assert finished.error_kind == "denied" and "read-only" in finished.output and echo.ran == []


async def test_a_tool_that_cannot_tell_its_risk_does_not_run(world: MakeWorld) -> None:
    def broken(args: Any) -> Any:
        raise KeyError("risk")

    echo = Echo(risk=broken)
    w = await world([call("echo")], "done", tools=[echo])
    assert (await w.say("go")).reason == "done"
    assert w.of(e.ToolFinished)[0].error_kind == "crash" and echo.ran == []


async def test_ask_user_gets_the_users_answer(world: MakeWorld) -> None:
    async def ask(args: Any, ctx: Any) -> Any:
        return (await ctx.ask("Which?", ("a", "b"))).text

    w = await world([call("echo")], "done", tools=[Echo(ask)])
    await w.session.submit(op.UserInput(text="go"))
    question = await w.until(e.QuestionAsked)
    assert (question.question, question.options) == ("Which?", ("a", "b"))
    await w.session.submit(op.AnswerQuestion(question_id=question.question_id, answer="b"))
    await w.turn_end()
    assert w.of(e.ToolFinished)[0].output == "b"


class _Pointing(Echo):
    """Its argument names a thing that ``prepare`` looks up."""

    def __init__(self) -> None:
        super().__init__(risk=ASKS)
        self.things = {"a": "first"}

    async def prepare(self, args: EchoArgs, shown: EchoArgs | None = None) -> EchoArgs:
        if args.text not in self.things:
            raise ToolError(f"There is no thing '{args.text}'.")
        return EchoArgs(text=self.things[args.text])


async def test_what_a_tool_looked_up_for_the_approval_is_what_runs(world: MakeWorld) -> None:
    """W25: nothing is looked up again between the approval and the run."""
    tool = _Pointing()
    w = await world([call("echo", '{"text":"a"}')], "done", tools=[tool])
    approval = await _asked(w)
    tool.things["a"] = "second"
    await _answer(w, approval.tools[0])
    await w.turn_end()
    assert tool.ran == ["first"]


async def test_what_cannot_be_looked_up_is_an_answer_and_no_question(world: MakeWorld) -> None:
    w = await world([call("echo", '{"text":"b"}')], "done", tools=[_Pointing()])
    await w.session.submit(op.UserInput(text="go"))
    await w.turn_end()
    (finished,) = w.of(e.ToolFinished)
    assert finished.error_kind == "tool_error" and "no thing 'b'" in finished.output
    assert w.of(e.ApprovalRequired) == []


@pytest.mark.parametrize("when", ["before the turn goes on", "while it judges the calls"])
async def test_a_message_sets_aside_what_a_resumed_turn_is_about_to_ask_again(world: MakeWorld, when: str) -> None:
    before = await world([call("echo", "{}", "c1"), call("echo", "{}", "c2")], tools=[Echo(risk=ASKS)])
    await _asked(before)
    judging, go_on = asyncio.Event(), asyncio.Event()

    async def ready() -> None:
        judging.set()
        await go_on.wait()

    echo = Echo(risk=ASKS)
    w = await world("done", tools=[echo], store=before.store, ready=ready)
    if when == "while it judges the calls":
        await judging.wait()
    await w.session.submit(op.UserInput(text="something else"))
    go_on.set()
    await w.turn_end()
    assert [x.error_kind for x in w.of(e.ToolFinished)] == ["abandoned", "abandoned"] and echo.ran == []
    assert [(x.tool_call_id, x.state) for x in w.of(e.ToolStateChange)] == [("c1", "abandoned"), ("c2", "abandoned")]
    assert len(w.of(e.ToolCalled)) == 2 and len(w.of(e.ApprovalRequired)) == 1, "those of the process before"
    assert w.port.requests[-1][-1].text == "something else"
