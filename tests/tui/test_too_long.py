"""A message that the model does not take whole is not cut in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.config.settings import Settings
from ml_intern.frontends.tui.composer.shell import ShellResult
from ml_intern.frontends.tui.screens.picker import Picker
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.tui.pilots import until
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import FakeHost, started

LONG = "What is wrong?\n" + "a line of a log\n" * 2_500


async def quiet(host: FakeHost, operation: op.AnyOperation) -> None:
    """Takes what is sent."""


def in_folder(folder: Path, *events: e.AnyEvent) -> ScriptedHost:
    started_there = e.SessionStarted(session_id=STARTED.session_id, cwd=str(folder), model="fake/model")
    host = scripted(play=quiet, past=(started_there, *events))
    host.context_window = 8_000
    return host


async def test_a_message_that_is_too_long_is_sent_as_a_file_unless_the_user_wants_it_otherwise(tmp_path: Path) -> None:
    host = in_folder(tmp_path)
    async with running(host) as (app, pilot):
        app.composer.put_back(LONG)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
        assert "This message is too long" in text and "about 10k tokens; the model takes 8k" in text
        assert host.operations == []
        await pilot.press("enter")
        await until(pilot, lambda: bool(host.operations))
    (sent,) = host.operations
    assert isinstance(sent, op.UserInput) and "message-1.txt" in sent.text and len(sent.text) < 5_000
    assert (tmp_path / "message-1.txt").read_text() == LONG


@pytest.mark.parametrize("back", [("escape",), ("down", "down", "enter")])
async def test_a_message_that_is_too_long_can_be_taken_back_into_the_composer(tmp_path: Path, back: tuple[str, ...]) -> None:
    host = in_folder(tmp_path)
    async with running(host) as (app, pilot):
        app.composer.put_back(LONG)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press(*back)
        await until(pilot, lambda: bool(app.composer.text))
        assert "[pasted" in app.composer.text  # it is folded
    assert host.operations == []
    assert list(tmp_path.iterdir()) == []


async def test_who_takes_a_message_back_gets_his_own_words_and_the_next_message_tells_what_ran(tmp_path: Path) -> None:
    host = in_folder(tmp_path)
    async with running(host) as (app, pilot):
        app.composer.shell._ran.append(ShellResult("make", "built it", 0, 1.0))  # pyright: ignore[reportPrivateUsage]
        app.composer.put_back(LONG)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("escape")
        await until(pilot, lambda: bool(app.composer.text))
        assert "built it" not in app.composer.text and app.composer.text.startswith("What is wrong?")
        app.composer.text = "short"
        await pilot.press("enter")
        await until(pilot, lambda: bool(host.operations))
    (sent,) = host.operations
    assert isinstance(sent, op.UserInput) and sent.text.count("built it") == 1 and sent.text.endswith("short")


async def test_a_message_that_is_too_long_can_be_sent_anyway(tmp_path: Path) -> None:
    host = in_folder(tmp_path)
    async with running(host) as (app, pilot):
        app.composer.put_back(LONG)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(host.operations))
    assert host.operations == [op.UserInput(text=LONG)]


async def test_what_waits_for_the_end_of_the_turn_is_asked_about_when_it_is_written(tmp_path: Path) -> None:
    host = in_folder(tmp_path, *started())
    async with running(host) as (app, pilot):
        app.composer.put_back(LONG)
        app.composer.action_queue()
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.composer.queue.waiting))
        (waiting,) = app.composer.queue.waiting
        assert "message-1.txt" in waiting


async def test_no_file_is_offered_where_the_model_works_on_another_machine(tmp_path: Path) -> None:
    host = in_folder(tmp_path)
    async with running(host, settings=Settings(tool_runtime="sandbox")) as (app, pilot):
        app.composer.put_back(LONG)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
        assert "Send it anyway" in text and "as a file" not in text
