"""A text that was written is not lost: neither by Ctrl-C nor by its length, and what was pasted into it stays apart from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.frontends.tui.composer.history import MAX_CHARS, MAX_STORED_CHARS, History
from ml_intern.frontends.tui.composer.pastes import MOST_TO_EDIT, Pastes
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.tui.pilots import until
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.tui.test_composer import Room, paste, said, typed
from tests.unit.frontends.fake_host import done, started

LONG = "".join(f"{n:>4} a row of a log that somebody pasted, with enough in it\n" for n in range(1, 401))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


async def test_a_long_text_that_ctrl_c_took_is_brought_back_as_the_hint_says(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await paste(app, pilot, LONG)
        await typed(app, pilot, host, *"why?", "ctrl+c")
        assert app.composer.text == "" and "↑ brings it back" in "\n".join(screen_text(app))
        await typed(app, pilot, host, "up")
        assert app.composer.text.startswith("[pasted 400 lines #") and app.composer.text.endswith("]\nwhy?")
        await typed(app, pilot, host, "enter")
    assert said(host) == [f"{LONG}why?"]


async def test_what_ctrl_c_took_is_brought_back_by_undo_with_what_was_pasted(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await paste(app, pilot, LONG)
        await typed(app, pilot, host, *"why?", "ctrl+c", "ctrl+underscore", "enter")
    assert said(host) == [f"{LONG}why?"]


async def test_nothing_is_promised_of_white_space(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, "space", "ctrl+c")
        shown = "\n".join(screen_text(app))
        assert "again leaves" in shown and "brings it back" not in shown


async def test_a_long_text_that_was_sent_is_in_the_history_of_the_next_start(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await paste(app, pilot, LONG)
        await typed(app, pilot, host, *"why?", "enter")
    second = scripted()
    async with room.open(second) as (app, pilot):
        await typed(app, pilot, second, "up")
        assert app.composer.text.endswith("\nwhy?")
        await typed(app, pilot, second, "enter")
    assert said(second) == [f"{LONG}why?"]


async def test_what_was_pasted_is_a_mark_again_in_what_is_recalled_and_the_own_words_are_seen(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"before ")
        await paste(app, pilot, LONG)
        await typed(app, pilot, host, *"after", "enter", "up")
        assert app.composer.text == "before [pasted 400 lines #1]\nafter"
        await typed(app, pilot, host, "enter")
    assert said(host) == [f"before {LONG}after"] * 2


@pytest.mark.parametrize(("end", "between"), [("", " "), ("\n", "")])
def test_a_mark_counts_the_lines_that_there_are_and_has_room_behind_it(end: str, between: str) -> None:
    pastes, text = Pastes(), "\n".join("abc" for _ in range(30)) + end
    mark = pastes.taken(text)
    assert mark == "[pasted 30 lines #1] "
    assert pastes.whole(mark) == text
    assert pastes.whole(f"{mark}why?") == f"{text}{between}why?"


def test_a_huge_text_of_the_history_is_folded_between_its_first_and_its_last_line() -> None:
    pastes = Pastes()
    text = "look at\n" + LONG * (MOST_TO_EDIT // len(LONG) + 1) + "and say why"
    shown = pastes.shown(text)
    assert shown.startswith("look at\n[pasted ") and shown.endswith("]\nand say why")
    assert pastes.whole(shown) == text


def test_the_history_is_bounded_and_its_newest_entry_is_always_there(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    texts = [f"{n} {'x' * (MAX_STORED_CHARS - 10)}" for n in range(MAX_CHARS // MAX_STORED_CHARS + 5)]
    for text in texts:
        history.add(text)
    assert sum(map(len, history.entries)) <= MAX_CHARS and history.entries[-1] == texts[-1]
    history.save()
    history.add("y" * (MAX_CHARS + 1))
    assert history.back("") == "y" * (MAX_CHARS + 1)
    history.save()
    again = History(tmp_path / "history.jsonl")
    again.load()
    assert again.back("") == texts[-1]
    assert (tmp_path / "history.jsonl").stat().st_size <= MAX_CHARS + 1_000


async def test_ctrl_c_clears_the_composer_first_while_a_card_waits_for_the_user() -> None:
    tool = e.PendingTool(tool="bash", tool_call_id="c1", arguments={"command": "make"})
    host = scripted(past=(STARTED, *started(), e.ApprovalRequired(tools=(tool,), count=1)))
    async with running(host, calm_s=1_000.0) as (app, pilot):
        app.composer.focus()
        await pilot.press(*"no", "ctrl+c")
        await settled(app, pilot, host)
        assert app.composer.text == "" and host.operations == []
        assert "brings it back" in "\n".join(screen_text(app))
    host = scripted(past=(STARTED, *started(), e.ApprovalRequired(tools=(tool,), count=1)))
    async with running(host, calm_s=1_000.0) as (app, pilot):
        app.composer.focus()
        await pilot.press("ctrl+c")
        await settled(app, pilot, host)
    assert host.operations == [op.Interrupt()]


async def test_as_long_as_it_says_that_ctrl_c_leaves_it_does_and_no_longer() -> None:
    host = scripted(past=(STARTED, *started(), done("")))
    async with running(host) as (app, pilot):
        app.quit_window_s = 0.05
        await pilot.press("x", "ctrl+c")
        await until(pilot, lambda: "again leaves" not in "\n".join(screen_text(app)))
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert "closing" not in "\n".join(screen_text(app))
        app.quit_window_s = 1_000.0
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_code == 0)


@pytest.mark.parametrize("count", [30, 999, 1_000, 1_234_567])
def test_a_paste_is_whole_again_when_it_is_sent_however_many_lines_it_has(count: int) -> None:
    pastes, text = Pastes(), "x\n" * count
    assert pastes.whole(f"see {pastes.taken(text)}") == f"see {text}"


@pytest.mark.parametrize("pasted_before", [False, True])
def test_a_long_text_that_quotes_a_mark_is_sent_as_it_is(pasted_before: bool) -> None:
    pastes, text = Pastes(), "first\n" + "abc\n" * 15_000 + "it said [pasted 15,000 lines #1]"
    if pasted_before:
        assert "#1]" in pastes.taken("x\n" * 100)
    shown = pastes.shown(text)
    assert len(shown) < 200 and "[pasted 15,000 lines #2]" in shown
    assert pastes.whole(shown) == text
    assert "#3]" in pastes.taken("y\n" * 100)
