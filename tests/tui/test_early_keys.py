"""What is typed while the app starts."""

from __future__ import annotations

from pathlib import Path

from textual.events import Key, Paste
from textual.widgets import Input

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import Settings
from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.backend import Backend
from ml_intern.frontends.tui.screens.questions import AskLine
from ml_intern.protocol import operations as op
from tests.tui.pilots import until
from tests.tui.scripted import running, scripted, settled


class TypedWhileStarting(TuiApp):
    """Two letters that the terminal had before there was a composer, and Enter just when the app is about to take those."""

    async def on_mount(self) -> None:  # Textual calls the base class's too
        for letter in "hi":
            await self.on_event(Key(letter, letter))

    def _start(self) -> None:
        self.post_message(Key("enter", None))
        super()._start()


async def test_what_is_typed_while_the_app_starts_keeps_its_order() -> None:
    host = scripted()

    async def opening() -> Backend:
        return host

    app = TypedWhileStarting(opening, LoadedSettings(settings=Settings(), environ=Environ({}), cwd=Path("/home/shop")))
    async with app.run_test() as pilot:
        await settled(app, pilot, host)
        assert host.operations == [op.UserInput(text="hi")]


async def test_what_is_typed_while_a_screen_opens_goes_to_it_in_order() -> None:
    host, taken = scripted(), list[str | None]()
    async with running(host) as (app, pilot):
        app.push_screen(AskLine("Which?"), taken.append)
        for event in (Key("t", "t"), Paste("hr"), Key("e", "e"), Key("e", "e"), Key("enter", None)):
            app.post_message(event)
        await until(pilot, lambda: bool(taken))
        assert taken == ["three"]
        assert not app.composer.text


async def test_one_key_that_comes_while_a_screen_opens_is_not_kept_for_the_next_one() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        asked = AskLine("Which?")
        app.push_screen(asked)
        app.post_message(Key("t", "t"))
        await until(pilot, lambda: bool(asked.query("Input")) and asked.query_one(Input).value == "t")


class Watched(TuiApp):
    """Two letters that the terminal had before there was a composer, and what the composer showed when the screen was last drawn."""

    drawn = ""

    async def on_mount(self) -> None:
        for letter in "hi":
            await self.on_event(Key(letter, letter))

    def post_display_hook(self) -> None:
        super().post_display_hook()
        self.drawn = "".join(strip.text for strip in self.composer.render_lines(self.composer.outer_size.region))


async def test_what_was_typed_is_drawn_before_the_session_is_opened_which_takes_longer() -> None:
    host = scripted()
    drawn: list[str] = []

    async def opening() -> Backend:
        drawn.append(app.drawn)
        return host

    app = Watched(opening, LoadedSettings(settings=Settings(), environ=Environ({}), cwd=Path("/home/shop")))
    async with app.run_test() as pilot:
        await settled(app, pilot, host)
    assert len(drawn) == 1
    assert "hi" in drawn[0]


async def test_the_start_lays_the_screen_out_without_a_list_of_suggestions_until_there_are_some() -> None:
    host = scripted()

    async def opening() -> Backend:
        return host

    app = TuiApp(opening, LoadedSettings(settings=Settings(), environ=Environ({}), cwd=Path("/home/shop")))
    async with app.run_test() as pilot:
        await settled(app, pilot, host)
        assert not app.query("Popup")
        await pilot.press("/")
        await until(pilot, lambda: bool(app.query("Popup.-open")))
        await pilot.press("escape")
        await until(pilot, lambda: not app.query("Popup.-open"))


async def test_the_greeting_is_made_once_for_all_rows_that_are_drawn() -> None:
    host, made = scripted(), list[int]()

    async def opening() -> Backend:
        return host

    def greeting(columns: int, height: int) -> list[Line]:
        made.append(height)
        return [line("Good day"), line("to you")]

    app = TuiApp(opening, LoadedSettings(settings=Settings(), environ=Environ({}), cwd=Path("/home/shop")))
    async with app.run_test() as pilot:
        await settled(app, pilot, host)
        app.conversation.greeting = greeting
        made.clear()
        drawn = app.conversation.render_lines(app.conversation.size.region)
        assert len(made) == 1
        assert len(drawn) == app.conversation.size.height
        assert [strip.text.strip() for strip in drawn[:3]] == ["Good day", "to you", ""]
        assert app.conversation.render_line(1).text == drawn[1].text
