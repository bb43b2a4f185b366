"""The headless frontend: what ends a run, with which exit code, and what is answered for a user who is not there."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from ml_intern.errors import ConfigError, SessionNotFound, StoreError
from ml_intern.frontends.headless.options import HeadlessOptions, Patience
from ml_intern.frontends.headless.run import run_headless
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.unit.frontends.fake_host import FakeHost, done, loaded_with, plays, reply, started
from tests.unit.frontends.headless_run import headless

ERROR = e.ErrorRaised(error="The key was refused.", kind="ModelAuthError", hint="Set HF_TOKEN.")


def pending(**changes: Any) -> e.PendingTool:
    return e.PendingTool(**{"tool": "bash", "arguments": {"command": "rm -r data"}, "tool_call_id": "c1", **changes})


def approval(*tools: e.PendingTool, **changes: Any) -> e.ApprovalRequired:
    return e.ApprovalRequired(tools=tools or (pending(),), count=len(tools) or 1, **changes)


def answers(host: FakeHost) -> list[op.ApprovalAnswer]:
    return [answer for operation in host.operations if isinstance(operation, op.ExecApproval) for answer in operation.approvals]


# ── exit codes ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (done("42"), 0),
        (done(None, "iteration_limit"), 3),
        (done(None, "spend_cap"), 3),
        (done(None, "context_exhausted"), 1),
        (done(None, "model_refused"), 1),
        (done(None, "declined"), 4),
        (done(None, "something newer"), 1),
        (ERROR, 1),
        (e.Interrupted(), 130),
    ],
)
async def test_the_exit_code_tells_how_the_turn_ended(end: e.AnyEvent, code: int) -> None:
    result = await headless(plays(end))
    assert result.code == code
    assert result.host.closed


async def test_an_error_is_told_with_what_to_do_about_it() -> None:
    result = await headless(plays(ERROR))
    assert "The key was refused." in result.err
    assert "Set HF_TOKEN." in result.err
    assert result.out == ""


async def test_a_complaint_that_ends_no_turn_ends_no_run() -> None:
    result = await headless(plays(e.ErrorRaised(error="No such question.", ends_turn=False), reply("42"), done("42")))
    assert result.code == 0


async def test_a_limit_is_told_with_the_flag_that_moves_it() -> None:
    result = await headless(plays(done(None, "iteration_limit", "300 steps")))
    assert "--max-iterations" in result.err
    assert "300 steps" in result.err


async def test_the_last_line_tells_how_to_go_on() -> None:
    result = await headless(plays(reply("42"), done("42")))
    assert "--resume 01234567" in result.err.splitlines()[-1]


@pytest.mark.parametrize("error", [ConfigError("No model."), SessionNotFound("No session 'x'."), StoreError("locked")])
async def test_what_fails_before_the_session_is_open_is_left_to_the_command_line(error: Exception) -> None:
    async def open_host(**_given: Any) -> FakeHost:
        raise error

    with pytest.raises(type(error)):
        await run_headless(open_host, loaded_with(), HeadlessOptions(prompt="do it"))


async def test_the_host_is_opened_as_the_options_say() -> None:
    seen: dict[str, Any] = {}

    async def open_host(**given: Any) -> FakeHost:
        seen.update(given)
        raise ConfigError("enough")

    loaded = loaded_with()
    with pytest.raises(ConfigError):
        await run_headless(open_host, loaded, HeadlessOptions(prompt="x", resume="last", read_only=True))
    assert seen == {"loaded": loaded, "resume": "last", "auto_approve": True, "read_only": True}


# ── a session that dies ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_of_events_that_ends_early_ends_the_run() -> None:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.UserInput):
            host.emit(*started())
            host.end_stream()

    result = await headless(play)
    assert result.code == 1
    assert "stopped without ending its turn" in result.err


async def test_a_turn_that_dies_without_a_word_does_not_leave_us_waiting() -> None:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.UserInput):
            host.emit(*started())
            host.busy = False  # its task is gone, its end was never written

    result = await headless(play, patience=Patience(watch_s=0.01))
    assert result.code == 1
    assert "stopped without ending its turn" in result.err


async def test_a_store_that_fails_under_the_run_is_told() -> None:
    async def play(_host: FakeHost, _operation: op.AnyOperation) -> None:
        raise StoreError("The disk is full.", hint="Make room.")

    result = await headless(play)
    assert result.code == 1
    assert "The disk is full. Make room." in result.err


async def test_a_defect_of_the_session_is_not_swallowed_and_the_session_is_closed() -> None:
    async def play(_host: FakeHost, _operation: op.AnyOperation) -> None:
        raise ZeroDivisionError

    host = FakeHost(play)
    with pytest.raises(ZeroDivisionError):
        await headless(play, host=host)
    assert host.closed


# ── resume ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_resumed_session_is_read_from_where_it_stands() -> None:
    host = FakeHost(plays(reply("42"), done("42")))
    host.state.last_seq = 77
    result = await headless(host.play, host=host, resume="last")
    assert host.read_from == 77
    assert "resumed session 01234567\n" in result.err


async def test_a_new_session_is_read_from_its_first_event() -> None:
    host = FakeHost(plays(done("42")))
    host.state.last_seq = 2
    await headless(host.play, host=host)
    assert host.read_from == 0


async def test_the_end_of_a_turn_that_a_crash_left_open_does_not_end_ours() -> None:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.UserInput):
            host.emit(e.Interrupted(), *started(), reply("42"), done("42"))

    assert (await headless(play, resume="last")).code == 0


# ── nobody is there ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_approval_is_refused_and_the_refusal_is_the_exit_code() -> None:
    result = await headless(plays(approval(), reply("I left it."), done("I left it.")))
    assert result.code == 4
    assert [answer.approved for answer in answers(result.host)] == [False]
    assert result.out == "I left it.\n"


async def test_a_refusal_says_why_and_which_rule_would_allow_the_call() -> None:
    asked = approval(pending(reason="bash runs code outside a sandbox", remember_rule='bash(rm "a b" *)'))
    (answer,) = answers((await headless(plays(asked, done("x")))).host)
    assert answer.feedback is not None
    assert "nobody can answer in a headless run" in answer.feedback
    assert "bash runs code outside a sandbox." in answer.feedback
    assert '"permissions": {"allow": ["bash(rm \\"a b\\" *)"]}' in answer.feedback


async def test_a_recurring_job_is_never_approved() -> None:
    asked = approval(pending(tool="hf_jobs", tool_call_id="a", recurring=True), pending(tool_call_id="b"))
    found = answers((await headless(plays(asked, done("x")))).host)
    assert [(answer.tool_call_id, answer.approved) for answer in found] == [("a", False), ("b", False)]
    assert found[0].feedback is not None
    assert "always need a person" in found[0].feedback


async def test_spending_over_the_cap_is_refused_with_the_flag_that_raises_it() -> None:
    asked = approval(pending(tool="yolo_budget"), yolo_budget=True)
    result = await headless(plays(asked, done(None, "declined")))
    (answer,) = answers(result.host)
    assert not answer.approved
    assert "--max-cost" in (answer.feedback or "")
    assert result.code == 4


async def test_a_usage_warning_is_no_reason_to_stop() -> None:
    asked = approval(pending(tool="usage_threshold"), usage_threshold=True)
    result = await headless(plays(asked, reply("42"), done("42")))
    assert [answer.approved for answer in answers(result.host)] == [True]
    assert result.code == 0


async def test_a_question_is_declined_at_once() -> None:
    result = await headless(plays(e.QuestionAsked(question_id="q1", question="Which one?"), reply("42"), done("42")))
    assert op.AnswerQuestion(question_id="q1", reason="nobody") in result.host.operations
    assert result.code == 0


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _signals_itself(number: signal.Signals, *, times: int = 1, ends: bool = True) -> Any:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        match operation:
            case op.UserInput():
                host.busy = True
                host.emit(*started())
                os.kill(os.getpid(), number)
            case op.Interrupt():
                if times > 1:
                    os.kill(os.getpid(), number)
                if ends:
                    host.emit(e.Interrupted())
                    host.busy = False
            case _:
                pass

    return play


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
async def test_a_signal_interrupts_the_turn_and_is_the_exit_code(number: signal.Signals, code: int) -> None:
    result = await headless(_signals_itself(number))
    assert result.code == code
    assert result.host.operations[-1] == op.Interrupt()
    assert result.host.closed


async def test_a_second_ctrl_c_does_not_wait_for_the_turn() -> None:
    result = await headless(_signals_itself(signal.SIGINT, times=2, ends=False))
    assert result.code == 130
    assert result.host.closed
    assert "session 01234567 · go on with: ml-intern --resume 01234567" in result.err


async def test_a_second_ctrl_c_does_not_wait_for_a_session_that_will_not_close() -> None:
    class Stuck(FakeHost):
        async def aclose(self) -> None:
            await asyncio.Event().wait()

    play = _signals_itself(signal.SIGINT, times=2, ends=False)
    assert (await headless(play, host=Stuck(play), patience=Patience(close_s=0.01))).code == 130


async def test_ctrl_c_while_the_session_closes_ends_the_wait() -> None:
    class Slow(FakeHost):
        async def aclose(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

    play = plays(reply("42"), done("42"))
    assert (await headless(play, host=Slow(play))).code == 0


async def test_signal_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    await headless(plays(done("42")))
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_signal_that_the_parent_switched_off_stays_off() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def play(host: FakeHost, operation: op.AnyOperation) -> None:
            if isinstance(operation, op.UserInput):
                os.kill(os.getpid(), signal.SIGHUP)
                host.emit(*started(), reply("42"), done("42"))

        assert (await headless(play)).code == 0
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


async def test_the_time_limit_interrupts_the_turn() -> None:
    result = await headless(plays(), timeout_s=0.01)
    assert result.code == 3
    assert op.Interrupt() in result.host.operations
    assert "--timeout" in result.err


async def test_a_turn_that_ignores_the_time_limit_is_left_behind() -> None:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.UserInput):
            host.busy = True
            host.emit(*started())

    assert (await headless(play, timeout_s=0.01, patience=Patience(stop_s=0.01))).code == 3


async def test_work_that_was_finished_when_the_stop_came_counts_as_finished() -> None:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        match operation:
            case op.UserInput():
                host.emit(*started())
                os.kill(os.getpid(), signal.SIGINT)
            case op.Interrupt():
                host.emit(reply("42"), done("42"))
            case _:
                pass

    result = await headless(play)
    assert result.code == 0
    assert result.out == "42\n"


# ── what goes on ─────────────────────────────────────────────────────────────────────────────────────────────────────


def job(job_id: str, *, backend: str = "hub", price: float | None = 0.4) -> e.HfJobSubmit:
    return e.HfJobSubmit(
        job_id=job_id,
        job_url="",
        flavor="t4-small",
        timeout="1h",
        job_type="python",
        image="",
        namespace="alice",
        push_to_hub=False,
        backend=backend,
        reservation_id=f"call_{job_id}",
        price_usd_per_hour=price,
    )


@pytest.mark.parametrize("how", [{}, {"terminal": True, "columns": 200}, {"json": True}])
async def test_the_end_of_a_run_tells_of_a_job_that_runs_on_and_what_it_may_cost(how: dict[str, Any]) -> None:
    host = FakeHost(plays(done("42")))
    host.state.jobs["j1"] = job("j1")
    host.state.spending.reserved["call_j1"] = (0.4, "hf_jobs")
    result = await headless(host.play, host=host, **how)
    assert "1 job runs on, ≤$0.40 set aside: j1 · /jobs in  ml-intern --resume 01234567  follows and cancels" in result.err


async def test_a_job_without_a_known_price_is_not_said_to_be_free_and_one_of_this_machine_is() -> None:
    host = FakeHost(plays(done("42")))
    host.state.jobs |= {"j1": job("j1", price=None), "j2": job("j2", backend="local")}
    assert "2 jobs run on, at a price that is not known: j1, j2" in (await headless(host.play, host=host)).err
    host = FakeHost(plays(done("42")))
    host.state.jobs["j2"] = job("j2", backend="local")
    assert "1 job runs on: j2 ·" in (await headless(host.play, host=host)).err
