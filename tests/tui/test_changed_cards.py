"""A call that is asked again as something else is another card: what was under the finger for the one decides nothing of the other."""

from __future__ import annotations

from typing import Any

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol.display import Text
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled
from tests.tui.test_approvals import asked, decided, pending
from tests.unit.frontends.fake_host import started

NEVER_CALM_S, ALWAYS_CALM_S = 1e6, 0.0


def waiting() -> ScriptedHost:
    return scripted(past=(STARTED, *started(), asked(pending())))


@pytest.mark.parametrize(
    "changed",
    [
        {"estimated_cost_usd": 500.0},
        {"risk": ("leaves the machine", "recurring", "spends")},
        {"display": (Text(text="Runs on 8 h200."),)},
        {"remember_rule": "hf_jobs"},
        {"block_reason": "Estimated cost $2.00 exceeds the remaining cap $1.00."},
    ],
)
async def test_a_card_that_changes_under_the_finger_takes_no_key_before_it_was_looked_at(changed: dict[str, Any]) -> None:
    host = waiting()
    async with running(host, size=(100, 40), calm_s=NEVER_CALM_S) as (app, pilot):
        await pilot.press("f2")
        host.emit(asked(pending(**changed)))
        await settled(app, pilot, host)
        await pilot.press("y")
        await settled(app, pilot, host)
        assert decided(host) == [] and "It has changed: look at it, then press the key again." in "\n".join(screen_text(app))
        await pilot.press("f2", "y")  # who comes to it anew has seen it
        await settled(app, pilot, host)
    assert [answer.approved for answer in decided(host)] == [True]


async def test_a_card_that_is_asked_again_as_it_was_keeps_its_keys_whatever_is_left_of_the_cap() -> None:
    host = waiting()
    async with running(host, calm_s=NEVER_CALM_S) as (app, pilot):
        await pilot.press("f2")
        host.emit(asked(pending(remaining_cap_usd=3.0)))
        await settled(app, pilot, host)
        await pilot.press("y")
        await settled(app, pilot, host)
    assert len(decided(host)) == 1


async def test_a_yes_that_the_change_overtook_is_given_once_more() -> None:
    host = waiting()
    async with running(host, calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2", "y")
        await settled(app, pilot, host)
        host.emit(asked(pending(estimated_cost_usd=500.0)))
        await settled(app, pilot, host)
        await pilot.press("f2", "y")
        await settled(app, pilot, host)
    assert len(decided(host)) == 2


async def test_a_no_to_what_has_changed_since_holds_and_is_not_called_anothers() -> None:
    host = waiting()
    async with running(host, calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2", "n", "enter")
        await settled(app, pilot, host)
        host.emit(asked(pending(estimated_cost_usd=500.0)), e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state="rejected"))
        await settled(app, pilot, host)
        assert "elsewhere" not in "\n".join(screen_text(app))
    assert [answer.approved for answer in decided(host)] == [False]


@pytest.mark.parametrize("other", [pending("c2", estimated_cost_usd=500.0), pending("c3")])
async def test_a_yes_to_all_that_wait_is_asked_anew_when_one_of_them_changes_or_comes(other: e.PendingTool) -> None:
    host = scripted(past=(STARTED, *started(), asked(pending("c1"), pending("c2"))))
    async with running(host, size=(100, 40), calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2", "a")
        await settled(app, pilot, host)
        assert "Approve all 2 that wait" in "\n".join(screen_text(app))
        host.emit(asked(other))
        await settled(app, pilot, host)
        assert "Approve all" not in "\n".join(screen_text(app))
        await pilot.press("enter")
        await settled(app, pilot, host)
    assert decided(host) == []
