from __future__ import annotations

import msgspec
import pytest

from ml_intern.errors import ToolError
from ml_intern.protocol.display import Plan, PlanItem
from ml_intern.protocol.events import PlanUpdate
from ml_intern.tools.ask_user import AskUserArgs, AskUserTool
from ml_intern.tools.base import Effect
from ml_intern.tools.plan import PlanTool
from tests.workspaces import Calls


def _todo(number: int, status: str) -> dict[str, str]:
    return {"id": str(number), "content": f"step {number}", "status": status}


async def test_a_plan_is_announced_shown_and_counted(calls: Calls) -> None:
    tool = PlanTool()
    args = tool.parse_object({"todos": [_todo(1, "completed"), _todo(2, "in_progress"), _todo(3, "pending")]})
    output = await tool.run(args, calls.context)
    items = tuple(PlanItem(id=str(n), content=f"step {n}", status=s) for n, s in ((1, "completed"), (2, "in_progress"), (3, "pending")))
    assert calls.emitted == [PlanUpdate(plan=items)]
    assert output.display == (Plan(items=items),)
    assert output.text == ("Completed:\n  [x] 1. step 1\nIn progress:\n  [~] 2. step 2\nPending:\n  [ ] 3. step 3\n1 of 3 done.")


async def test_an_empty_plan_clears_it(calls: Calls) -> None:
    tool = PlanTool()
    output = await tool.run(tool.parse('{"todos": []}'), calls.context)
    assert (output.text, calls.emitted) == ("The plan is empty.", [PlanUpdate(plan=())])


async def test_two_items_of_one_id_are_refused(calls: Calls) -> None:
    tool = PlanTool()
    with pytest.raises(ToolError, match="Several items have the id 1"):
        await tool.run(tool.parse_object({"todos": [_todo(1, "pending"), _todo(1, "completed")]}), calls.context)
    assert calls.emitted == []


@pytest.mark.parametrize(
    "wrong", ['{"todos": [{"id": "1"}]}', '{"todos": "x"}', "{}", '{"todos": [{"id": "1", "content": "x", "status": "done"}]}']
)
def test_a_plan_of_the_wrong_shape_is_refused(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        PlanTool().parse(wrong)


async def test_the_users_answer_reaches_the_model(calls: Calls) -> None:
    calls.answer = "use fp16"
    output = await AskUserTool().run(AskUserArgs(question="fp16 or fp32?", options=("fp16", "fp32")), calls.context)
    assert output.text == "The user answered: use fp16"
    assert calls.asked == [("fp16 or fp32?", ("fp16", "fp32"))]


async def test_when_nobody_answers_the_model_is_told_to_decide(calls: Calls) -> None:
    calls.reason = "nobody"
    output = await AskUserTool().run(AskUserArgs(question="?"), calls.context)
    assert output.success
    assert output.text.startswith("Nobody is there to answer. Decide yourself")


def test_a_question_is_no_risk_and_waits_without_limit() -> None:
    assert AskUserTool().risk(AskUserArgs(question="?")).effects == {Effect.ASKS_USER}
    assert AskUserTool().timeout_s is None
