"""What is typed for the composer while a card has the keys goes to the composer, and decides nothing."""

from __future__ import annotations

from typing import Any

import pytest
from textual.events import Paste

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.tui.scripted import STARTED, running, scripted, settled
from tests.tui.test_approvals import asked, decided, pending
from tests.tui.test_card_keys import ALWAYS_CALM_S, NEVER_CALM_S, key_event, shown, waiting
from tests.unit.frontends.fake_host import started


def texts(host: Any) -> list[str]:
    return [each.text for each in host.operations if isinstance(each, op.UserInput)]


@pytest.mark.parametrize("text", ["/jobs", "/hooks", "/yolo", "/permissions", "!pytest -sy", "@notes", " yes", "ok, say yes", "more"])
@pytest.mark.parametrize("calm_s", [ALWAYS_CALM_S, NEVER_CALM_S])
async def test_a_text_that_begins_with_no_key_of_the_card_is_written_in_the_composer(text: str, calm_s: float) -> None:
    host = waiting(1)
    async with running(host, calm_s=calm_s) as (app, pilot):
        await pilot.press("f2", *(key if key != " " else "space" for key in text))
        await settled(app, pilot, host)
        assert app.composer.text == text and app.composer.has_focus
    assert decided(host) == []


async def test_keys_that_are_all_on_their_way_are_written_and_sent_in_their_order() -> None:
    host = waiting(1)
    async with running(host, calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2")
        for key in (*"ok,yesa", "backspace", "enter"):
            app.post_message(key_event(key))
        await settled(app, pilot, host)
        assert app.composer.text == ""
    assert decided(host) == [] and texts(host) == ["ok,yes"]


async def test_what_is_pasted_is_text() -> None:
    host = waiting(1)
    async with running(host) as (app, pilot):
        await pilot.press("f2")
        app.post_message(Paste("yes\ny"))
        await settled(app, pilot, host)
        assert app.composer.text == "yes\ny"
    assert decided(host) == []


@pytest.mark.parametrize("key", ["s", "p", "A"])
async def test_a_text_that_begins_with_a_letter_that_asks_once_more_keeps_it_and_enter_sends_the_text(key: str) -> None:
    host = waiting(1)
    async with running(host, calm_s=NEVER_CALM_S) as (app, pilot):
        await pilot.press("f2", key, "y", "e", "enter")
        await settled(app, pilot, host)
    assert decided(host) == [] and texts(host) == [f"{key}ye"]


async def test_a_letter_takes_back_what_was_asked_a_while_ago_and_begins_a_text() -> None:
    host = waiting(1)
    async with running(host, calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2", "s", "y")
        await settled(app, pilot, host)
        assert app.composer.text == "y" and "Enter yes" not in shown(app)
        await pilot.press("backspace", "f2", "enter")
        await settled(app, pilot, host)
    assert host.operations == []


@pytest.mark.parametrize("key", ["s", "p", "a", "A"])
async def test_an_enter_that_comes_at_once_answers_nothing_and_one_after_a_calm_moment_does(key: str) -> None:
    host = waiting(2)
    async with running(host, size=(120, 40), calm_s=10.0) as (app, pilot):
        await pilot.press("f2", key, "enter", "enter")
        await settled(app, pilot, host)
        assert host.operations == [] and "read it, then press Enter" in shown(app)
        late = key_event("enter")
        late.time += 21.0
        app.post_message(late)
        await settled(app, pilot, host)
    assert [answer.tool_call_id for answer in decided(host)] == (["c1"] if key in "sp" else ["c1", "c2"])


async def test_a_key_for_what_the_call_cannot_have_is_text() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending(remember_rule=""))))
    async with running(host) as (app, pilot):
        for key in ("s", "p", "a"):
            await pilot.press("f2", key)
        assert app.composer.text == "spa"
        host.emit(e.QuestionAsked(question_id="q1", question="Which?", options=("this", "that")))
        await settled(app, pilot, host)
        await pilot.press("f2", "tab", "3")
        assert app.composer.text == "spa3"
    assert host.operations == []


async def test_the_composer_says_who_has_the_keys() -> None:
    host = waiting(1)
    async with running(host, calm_s=NEVER_CALM_S) as (app, pilot):
        assert "Describe a task" in shown(app)
        await pilot.press("f2")
        await settled(app, pilot, host)
        assert "Esc: write here" in shown(app) and "Describe a task" not in shown(app)
        await pilot.press("escape")
        await settled(app, pilot, host)
        assert "Describe a task" in shown(app)
