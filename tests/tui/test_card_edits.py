"""An edit of a call: its main text and all its other arguments, priced anew, and nothing of it lost by a mistake."""

from __future__ import annotations

import json

from msgspec import structs

from ml_intern.frontends.tui.cards.approval import ApprovalCard
from ml_intern.protocol import events as e
from tests.tui.picker_world import text_of
from tests.tui.scripted import STARTED, running, scripted, settled
from tests.tui.test_approvals import SCRIPT, asked, decided, pending
from tests.unit.frontends.fake_host import started

ARGUMENTS = {"operation": "run", "script": SCRIPT, "hardware_flavor": "a100x8", "timeout": "8h", "dependencies": ["trl"]}


async def test_a_key_shows_the_other_arguments_of_a_job_and_the_script_keeps_its_text() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending(arguments=ARGUMENTS))))
    async with running(host, size=(120, 40)) as (app, pilot):
        await pilot.press("f2", "e", *"#1", "enter")
        assert "Ctrl-T the other arguments" in text_of(app)
        await pilot.press("ctrl+t")
        await settled(app, pilot, host)
        shown = text_of(app)
        assert '"hardware_flavor": "a100x8"' in shown and '"timeout": "8h"' in shown and "Ctrl-T script" in shown
        area = app.query_one(ApprovalCard).field
        assert area is not None and "#1" not in area.text  # type: ignore[attr-defined]
        area.text = json.dumps({"operation": "run", "hardware_flavor": "t4-small", "timeout": "1h"})  # type: ignore[attr-defined]
        await pilot.press("ctrl+t")
        await settled(app, pilot, host)
        assert "#1" in text_of(app)
        await pilot.press("ctrl+s")
        await settled(app, pilot, host)
    expected = {"operation": "run", "script": "#1\n" + SCRIPT, "hardware_flavor": "t4-small", "timeout": "1h"}
    assert decided(host)[0].arguments == expected


async def test_a_mistake_in_the_other_arguments_is_shown_where_it_is_and_nothing_is_lost() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending(arguments=ARGUMENTS))))
    async with running(host, size=(120, 40)) as (app, pilot):
        await pilot.press("f2", "e", *"#1", "ctrl+t", *"x", "ctrl+t", "ctrl+s")
        await settled(app, pilot, host)
        assert decided(host) == []
        assert "That is no JSON object" in text_of(app) and "x{" in text_of(app)
        await pilot.press("backspace", "delete", *"{", "ctrl+t")
        await settled(app, pilot, host)
        assert "#1import torch" in text_of(app)


async def test_an_edit_that_the_session_refuses_stays_in_the_card_with_the_reason() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending(arguments=ARGUMENTS))))
    async with running(host, size=(120, 40)) as (app, pilot):
        await pilot.press("f2", "e", *"#1", "ctrl+s")
        host.emit(e.ErrorRaised(error="The user's edit does not fit hf_jobs: no field 'tiemout'.", kind="x", ends_turn=False))
        await settled(app, pilot, host)
        assert "no field 'tiemout'. Ctrl-S approves, Esc goes back." in text_of(app) and "#1import torch" in text_of(app)
        await pilot.press("ctrl+s")
        await settled(app, pilot, host)
    assert len(decided(host)) == 2


async def test_an_edit_that_costs_more_shows_its_new_price_and_waits_for_another_yes() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending(arguments=ARGUMENTS))))
    async with running(host, size=(120, 40), calm_s=0.0) as (app, pilot):
        await pilot.press("f2", "e", *"#1", "ctrl+s")
        await settled(app, pilot, host)
        dearer = structs.replace(pending(arguments=decided(host)[0].arguments, display=()), estimated_cost_usd=20.0)
        host.emit(e.ToolStateChange(tool_call_id="c1", tool="hf_jobs", state="changed", arguments=dearer.arguments), asked(dearer))
        await settled(app, pilot, host)
        assert "at most $20.00" in text_of(app)
        await pilot.press("f2", "y")
        await settled(app, pilot, host)
    assert [answer.arguments is None for answer in decided(host)] == [False, True]


async def test_ctrl_g_on_a_card_that_waits_opens_the_editor_for_what_e_would_edit() -> None:
    """Where the terminal cannot be handed over, that is said in the card, which is as it is after ``e``."""
    host = scripted(past=(STARTED, *started(), asked(pending(arguments=ARGUMENTS))))
    async with running(host, size=(120, 40), calm_s=0.0) as (app, pilot):
        await pilot.press("f2")
        assert "e edit, Ctrl-G in your editor" in text_of(app)
        await pilot.press("ctrl+g")
        await settled(app, pilot, host)
        assert "cannot be handed to an editor" in text_of(app)
        area = app.query_one(ApprovalCard).field
        assert area is not None and area.has_focus and area.text == SCRIPT  # type: ignore[attr-defined]
        await pilot.press(*"#1", "ctrl+s")
        await settled(app, pilot, host)
    assert [(answer.approved, answer.arguments and answer.arguments["script"]) for answer in decided(host)] == [(True, "#1" + SCRIPT)]


async def test_ctrl_g_while_a_card_asks_once_more_takes_that_back_and_opens_nothing() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending(arguments=ARGUMENTS))))
    async with running(host, size=(120, 40), calm_s=0.0) as (app, pilot):
        await pilot.press("f2", "A")
        await settled(app, pilot, host)
        assert "without asking" in text_of(app)
        await pilot.press("ctrl+g")
        await settled(app, pilot, host)
        card = app.query_one(ApprovalCard)
        assert "without asking" not in text_of(app) and card.field is None and card.has_focus
    assert decided(host) == []


async def test_ctrl_g_while_the_reason_for_a_no_is_written_leaves_those_words_alone() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending(arguments=ARGUMENTS))))
    async with running(host, size=(120, 40), calm_s=0.0) as (app, pilot):
        await pilot.press("f2", "n", *"late", "ctrl+g", *"r", "enter")
        await settled(app, pilot, host)
    assert [(answer.approved, answer.feedback) for answer in decided(host)] == [(False, "later")]
