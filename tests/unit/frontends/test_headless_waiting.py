"""A headless run that somebody elsewhere may answer: it says so, waits, goes on with the answer, and refuses when the time is over."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.unit.frontends.fake_host import FakeHost, Play, done, plays, reply, started
from tests.unit.frontends.headless_run import headless
from tests.unit.frontends.test_headless_run import answers, approval, pending

pytestmark = pytest.mark.timeout(15)
"""A run that waits where it should not waits for ten minutes."""

QUESTION = e.QuestionAsked(question_id="q1", question="Which size?", options=("small", "large"))


def decided(state: str) -> tuple[e.AnyEvent, ...]:
    """Somebody elsewhere decided; the call was answered, and so was the user."""
    finished = e.ToolFinished(tool="bash", tool_call_id="c1", output="x", success=state == "approved")
    return (e.ToolStateChange(tool_call_id="c1", tool="bash", state=state), finished, reply("Done."), done("Done."))


def answering(asked: e.AnyEvent, then: Callable[[FakeHost, op.AnyOperation], Awaitable[None]]) -> Play:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.UserInput):
            host.busy = True
            host.emit(*started(operation.text), asked)
        else:
            await then(host, operation)

    return play


async def test_an_approval_from_elsewhere_is_waited_for() -> None:
    result = await headless(plays(approval(), *decided("approved")), wait_s=600, answered_in="Slack")
    assert result.code == 0 and result.out == "Done.\n"
    assert answers(result.host) == [], "the run itself decides nothing"
    assert "? bash rm -r data" in result.err and "waits for an answer until" in result.err
    assert "in Slack, or with  ml-intern attach 01234567" in result.err


@pytest.mark.parametrize("wait_s", [0, 600])
async def test_what_an_earlier_process_had_asked_and_the_new_message_set_aside_waits_for_nobody(wait_s: float) -> None:
    abandoned = e.ToolStateChange(tool_call_id="c1", tool="bash", state="abandoned")
    finished = e.ToolFinished(tool="bash", tool_call_id="c1", output="Not run.", success=False, error_kind="abandoned")

    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.UserInput):
            host.emit(approval(), abandoned, finished, *started(operation.text), reply("42"), done("42"))

    host = FakeHost(play, set_aside=frozenset({"c1"}))
    result = await headless(play, host=host, resume="last", wait_s=wait_s)
    assert result.code == 0 and answers(host) == []
    assert "waits for an answer" not in result.err and "bash abandoned" in result.err


async def test_a_rejection_from_elsewhere_is_the_exit_code() -> None:
    result = await headless(plays(approval(), *decided("rejected")), wait_s=600)
    assert result.code == 4 and "it was rejected" in result.err and answers(result.host) == []


async def test_when_the_time_is_over_what_is_still_open_is_refused_with_the_reason() -> None:
    async def then(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.ExecApproval):
            host.emit(*decided("rejected"))

    asked = approval(pending(), pending(tool_call_id="c2"))

    async def one_is_decided(host: FakeHost, operation: op.AnyOperation) -> None:
        await answering(asked, then)(host, operation)
        if isinstance(operation, op.UserInput):
            host.emit(e.ToolStateChange(tool_call_id="c2", tool="bash", state="approved"))

    result = await headless(one_is_decided, wait_s=0.05)
    (answer,) = answers(result.host)
    assert (answer.tool_call_id, answer.approved) == ("c1", False)
    assert "nobody answered within" in (answer.feedback or "") and "--wait-for-approval" in (answer.feedback or "")
    assert result.code == 4 and "nobody answered in time" in result.err


async def test_a_question_that_nobody_answers_in_time_is_ended_as_expired() -> None:
    async def then(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.AnswerQuestion):
            host.emit(e.QuestionAnswered(question_id="q1", answer=operation.answer), reply("Done."), done("Done."))

    result = await headless(answering(QUESTION, then), wait_s=0.05)
    assert result.code == 0 and op.AnswerQuestion(question_id="q1", reason="expired") in result.host.operations
    assert "? Which size?" in result.err and "- large" in result.err


async def test_ctrl_c_ends_the_wait() -> None:
    async def then(host: FakeHost, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.Interrupt):
            host.emit(e.Interrupted())
            host.busy = False

    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        await answering(approval(), then)(host, operation)
        if isinstance(operation, op.UserInput):
            os.kill(os.getpid(), signal.SIGINT)

    result = await headless(play, wait_s=600)
    assert result.code == 130 and answers(result.host) == []


async def test_a_usage_warning_waits_for_nobody() -> None:
    asked = approval(pending(tool="usage_threshold"), usage_threshold=True)
    result = await headless(plays(asked, reply("42"), done("42")), wait_s=600)
    assert result.code == 0 and [answer.approved for answer in answers(result.host)] == [True]


@pytest.mark.parametrize("wait_s", [0.0, 600.0])
async def test_json_lines_hold_the_request_whether_it_is_waited_for_or_not(wait_s: float) -> None:
    result = await headless(plays(approval(), *decided("approved")), wait_s=wait_s, json=True)
    assert '"approval_required"' in result.out
    assert ("waits for an answer" in result.err) is (wait_s > 0)
