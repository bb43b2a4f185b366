"""The composer: keys, history, suggestions, pastes, pictures, the draft, shell lines."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import Settings
from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.composer.history import History
from ml_intern.frontends.tui.composer.popup import Popup
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.tui.driven import WatchedApp
from tests.tui.scripted import ScriptedHost, screen_text, scripted, settled
from tests.unit.frontends.fake_host import done, started

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


class Room:
    """A folder, a home, and the app in them."""

    def __init__(self, tmp_path: Path) -> None:
        self.home, self.folder = tmp_path / "home", tmp_path / "shop"
        self.home.mkdir()
        self.folder.mkdir()
        self.environ = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}

    @asynccontextmanager
    async def open(self, host: ScriptedHost) -> AsyncIterator[tuple[TuiApp, Pilot[int]]]:
        async def opening() -> ScriptedHost:
            return host

        loaded = LoadedSettings(settings=Settings(), environ=Environ(self.environ), cwd=self.folder)
        app = WatchedApp(opening, loaded, theme_name=theme.DARK)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(app, pilot, host)
            await finished(app, "composer-load")
            yield app, pilot


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


async def finished(app: TuiApp, *groups: str) -> None:
    """The composer's own workers have ended."""
    if waiting := [worker for worker in app.workers if worker.group in groups and not worker.is_finished]:
        await app.workers.wait_for_complete(waiting)


async def typed(app: TuiApp, pilot: Pilot[int], host: ScriptedHost, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await finished(app, "suggest", "send", "shell", "history")
    await settled(app, pilot, host)


async def paste(app: TuiApp, pilot: Pilot[int], text: str) -> None:
    app.composer.post_message(events.Paste(text))
    await pilot.pause()


def said(host: ScriptedHost) -> list[str]:
    return [each.text for each in host.operations if isinstance(each, op.UserInput)]


async def test_enter_sends_and_every_way_to_a_new_line_does_not(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, "a", "shift+enter", "b", "ctrl+j", "c", "\\", "enter", "d", "enter")
    assert said(host) == ["a\nb\nc\nd"]


async def test_nothing_is_sent_of_white_space(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, "space", "enter")
    assert said(host) == []


async def test_the_history_goes_on_from_session_to_session_and_keeps_what_was_being_written(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"one", "enter", *"two", "enter")
    second = scripted()
    async with room.open(second) as (app, pilot):
        await typed(app, pilot, second, *"new", "up")
        assert app.composer.text == "two"
        await typed(app, pilot, second, "up")
        assert app.composer.text == "one"
        await typed(app, pilot, second, "down", "down")
        assert app.composer.text == "new"


async def test_a_secret_is_not_kept_in_the_history(tmp_path: Path, room: Room) -> None:
    token = "hf_" + "a1B2" * 9
    host = scripted()
    async with room.open(host) as (app, pilot):
        await paste(app, pilot, f"use {token}")
        await typed(app, pilot, host, "enter")
    assert said(host) == [f"use {token}"]
    kept = (room.home / ".local/state/ml-intern/history.jsonl").read_text()
    assert token not in kept and "use " in kept
    assert (room.home / ".local/state/ml-intern/history.jsonl").stat().st_mode & 0o077 == 0


async def test_ctrl_r_finds_by_words(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"train it", "enter", *"test it", "enter")
        await pilot.press("ctrl+r")
        await pilot.pause()
        await typed(app, pilot, host, *"rain", "enter")
        assert app.composer.text == "train it"


async def test_a_long_paste_is_one_mark_and_is_sent_whole(room: Room) -> None:
    long = "\n".join(f"line {n}" for n in range(120))
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"see ")
        await paste(app, pilot, long)
        assert app.composer.text == "see [pasted 120 lines #1] "
        await typed(app, pilot, host, "enter")
    assert said(host) == [f"see {long}"]


async def test_a_slash_offers_commands_by_what_is_meant_and_enter_takes_one(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, "/", *"comp")
        rows = "\n".join(screen_text(app))
        assert "/compact" in rows
        await typed(app, pilot, host, "enter")
        assert op.Compact() in host.operations
        assert not app.query_one(Popup).is_open


async def test_escape_closes_the_suggestions_and_interrupts_nothing(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, "/", "c", "escape")
        assert not app.query_one(Popup).is_open
        assert app.composer.text == "/c"
    assert host.operations == []


async def test_an_at_offers_files_but_neither_ignored_ones_nor_credentials(room: Room) -> None:
    for name in ("train.py", "data/train.csv", "secret.log"):
        (room.folder / name).parent.mkdir(exist_ok=True)
        (room.folder / name).write_text("x")
    (room.folder / ".gitignore").write_text("*.log\n")
    subprocess.run(["git", "init", "-q"], cwd=room.folder, check=True)
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"look at ", "@", *"train")
        offered = "\n".join(screen_text(app))
        assert "train.py" in offered and "data/train.csv" in offered and "secret.log" not in offered
        await typed(app, pilot, host, "tab")
        assert app.composer.text == "look at @train.py "


async def test_a_file_whose_name_has_two_lines_takes_one_row_of_the_list(room: Room) -> None:
    (room.folder / "two\nlines.py").write_text("")
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, "@", *"lines")
        await settled(app, pilot, host)
        assert any("two" in row and "lines.py" in row for row in screen_text(app))


async def test_a_picture_that_is_named_or_dropped_goes_along(room: Room) -> None:
    (room.folder / "plot.png").write_bytes(PNG)
    host = scripted()
    async with room.open(host) as (app, pilot):
        await paste(app, pilot, str(room.folder / "plot.png"))
        assert app.composer.text.startswith("@")
        await typed(app, pilot, host, *"what is it", "enter")
    (message,) = [each for each in host.operations if isinstance(each, op.UserInput)]
    assert [image.media_type for image in message.images] == ["image/png"]


async def test_a_picture_that_is_none_is_told_and_the_text_still_goes(room: Room) -> None:
    (room.folder / "plot.png").write_text("not a picture")
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"see @plot.png", "escape", "enter")
        assert "is no PNG" in "\n".join(screen_text(app))
    assert said(host) == ["see @plot.png"]


async def test_a_draft_survives_and_is_gone_once_it_is_sent(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"half a thought")
        app.composer.save_draft()
        await finished(app, "draft")
    second = scripted()
    async with room.open(second) as (app, pilot):
        assert app.composer.text == "half a thought"
        await typed(app, pilot, second, "enter")
        app.composer.save_draft()
        await finished(app, "draft")
    third = scripted()
    async with room.open(third) as (app, _):
        assert app.composer.text == ""


async def test_what_was_written_in_the_own_editor_is_in_the_composer(room: Room) -> None:
    """Where the terminal cannot be handed over, that is said and nothing is lost."""
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, *"draft", "ctrl+g")
        await finished(app, "composer-dialogue")
        assert app.composer.text == "draft"


def test_a_history_file_of_nonsense_is_an_empty_history(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_bytes(b'\xff\n{}\n"good"\n')
    history = History(file)
    history.load()
    assert history.entries == ("good",)


def test_each_text_is_there_once_at_its_newest_place(tmp_path: Path) -> None:
    history = History(tmp_path / "h")
    for text in ("a", "b", "a"):
        history.add(text)
    assert history.entries == ("b", "a")


async def test_a_key_can_be_another_one(room: Room) -> None:
    host = scripted()
    loaded = LoadedSettings(settings=Settings(keys={"newline": "f5"}), environ=Environ(room.environ), cwd=room.folder)

    async def opening() -> ScriptedHost:
        return host

    app = WatchedApp(opening, loaded, theme_name=theme.DARK)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(app, pilot, host)
        await typed(app, pilot, host, "a", "f5", "b", "enter")
    assert said(host) == ["a\nb"]


async def test_a_message_for_after_the_turn_is_sent_when_it_ends_and_can_be_taken_back(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        host.emit(*started("first"))
        await settled(app, pilot, host)
        await typed(app, pilot, host, *"then", "alt+enter", *"last", "alt+enter")
        assert said(host) == []
        await typed(app, pilot, host, "up")
        assert app.composer.text == "last"
        host.emit(done("ok"))
        await settled(app, pilot, host)
    assert said(host) == ["then"]


async def test_after_an_interrupt_nothing_is_sent_by_itself(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        host.emit(*started("first"))
        await settled(app, pilot, host)
        await typed(app, pilot, host, *"then", "alt+enter")
        host.emit(e.Interrupted())
        await settled(app, pilot, host)
    assert said(host) == []


async def test_ctrl_d_leaves_from_an_empty_composer_and_deletes_in_a_written_one(room: Room) -> None:
    host = scripted()
    async with room.open(host) as (app, pilot):
        await typed(app, pilot, host, "a", "b", "home", "ctrl+d")
        assert app.composer.text == "b"
        await typed(app, pilot, host, "ctrl+d")
        await pilot.press("ctrl+d")
        async with asyncio.timeout(10):
            while not host.closed:
                await asyncio.sleep(0)
