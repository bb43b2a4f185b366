"""Who has the keys while cards come and go: nothing is decided by accident, and no key is lost."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Input

from ml_intern.config.settings import Settings
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.cards.card import Card
from ml_intern.frontends.tui.cards.dock import CardDock
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.tui.pilots import until
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled
from tests.tui.test_approvals import asked, decided, pending
from tests.unit.frontends.fake_host import started

NEVER_CALM_S, ALWAYS_CALM_S = 1e6, 0.0


def approved(*keys: str, sent_by: str = "") -> tuple[e.AnyEvent, ...]:
    return tuple(e.ToolStateChange(tool_call_id=key, tool="hf_jobs", state="approved", sent_by=sent_by) for key in keys)


def waiting(count: int) -> ScriptedHost:
    return scripted(past=(STARTED, *started(), asked(*(pending(f"c{place}") for place in range(1, count + 1)))))


def shown(app: TuiApp) -> str:
    return "\n".join(screen_text(app))


async def hears_keys(app: TuiApp, pilot: Any, host: ScriptedHost) -> None:
    """Letters arrive in the composer, and Ctrl-C interrupts the turn, or clears them when none runs."""
    await pilot.press("o", "k")
    assert app.focused is app.composer
    assert app.composer.text == "ok"
    await pilot.press("ctrl+c")
    await settled(app, pilot, host)
    assert app.composer.text == "" or isinstance(host.operations[-1], op.Interrupt)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("key", ["a", "A"])
@pytest.mark.parametrize("together", [True, False])
async def test_when_all_cards_are_approved_at_one_key_the_app_still_hears(count: int, key: str, together: bool) -> None:
    host = waiting(count)
    names = [f"c{place}" for place in range(1, count + 1)]
    async with running(host, calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2", key, "enter")
        await settled(app, pilot, host)
        assert [answer.tool_call_id for answer in decided(host)] == names
        if together:
            host.emit(*approved(*names))
        else:
            for name in names:
                host.emit(*approved(name))
                await settled(app, pilot, host)
        await settled(app, pilot, host)
        await hears_keys(app, pilot, host)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("end", ["one by one", "all at once", "interrupted"])
async def test_when_cards_are_decided_elsewhere_the_app_still_hears(count: int, end: str) -> None:
    host = waiting(count)
    names = [f"c{place}" for place in range(1, count + 1)]
    async with running(host) as (app, pilot):
        await pilot.press("f2")
        if end == "interrupted":
            host.emit(e.Interrupted())
        elif end == "all at once":
            host.emit(*approved(*names, sent_by="process 7"))
        else:
            for name in names:
                host.emit(*approved(name, sent_by="process 7"))
                await settled(app, pilot, host)
        await settled(app, pilot, host)
        await hears_keys(app, pilot, host)


async def test_a_widget_that_is_removed_with_the_focus_takes_no_keys_with_it() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        field = Input()
        await app.screen.mount(field)
        app.screen.set_focus(field)
        await field.remove()
        app.screen.focused = field  # what a focus that was set too late leaves behind
        await hears_keys(app, pilot, host)


async def test_a_card_that_is_asked_again_keeps_the_keys() -> None:
    """As after a restart: the session asks again for what waits."""
    host = waiting(1)
    async with running(host) as (app, pilot):
        await pilot.press("f2")
        host.emit(asked(pending("c1")))
        await settled(app, pilot, host)
        await pilot.press("y")
        await settled(app, pilot, host)
    assert [answer.tool_call_id for answer in decided(host)] == ["c1"]


async def test_after_a_restart_the_card_takes_the_keys_when_nobody_types() -> None:
    host = waiting(1)
    async with running(host, calm_s=ALWAYS_CALM_S) as (app, pilot):
        host.emit(asked(pending("c1")))
        await until(pilot, lambda: isinstance(app.focused, Card) and app.focused.is_attached)
        await pilot.press("y")
        await settled(app, pilot, host)
    assert [answer.tool_call_id for answer in decided(host)] == ["c1"]


async def test_a_call_that_is_asked_again_and_is_another_one_does_not_take_the_key_that_was_meant_for_the_first() -> None:
    host = waiting(1)
    async with running(host, calm_s=NEVER_CALM_S) as (app, pilot):
        await pilot.press("f2")
        host.emit(asked(pending("c1", arguments={"command": "another"})))
        await settled(app, pilot, host)
        await pilot.press("y")
        await settled(app, pilot, host)
        assert decided(host) == []


async def test_what_is_being_typed_as_a_card_comes_goes_to_the_composer_and_approves_nothing() -> None:
    host = scripted(past=(STARTED, *started()))
    async with running(host, calm_s=NEVER_CALM_S) as (app, pilot):
        host.emit(asked(pending()))
        await settled(app, pilot, host)
        await pilot.press(*"please wait")
        assert app.composer.text == "please wait"
        assert "F2 decides it" in shown(app)
    assert decided(host) == []


async def test_the_next_card_does_not_take_the_key_that_was_meant_for_the_last() -> None:
    host = waiting(2)
    async with running(host, calm_s=NEVER_CALM_S) as (app, pilot):
        await pilot.press("f2", "y")
        host.emit(*approved("c1"))
        await settled(app, pilot, host)
        await pilot.press("y")
        await settled(app, pilot, host)
        assert [answer.tool_call_id for answer in decided(host)] == ["c1"]
        assert "This is the next card" in shown(app)
        await pilot.press("f2", "y")
        await settled(app, pilot, host)
    assert [answer.tool_call_id for answer in decided(host)] == ["c1", "c2"]


async def test_a_key_that_is_held_down_or_pressed_again_and_again_decides_one_card() -> None:
    host = waiting(2)
    async with running(host, size=(120, 40), calm_s=10.0) as (app, pilot):
        await pilot.press("f2", "y")
        host.emit(*approved("c1"))
        await settled(app, pilot, host)
        card = app.focused
        assert isinstance(card, Card)
        began = card.calm_from - 10.0
        for late_s in (0.0, 9.0, 18.0, 27.0):  # each nine seconds after the one before
            await press_at(app, pilot, host, began + late_s)
        assert [answer.tool_call_id for answer in decided(host)] == ["c1"] and "This is the next card" in shown(app)
        await press_at(app, pilot, host, began + 38.0)
    assert [answer.tool_call_id for answer in decided(host)] == ["c1", "c2"]


@pytest.mark.parametrize("key", ["f5", "ctrl+y"])
async def test_a_key_of_the_users_own_that_is_held_down_approves_one_card_of_six(key: str) -> None:
    host = waiting(6)
    async with running(host, settings=Settings(keys={"approve": key}), calm_s=NEVER_CALM_S) as (app, pilot):
        await pilot.press("f2")
        for _ in range(6):
            await pilot.press(key)
            await settled(app, pilot, host)
            host.emit(*approved(*(answer.tool_call_id for answer in decided(host))))
            await settled(app, pilot, host)
        assert [answer.tool_call_id for answer in decided(host)] == ["c1"] and "This is the next card" in shown(app)
        await pilot.press("down", "pageup", "f2", key)  # who comes to it anew has seen it
        await settled(app, pilot, host)
    assert [answer.tool_call_id for answer in decided(host)] == ["c1", "c2"]


async def test_a_key_of_the_users_own_for_all_cards_asks_once_more_however_long_it_is_held() -> None:
    host = waiting(6)
    async with running(host, settings=Settings(keys={"approve_all": "f5"}), calm_s=NEVER_CALM_S) as (app, pilot):
        await pilot.press("f2", "f5", "f5", "f5")
        await settled(app, pilot, host)
    assert decided(host) == []


@pytest.mark.parametrize("once_more", ["p", "A"])
async def test_a_key_of_the_users_own_takes_back_what_is_asked_once_more_and_approves_nothing(once_more: str) -> None:
    host = waiting(2)
    async with running(host, settings=Settings(keys={"approve": "f5"}), calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2", once_more, "f5")
        await settled(app, pilot, host)
        assert "Enter yes" not in shown(app)
    assert decided(host) == []


@pytest.mark.parametrize("field", ["n", "e"])
async def test_a_key_of_the_users_own_does_not_approve_a_call_beside_the_words_that_are_written_about_it(field: str) -> None:
    host = waiting(1)
    async with running(host, settings=Settings(keys={"approve": "f5", "approve_rest": "f6"}), calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2", field, "x", "f5", "f6", "enter")
        await settled(app, pilot, host)
    assert not any(answer.approved for answer in decided(host))


async def press_at(app: TuiApp, pilot: Any, host: ScriptedHost, time: float) -> None:
    """``y``, at a time of the event loop."""
    event = key_event("y")
    event.time = time
    app.post_message(event)
    await settled(app, pilot, host)


@pytest.mark.parametrize("key", ["f2", "escape", "tab"])
async def test_a_key_that_goes_somewhere_takes_back_what_is_asked_once_more_and_one_sees_it(key: str) -> None:
    host = waiting(1)
    async with running(host, size=(100, 30), calm_s=NEVER_CALM_S) as (app, pilot):
        await pilot.press("f2", "p", "enter")
        await settled(app, pilot, host)
        assert "read it, then press Enter" in shown(app)
        await pilot.press(key)
        await settled(app, pilot, host)
        assert "Enter" not in shown(app) and "y approve" in shown(app)
        await pilot.press("enter")
        await settled(app, pilot, host)
    assert decided(host) == []


async def test_a_second_key_for_a_card_that_is_decided_already_is_not_sent() -> None:
    host = waiting(1)
    async with running(host) as (app, pilot):
        await pilot.press("f2", "y", "y", "y")
        await settled(app, pilot, host)
        assert [answer.tool_call_id for answer in decided(host)] == ["c1"]
        host.emit(e.ErrorRaised(error="It was not taken.", ends_turn=False))
        await settled(app, pilot, host)
        await pilot.press("y")
        await settled(app, pilot, host)
    assert len(decided(host)) == 2


@pytest.mark.parametrize("key", ["s", "p", "A"])
@pytest.mark.parametrize("no", ["escape", "down", "pageup"])
async def test_what_lasts_longer_than_the_call_is_asked_once_more_and_only_enter_is_a_yes(key: str, no: str) -> None:
    host = waiting(1)
    async with running(host, size=(100, 30), calm_s=ALWAYS_CALM_S) as (app, pilot):
        await pilot.press("f2", key)
        await settled(app, pilot, host)
        assert "Enter yes · Esc no" in shown(app)
        await pilot.press(no, "enter")
        await settled(app, pilot, host)
        assert "Enter yes" not in shown(app)
        assert isinstance(app.focused, Card)
    assert host.operations == []


async def test_a_no_that_is_typed_fast_with_its_words_decides_nothing_else() -> None:
    """All keys are on their way before the first is done."""
    host = waiting(1)
    async with running(host) as (app, pilot):
        await pilot.press("f2")
        for key in ("n", "y", "a", "backspace", "e", "s", "enter"):
            app.post_message(key_event(key))
        await pilot.pause()
        await settled(app, pilot, host)
    assert decided(host) == [op.ApprovalAnswer(tool_call_id="c1", approved=False, feedback="yes")]


async def test_a_burst_of_keys_takes_effect_in_the_order_in_which_it_was_typed() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        for key in ("a", "b", "c", "backspace", "backspace", "d", "left", "left", "e", "home", "f", "end", "g"):
            app.post_message(key_event(key))
        await pilot.pause()
        assert app.composer.text == "feadg"


async def test_a_question_that_is_left_with_an_interrupt_was_answered_nowhere() -> None:
    host = scripted(past=(STARTED, *started()))
    async with running(host) as (app, pilot):
        host.emit(e.QuestionAsked(question_id="q1", question="Which?"))
        await settled(app, pilot, host)
        host.emit(e.QuestionAnswered(question_id="q1", answer=None), e.Interrupted())
        await settled(app, pilot, host)
        assert "elsewhere" not in shown(app)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 15), (40, 10)])
@pytest.mark.parametrize("key", ["", "e", "n", "p"])
async def test_the_keys_the_title_and_the_status_bar_are_seen_on_every_terminal(size: tuple[int, int], key: str) -> None:
    long = "\n".join(f"print({number})" for number in range(200))
    tool = pending(arguments={"operation": "run", "script": long}, display=())
    other = pending("c2", tool="bash", arguments={"command": "ls"}, display=())
    host = scripted(past=(STARTED, *started(), asked(tool, other)))
    async with running(host, size=size) as (app, pilot):
        await pilot.press("f2", *key)
        await settled(app, pilot, host)
        text = shown(app)
    assert "Esc" in text.replace("Esc interrupts", "") and "hf_jobs run" in text and "$0.00 · ask" in text.split("\n")[-1]
    assert "1 more waiting (Tab): bash" in text or size == (40, 10)
    if not key:
        assert ("more lines ↓ PgDn" if size[0] > 50 else "more lines ↓") in text
    if key == "e":
        assert "print(0)" in text


async def test_controls_and_invisible_characters_are_shown_on_the_card_and_left_out_of_what_is_edited() -> None:
    command = "echo hello \x1b]; rm -rf ~/data; echo \x07\u202e\u200b"
    host = scripted(past=(STARTED, *started(), asked(pending(tool="bash", arguments={"command": command}, display=()))))
    async with running(host, size=(100, 30)) as (app, pilot):
        text = shown(app)
        assert "␛]; rm -rf ~/data; echo ␇<U+202E><U+200B>" in text
        assert "4 invisible characters are shown" in text
        await pilot.press("f2", "e", "ctrl+s")
        await settled(app, pilot, host)
    assert decided(host)[0].arguments == {"command": "echo hello ]; rm -rf ~/data; echo "}


async def test_only_one_card_is_seen_and_tab_goes_to_the_next() -> None:
    host = waiting(3)
    async with running(host) as (app, pilot):
        assert app.query_one(CardDock).waiting == 3
        assert "2 more waiting (Tab): " in shown(app)
        await pilot.press("f2", "tab")
        await settled(app, pilot, host)
        assert "[2/3]" in shown(app) and "[1/3]" not in shown(app)


def key_event(key: str) -> Any:
    from textual import events

    return events.Key(key, key if len(key) == 1 else None)


async def test_what_escape_does_is_said_once_and_for_the_place_that_has_the_keys() -> None:
    host = waiting(1)
    async with running(host, calm_s=NEVER_CALM_S) as (app, pilot):
        assert "Esc interrupts" in shown(app)
        await pilot.press("f2")
        app.query_one("#activity").refresh()
        await settled(app, pilot, host)
        assert "Esc interrupts" not in shown(app) and "Esc back" in shown(app)


async def test_ctrl_c_clears_the_composer_and_up_brings_the_text_back() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await pilot.press(*"a text", "ctrl+c")
        assert app.composer.text == "" and "brings it back" in shown(app)
        assert host.operations == []
        await pilot.press("up")
        assert app.composer.text == "a text"


async def test_while_a_turn_runs_ctrl_c_interrupts_it_and_leaves_the_text() -> None:
    host = scripted(past=(STARTED, *started()))
    async with running(host) as (app, pilot):
        await pilot.press(*"a text", "ctrl+c")
        await settled(app, pilot, host)
        assert app.composer.text == "a text"
    assert isinstance(host.operations[-1], op.Interrupt)


@pytest.mark.parametrize("one", ["👩‍👩‍👧", "🇩🇪", "e\u0301", "क्षि"])
async def test_the_cursor_and_backspace_and_delete_take_a_whole_character_in_the_composer_and_in_a_card(one: str) -> None:
    host = waiting(1)
    keys = (*f"a{one}{one}b", "left", "left", "backspace", "c", "delete", "right", "d")
    async with running(host) as (app, pilot):
        for key in keys:
            app.post_message(key_event(key))
        await pilot.pause()
        assert app.composer.text == "acbd"
        await pilot.press("f2", "n")
        for key in keys:
            app.post_message(key_event(key))
        await pilot.pause()
        assert app.query_one(Card).words.value == "acbd"


async def test_enter_sends_what_was_typed_and_not_what_was_offered_for_less_of_it() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await pilot.press("/")
        await until(pilot, lambda: "/help" in shown(app))
        for key in (*"undo", "enter"):
            app.post_message(key_event(key))
        await settled(app, pilot, host)
        assert app.composer.text == ""
    assert isinstance(host.operations[-1], op.Undo)
