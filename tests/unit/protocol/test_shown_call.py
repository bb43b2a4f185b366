"""A yes is to what was shown: what a person decides by, and nothing that changes all the time."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from ml_intern.protocol.display import Text
from ml_intern.protocol.events import PendingTool
from ml_intern.protocol.shown_call import asks_same

JOB = PendingTool(
    tool="hf_jobs",
    arguments={"operation": "run", "script": "print(1)"},
    tool_call_id="c1",
    reason="It costs money.",
    risk=("spends",),
    display=(Text(text="Runs on a10g-small."),),
    remember_rule="hf_jobs(run a10g-small)",
    estimated_cost_usd=1.0,
    remaining_cap_usd=7.5,
)
DECIDED_BY: dict[str, Any] = {
    "tool": "hf_jobs_of_another",
    "arguments": {"operation": "run", "script": "print(2)"},
    "reason": "The rule `hf_jobs` asks.",
    "risk": ("leaves the machine", "spends"),
    "display": (Text(text="Runs on h200."),),
    "recurring": True,
    "remember_rule": "hf_jobs",
    "block_reason": "Estimated cost $1.00 exceeds the remaining cap $0.50.",
    "estimated_cost_usd": 50.0,
}
NOT_DECIDED_BY: dict[str, Any] = {"tool_call_id": "c2", "auto_approval_blocked": True, "remaining_cap_usd": 3.25}


@pytest.mark.parametrize("name", DECIDED_BY)
def test_a_call_of_which_one_thing_that_is_decided_by_differs_asks_for_something_else(name: str) -> None:
    other = structs.replace(JOB, **{name: DECIDED_BY[name]})
    assert not asks_same(JOB, other) and not asks_same(other, JOB)


@pytest.mark.parametrize("name", NOT_DECIDED_BY)
def test_a_call_asks_for_the_same_whatever_is_left_of_the_cap_now(name: str) -> None:
    assert asks_same(JOB, structs.replace(JOB, **{name: NOT_DECIDED_BY[name]}))


def test_each_field_of_a_call_is_decided_by_or_is_not() -> None:
    assert DECIDED_BY.keys() | NOT_DECIDED_BY.keys() == {field.name for field in structs.fields(PendingTool)}
