"""Slash commands: how they are found, and those about the conversation itself."""

from __future__ import annotations

import pytest

from ml_intern.frontends.tui.commands.catalog import COMMANDS, find, near
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.display import PlanItem
from tests.tui.pilots import command, running_turn
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import done, reply


def test_every_command_is_there_under_a_name_of_its_own() -> None:
    names = [name for each in COMMANDS for name in (each.name, *each.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("text", "name", "rest"), [("/new", "new", ""), ("/RENAME a b ", "rename", "a b"), ("/exit", "quit", "")])
def test_a_command_is_found_by_name_or_alias_and_keeps_what_stands_behind_it(text: str, name: str, rest: str) -> None:
    found = find(text)
    assert found is not None
    assert (found[0].name, found[1]) == (name, rest)


@pytest.mark.parametrize(("typed", "meant"), [("/udno", "undo"), ("/comp", "compact"), ("/renmae", "rename")])
def test_a_misspelt_command_is_answered_with_what_was_meant(typed: str, meant: str) -> None:
    assert find(typed) is None
    assert near(typed)[0].name == meant


async def test_an_unknown_command_is_not_sent_to_the_model_and_near_misses_are_named() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/udno")
        text = "\n".join(screen_text(app))
    assert "There is no command /udno." in text
    assert "Did you mean /undo?" in text
    assert host.operations == []


async def test_a_path_at_the_beginning_of_a_message_is_no_command() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/data/train.csv is broken")
    assert host.operations == [op.UserInput(text="/data/train.csv is broken")]


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("/new", op.New()),
        ("/clear", op.New(clear_screen=True)),
        ("/undo", op.Undo()),
        ("/compact", op.Compact()),
        ("/fork", op.Fork()),
        ("/rename  A  better\tname ", op.SetTitle(title="A better name")),
    ],
)
async def test_a_command_sends_its_operation(text: str, operation: op.AnyOperation) -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, text)
    assert host.operations == [operation]


@pytest.mark.parametrize("text", ["/quit", "/exit", "quit", "exit"])
async def test_leaving_has_its_old_names(text: str) -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, text)
        await pilot.pause()
    assert host.closed
    assert app.return_code == 0


async def test_compact_works_while_a_turn_runs() -> None:
    host = scripted(past=(STARTED, *running_turn()))
    async with running(host, size=(120, 24)) as (app, pilot):
        await command(app, pilot, host, "/compact")
        assert "the conversation will be summarised before the next step" in "\n".join(screen_text(app)), "the model may hang"
    assert host.operations == [op.Compact()]


@pytest.mark.parametrize(("key", "sent"), [("y", [op.New()]), ("enter", []), ("escape", [])])
async def test_new_asks_before_it_ends_a_turn_that_runs(key: str, sent: list[op.AnyOperation]) -> None:
    host = scripted(past=(STARTED, *running_turn()))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/new")
        assert "A turn is running. Leave it?" in "\n".join(screen_text(app))
        await pilot.press(key)
        await settled(app, pilot, host)
    assert host.operations == sent


async def test_rename_without_a_title_asks_for_one_and_shows_the_old_one() -> None:
    host = scripted(past=(STARTED, e.SessionUpdate(session_id=STARTED.session_id, auto_approval={}, title="Old")))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/rename")
        await pilot.press(*" one", "enter")
        await settled(app, pilot, host)
    assert host.operations == [op.SetTitle(title="one")]


async def test_copy_gives_the_terminal_the_last_answer_or_an_earlier_one() -> None:
    said = (e.UserMessageAdded(content="hi"), reply("first"), done("first"), reply("second **answer**"), done("second"))
    host = scripted(past=(STARTED, *said))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/copy")
        assert app.clipboard == "second **answer**"
        await command(app, pilot, host, "/copy 2")
        assert app.clipboard == "first"
        await command(app, pilot, host, "/copy 3")
        assert "There are only 2 answers" in "\n".join(screen_text(app))


async def test_what_was_undone_is_not_copied() -> None:
    host = scripted(past=(STARTED, e.UserMessageAdded(content="hi"), reply("gone"), done("gone"), e.UndoComplete(cut_seq=2)))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/copy")
        assert app.clipboard == ""
        assert "There is no answer to copy." in "\n".join(screen_text(app))


async def test_plan_shows_the_plan_as_it_stands() -> None:
    plan = (PlanItem(id="1", content="Look at the data", status="completed"), PlanItem(id="2", content="Train", status="pending"))
    host = scripted(past=(STARTED,))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/plan")
        assert "There is no plan" in "\n".join(screen_text(app))
        host.emit(e.PlanUpdate(plan=plan))
        await settled(app, pilot, host)
        await command(app, pilot, host, "/clear")
        await command(app, pilot, host, "/plan")
        assert sum("○ Train" in row for row in screen_text(app)) >= 1


async def test_help_lists_every_command_and_the_keys() -> None:
    # core W5.6: a help that was written by hand told of what was not there
    host = scripted()
    async with running(host, size=(100, 80)) as (app, pilot):
        await command(app, pilot, host, "/help")
        text = "\n".join(screen_text(app))
        await pilot.press("escape")
        await settled(app, pilot, host)
        assert "Commands" not in "\n".join(screen_text(app))
    for each in COMMANDS:
        assert f"/{each.name}" in text
        assert each.summary in text
    assert "Fold or unfold details" in text


async def test_help_on_one_command_tells_when_it_works() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/help new")
        assert "While a turn runs it asks first" in "\n".join(screen_text(app))
