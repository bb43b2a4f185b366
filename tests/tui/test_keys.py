"""Keys that have no test of their own elsewhere: each does what the help, or the line below the screen, says of it."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import OptionList

from ml_intern.frontends.headless.text import line
from ml_intern.frontends.tui.cards.card import Card
from ml_intern.frontends.tui.composer.popup import Popup
from ml_intern.frontends.tui.composer.search import HistorySearch
from ml_intern.frontends.tui.screens.lines_view import LinesView
from ml_intern.frontends.tui.screens.pager import Pager
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.frontends.tui.screens.questions import AskLine, Confirm
from ml_intern.frontends.tui.screens.rewind import RewindConfirm
from ml_intern.frontends.tui.screens.sessions import SessionPicker
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.display import Text
from tests.tui.picker_world import PLAN, Desk, asked, shown, submitted, text_of
from tests.tui.pilots import command, until
from tests.tui.scripted import STARTED, running, scripted, settled
from tests.unit.frontends.fake_host import done, started

# ── cards ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", range(1, 10))
async def test_a_number_chooses_that_option_of_a_question(number: int) -> None:
    options = tuple(f"option {i}" for i in range(1, 11))
    host = scripted(past=(STARTED, *started(), e.QuestionAsked(question_id="q1", question="Which?", options=options)))
    async with running(host, size=(80, 40), calm_s=0.0) as (app, pilot):
        await pilot.press("f2", str(number))
        await settled(app, pilot, host)
    assert [each.answer for each in host.operations if isinstance(each, op.AnswerQuestion)] == [f"option {number}"]


@pytest.mark.parametrize(("count", "keys"), [(2, "1-2 choose"), (1, "1 choose"), (12, "1-9 choose")])
async def test_a_question_names_the_numbers_that_there_are(count: int, keys: str) -> None:
    options = tuple(f"option {i}" for i in range(1, count + 1))
    host = scripted(past=(STARTED, *started(), e.QuestionAsked(question_id="q1", question="Which?", options=options)))
    async with running(host, size=(80, 40)) as (app, pilot):
        await pilot.press("f2")
        assert keys in text_of(app)


async def test_enter_on_a_question_opens_the_line_for_an_answer_in_words() -> None:
    host = scripted(past=(STARTED, *started(), e.QuestionAsked(question_id="q1", question="Which?", options=("a", "b"))))
    async with running(host, size=(80, 40), calm_s=0.0) as (app, pilot):
        await pilot.press("f2", "enter", *"both", "enter")
        await settled(app, pilot, host)
    assert [each.answer for each in host.operations if isinstance(each, op.AnswerQuestion)] == ["both"]


@pytest.mark.parametrize(("keys", "top"), [(("down",), 1), (("down", "down", "up"), 1), (("pagedown",), 10), (("pagedown", "pageup"), 0)])
async def test_a_long_card_is_scrolled_by_rows_and_pages(keys: tuple[str, ...], top: int) -> None:
    script = "\n".join(f"row {i}" for i in range(200))
    tool = e.PendingTool(tool="bash", tool_call_id="c1", arguments={"command": script}, display=(Text(text=script),))
    host = scripted(past=(STARTED, *started(), e.ApprovalRequired(tools=(tool,), count=1)))
    async with running(host) as (app, pilot):
        await pilot.press("f2", *keys)
        await pilot.pause()
        assert app.screen.query_one(Card).scrolled.scroll_y == top


# ── the conversation ─────────────────────────────────────────────────────────────────────────────────────────────────


def _said(*texts: str) -> tuple[e.AnyEvent, ...]:
    return tuple(event for text in texts for event in (*started(f"say {text}"), e.AssistantMessageAdded(content=text), done(text)))


@pytest.mark.parametrize(("moves", "copied"), [(("up",), "two"), (("up", "up", "up", "down", "down"), "two"), (("up", "up"), "say two")])
@pytest.mark.parametrize("key", ["c", "y"])
async def test_the_block_that_was_moved_to_is_copied(moves: tuple[str, ...], key: str, copied: str) -> None:
    host = scripted(past=(STARTED, *_said("one", "two")))
    async with running(host) as (app, pilot):
        app.conversation.focus()
        await pilot.press(*moves, key)
        await pilot.pause()
        assert app.clipboard == copied


@pytest.mark.parametrize("key", ["enter", "space"])
async def test_a_block_is_unfolded_by_either_key(key: str) -> None:
    call = e.ToolCalled(tool="bash", arguments={"command": "seq 9"}, tool_call_id="1")
    output = "\n".join(f"number {i}" for i in range(40))
    host = scripted(past=(STARTED, *started(), call, e.ToolFinished(tool="bash", tool_call_id="1", output=output, success=True)))
    async with running(host, size=(80, 70)) as (app, pilot):
        assert "number 7" not in text_of(app)
        app.conversation.focus()
        await pilot.press("up", key)
        await settled(app, pilot, host)
        assert "number 7" in text_of(app)


async def test_o_opens_the_link_of_the_block() -> None:
    host = scripted(past=(STARTED, *_said("Read https://b.example/two")))
    opened: list[str] = []

    def browser(url: str) -> bool:
        opened.append(url)
        return True

    async with running(host) as (app, pilot):
        app.browser = browser
        app.conversation.focus()
        await pilot.press("up", "o")
        await until(pilot, lambda: bool(opened))
    assert opened == ["https://b.example/two"]


# ── the composer ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["ctrl+underscore", "ctrl+shift+minus"])
async def test_what_was_written_is_undone_by_the_keys_that_terminals_send_for_ctrl_minus(key: str) -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await pilot.press(*"word", "ctrl+u")
        assert app.composer.text == ""
        await pilot.press(key)
        assert app.composer.text == "word"


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        (("enter",), "third"),
        (("down", "enter"), "second"),
        (("ctrl+r", "ctrl+r", "enter"), "first"),
        (("down", "down", "up", "enter"), "second"),
        (("escape",), "kept"),
    ],
)
async def test_the_search_in_the_history_moves_takes_and_goes_back(keys: tuple[str, ...], taken: str) -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        for word in ("first", "second", "third"):
            await pilot.press(*word, "enter")
            await settled(app, pilot, host)
        await pilot.press(*"kept", "ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, HistorySearch))
        await pilot.press(*("backspace",) * 4, *keys)
        await until(pilot, lambda: not isinstance(app.screen, HistorySearch))
        await pilot.pause()
        assert app.composer.text == taken


# ── screens ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "top"),
    [
        (("j", "j", "k"), lambda view: 1),
        (("space",), lambda view: view.size.height),
        (("space", "space", "b"), lambda view: view.size.height),
        (("G",), lambda view: view.max_scroll_y),
        (("G", "g"), lambda view: 0),
    ],
    ids=["row", "page", "page-back", "end", "begin"],
)
async def test_a_page_is_scrolled_by_the_keys_of_a_pager(keys: tuple[str, ...], top: Any) -> None:
    async with running(scripted()) as (app, pilot):
        await asked(app, Pager("Long", [line(f"row {i}") for i in range(500)]))
        await shown(app, pilot, "row 3")
        view = app.screen.query_one(LinesView)
        await pilot.press(*keys)
        await until(pilot, lambda: view.scroll_y == top(view))


@pytest.mark.parametrize("copies", ["c", "y"])
@pytest.mark.parametrize("closes", ["q", "escape"])
async def test_a_page_is_copied_and_closed(copies: str, closes: str) -> None:
    async with running(scripted()) as (app, pilot):
        answer = await asked(app, Pager("Page", [line("row 1"), line("row 2")]))
        await shown(app, pilot, "row 2")
        await pilot.press(copies, closes)
        await answer
    assert app.clipboard == "row 1\nrow 2"


@pytest.mark.parametrize(
    ("keys", "place"),
    [(("down", "down", "up"), 1), (("ctrl+n", "ctrl+n", "ctrl+p"), 1), (("pagedown",), 12), (("pagedown", "pageup"), 0)],
)
async def test_the_cursor_of_a_list_moves_by_rows_and_pages_while_one_types(keys: tuple[str, ...], place: int) -> None:
    choices = [Choice(value=i, row=line(f"number {i}"), words=f"number {i}") for i in range(100)]
    async with running(scripted()) as (app, pilot):
        await asked(app, Picker("Numbers", choices))
        await shown(app, pilot, "number 3")
        listed = app.screen.query_one(OptionList)
        await pilot.press(*keys)
        assert listed.highlighted == (listed.size.height if place == 12 else place)


@pytest.mark.parametrize(("key", "said"), [("y", True), ("n", False), ("escape", False), ("enter", False)])
async def test_only_y_is_a_yes(key: str, said: bool) -> None:
    async with running(scripted()) as (app, pilot):
        answer = await asked(app, Confirm("Sure?", "It cannot be taken back."))
        await shown(app, pilot, "Sure?")
        await pilot.press(key)
        assert bool(await answer) is said


async def test_a_line_that_is_asked_for_is_left_with_escape_and_nothing_is_taken() -> None:
    async with running(scripted()) as (app, pilot):
        answer = await asked(app, AskLine("Title"))
        await shown(app, pilot, "Title")
        await pilot.press(*"half", "escape")
        assert await answer == ""


@pytest.mark.parametrize("key", ["n", "escape", "enter"])
async def test_a_rewind_is_left_by_every_key_but_its_own_two(key: str) -> None:
    async with running(scripted()) as (app, pilot):
        answer = await asked(app, RewindConfirm(PLAN, "Now train on it"))
        await shown(app, pilot, "y takes that back")
        await pilot.press(key)
        assert await answer is None


# ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["q", "escape"])
async def test_the_jobs_are_closed_by_either_key(key: str) -> None:
    host = scripted(past=(STARTED, submitted("run1")))
    host.jobs = Desk()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/jobs")
        await shown(app, pilot, "run1")
        await pilot.press(key)
        await until(pilot, lambda: "Enter log" not in text_of(app))


async def test_o_opens_the_page_of_the_job_and_r_looks_for_others_again() -> None:
    class CountingDesk(Desk):
        looked = 0

        async def others(self) -> Any:
            self.looked += 1
            return await super().others()

    host = scripted(past=(STARTED, submitted("run1")))
    host.jobs = desk = CountingDesk()
    opened: list[str] = []
    async with running(host) as (app, pilot):
        app.browser = lambda url: bool(opened.append(url)) or True
        await command(app, pilot, host, "/jobs")
        await shown(app, pilot, "far")
        before = desk.looked
        await pilot.press("r")
        await until(pilot, lambda: desk.looked > before)
        await pilot.press("o")
        await until(pilot, lambda: bool(opened))
    assert opened == ["https://hub/jobs/run1"]


# ── everywhere ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_page_down_goes_on_to_the_end_again() -> None:
    host = scripted(past=(STARTED, *_said(*(f"answer {i}" for i in range(60)))))
    async with running(host) as (app, pilot):
        await pilot.press("pageup", "pageup")
        await pilot.pause()
        assert "answer 59" not in text_of(app)
        await pilot.press("pagedown", "pagedown", "pagedown")
        await pilot.pause()
        assert "answer 59" in text_of(app)


async def test_ctrl_d_leaves_from_the_conversation_too() -> None:
    host = scripted(past=(STARTED, *_said("one")))
    async with running(host) as (app, pilot):
        app.conversation.focus()
        await pilot.press("ctrl+d")
        await until(pilot, lambda: not app.is_running)
    assert host.closed


WAITS = (*started(), e.ApprovalRequired(tools=(e.PendingTool(tool="bash", arguments={"command": "ls"}, tool_call_id="c1"),), count=1))


@pytest.mark.parametrize("past", [started(), WAITS], ids=["a turn runs", "a card waits"])
@pytest.mark.parametrize("place", ["composer", "conversation"])
async def test_ctrl_d_leaves_at_the_second_time_where_something_runs_or_waits(past: tuple[e.AnyEvent, ...], place: str) -> None:
    host = scripted(past=(STARTED, *past))
    async with running(host) as (app, pilot):
        (app.composer if place == "composer" else app.conversation).focus()
        await pilot.press("ctrl+d")
        await pilot.pause()
        assert app.is_running and not host.closed
        host.emit(e.ToolCalled(tool="read", arguments={"path": "x"}, tool_call_id="c9"))
        await settled(app, pilot, host)
        assert "Ctrl-D again leaves" in text_of(app), "it is said as long as it holds, whatever happens"
        await pilot.press("ctrl+d")
        await until(pilot, lambda: not app.is_running)
    assert host.closed


async def test_ctrl_c_is_no_second_ctrl_d() -> None:
    host = scripted(past=(STARTED, *started()))
    async with running(host) as (app, pilot):
        await pilot.press("ctrl+d", "ctrl+c")
        await settled(app, pilot, host)
        assert app.is_running and not host.closed


async def test_the_app_can_begin_with_a_command() -> None:
    host = scripted(past=(STARTED,))
    async with running(host, first="/resume") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, SessionPicker))


@pytest.mark.parametrize(("keys", "text"), [(("down",), 1), (("down", "down", "up"), 1), ((), 0)])
async def test_the_arrows_choose_among_the_commands_that_are_offered(keys: tuple[str, ...], text: int) -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await pilot.press("/", "c")
        popup = app.screen.query_one(Popup)
        await until(pilot, lambda: popup.chosen is not None and app.composer.text == "/c")
        await pilot.pause()
        offered = [row.split()[0] for row in text_of(app).splitlines() if row.strip().startswith("/c")]
        await pilot.press(*keys, "tab")
        await pilot.pause()
        assert app.composer.text.strip() == offered[text]


async def test_ctrl_g_on_a_card_that_is_edited_asks_for_the_editor_and_loses_nothing_where_there_is_none() -> None:
    tool = e.PendingTool(tool="bash", tool_call_id="c1", arguments={"command": "make"}, display=(Text(text="make", language="bash"),))
    host = scripted(past=(STARTED, *started(), e.ApprovalRequired(tools=(tool,), count=1)))
    async with running(host, calm_s=0.0) as (app, pilot):
        await pilot.press("f2", "e", *" x", "ctrl+g")
        await shown(app, pilot, "terminal")
        assert " xmake" in text_of(app)
