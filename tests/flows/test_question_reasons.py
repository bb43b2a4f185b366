"""A question that goes away says why: in the log, and to the model."""

from __future__ import annotations

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.question_events import NoAnswer
from ml_intern.tools.ask_user import AskUserTool

from .conftest import MakeWorld
from .support import ASKS, Echo, FakePort, World, call

ASK = call("ask_user", '{"question":"Which?"}')


async def _asked(w: World) -> str:
    await w.session.submit(op.UserInput(text="go"))
    return (await w.until(e.QuestionAsked)).question_id


@pytest.mark.parametrize(
    ("reason", "told"),
    [("declined", "The user read the question and declined"), ("nobody", "Nobody is there"), ("expired", "Nobody answered in the time")],
)
async def test_the_log_and_the_model_are_told_why_there_is_no_answer(world: MakeWorld, reason: NoAnswer, told: str) -> None:
    w = await world([ASK], "done", tools=[AskUserTool()])
    await w.session.submit(op.AnswerQuestion(question_id=await _asked(w), reason=reason, sent_by="process 7"))
    await w.turn_end()
    (ended,) = w.of(e.QuestionAnswered)
    assert (ended.reason, ended.sent_by) == (reason, "process 7")
    assert w.of(e.ToolFinished)[0].output.startswith(told)


async def test_an_answer_is_no_refusal_whatever_reason_came_with_it(world: MakeWorld) -> None:
    w = await world([ASK], "done", tools=[AskUserTool()])
    await w.session.submit(op.AnswerQuestion(question_id=await _asked(w), answer="b", reason="expired"))
    await w.turn_end()
    assert w.of(e.QuestionAnswered)[0].reason == "answered" and w.of(e.ToolFinished)[0].output == "The user answered: b"


async def test_a_question_that_the_user_wrote_past_was_set_aside(world: MakeWorld) -> None:
    w = await world([ASK], "done", tools=[AskUserTool()])
    await _asked(w)
    await w.session.submit(op.UserInput(text="stop that"))
    await w.turn_end()
    assert w.of(e.QuestionAnswered)[0].reason == "set_aside"
    assert "wrote something else" in w.of(e.ToolFinished)[0].output


async def test_a_question_in_an_interrupted_turn_was_interrupted(world: MakeWorld) -> None:
    w = await world([ASK], tools=[AskUserTool()])
    await _asked(w)
    await w.session.submit(op.Interrupt())
    await w.until(e.Interrupted)
    assert [ended.reason for ended in w.of(e.QuestionAnswered)] == ["interrupted"] and w.state.questions == {}


async def test_a_question_of_a_process_that_died_waits_no_longer_beside_an_approval_that_does(world: MakeWorld) -> None:
    w = await world([ASK, call("echo")], tools=[AskUserTool(), Echo(risk=ASKS)])
    await w.session.submit(op.UserInput(text="go"))
    await w.until(e.QuestionAsked)
    await w.until(e.ApprovalRequired)
    await w.store.release("s1")  # as kill -9 leaves it
    again = await world(port=FakePort(), store=w.store, tools=[AskUserTool(), Echo(risk=ASKS)])
    assert (await again.until(e.QuestionAnswered)).reason == "interrupted"
    assert again.state.questions == {} and again.state.pending
    await again.session.submit(op.Interrupt())
    await again.until(e.Interrupted)


async def test_a_call_that_nobody_could_approve_is_not_said_to_be_the_users_rejection(world: MakeWorld) -> None:
    w = await world([call("echo")], "done", tools=[Echo(risk=ASKS)])
    await w.session.submit(op.UserInput(text="go"))
    asked = await w.until(e.ApprovalRequired)
    no = op.ApprovalAnswer(tool_call_id=asked.tools[0].tool_call_id, approved=False, feedback="Nobody can.", reason="nobody")
    await w.session.submit(op.ExecApproval(approvals=(no,)))
    await w.turn_end()
    assert w.of(e.ToolFinished)[0].output == "Nobody decided; the call was not run. Nobody can."
    assert w.of(e.ToolStateChange)[0].reason == "nobody"


def test_an_older_log_still_tells_what_came_of_a_question() -> None:
    assert e.QuestionAnswered(question_id="q", answer="a").outcome_words == "answered"
    assert e.QuestionAnswered(question_id="q", answer=None).outcome_words == "not answered"
