"""Where the user looks while things come: what was sent is seen, and what is not seen is told of."""

from __future__ import annotations

from typing import Any

import pytest

from ml_intern.config.settings import Settings
from ml_intern.protocol import events as e
from tests.tui.pilots import command, until
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import done, reply, started


def long_past(*answers: e.AnyEvent) -> ScriptedHost:
    past = tuple(event for i in range(40) for event in (*started(f"question {i}"), reply(f"answer {i}"), done("")))
    return scripted(*answers, past=(STARTED, *past))


def shown(app: Any) -> str:
    return "\n".join(screen_text(app))


async def test_a_message_that_is_sent_while_scrolled_up_is_seen_with_its_answer() -> None:
    host = long_past(*started("and now"), reply("this is new"), done(""))
    async with running(host) as (app, pilot):
        await pilot.press("pageup", "pageup", "pageup", *"hi", "enter")
        await settled(app, pilot, host)
        assert "this is new" in shown(app)
        assert "below" not in shown(app)


async def test_what_a_command_says_while_scrolled_up_is_seen() -> None:
    host = long_past()
    async with running(host) as (app, pilot):
        await pilot.press("pageup", "pageup", "pageup")
        await command(app, pilot, host, "/effort nonsense")
        assert app.conversation.following and "nonsense" in shown(app)


async def test_a_shell_line_that_is_run_while_scrolled_up_is_seen() -> None:
    host = long_past()
    async with running(host, environ={"PATH": "/usr/bin:/bin"}) as (app, pilot):
        await pilot.press("pageup", "pageup", "!", *"echo", "enter")
        await until(pilot, lambda: app.conversation.following)


@pytest.mark.parametrize("key", ["end", "ctrl+end"])
async def test_while_scrolled_up_one_row_says_what_is_below_and_the_key_that_goes_there(key: str) -> None:
    host = long_past()
    async with running(host) as (app, pilot):
        assert "below" not in shown(app)
        await pilot.press("pageup", "pageup", "pageup")
        await settled(app, pilot, host)
        assert " ↓ more below · End" in screen_text(app)
        host.emit(*started("the newest"), reply("answer 40"))
        await settled(app, pilot, host)
        assert " ↓ new below · End" in screen_text(app)
        assert "answer 40" not in shown(app)
        await pilot.press(key)
        await settled(app, pilot, host)
        assert "answer 40" in shown(app) and "below" not in shown(app)


async def test_the_key_for_the_end_is_the_texts_own_until_the_cursor_stands_there() -> None:
    host = long_past()
    async with running(host) as (app, pilot):
        await pilot.press("pageup", "pageup", *"ab", "left", "left", "end")
        assert app.composer.cursor_location == (0, 2) and not app.conversation.following
        await pilot.press("end")
        assert app.conversation.following and app.composer.text == "ab"


async def test_the_row_names_the_users_own_key_for_the_end() -> None:
    host = long_past()
    async with running(host, settings=Settings(keys={"to_end": "f8"})) as (app, pilot):
        await pilot.press("pageup", "pageup")
        await settled(app, pilot, host)
        assert " ↓ more below · F8" in screen_text(app)
        await pilot.press("f8")
        await settled(app, pilot, host)
        assert app.conversation.following


async def test_the_row_goes_when_the_user_has_scrolled_to_the_end_or_clicks_on_it() -> None:
    host = long_past()
    async with running(host) as (app, pilot):
        await pilot.press("pageup", "pagedown", "pagedown")
        await settled(app, pilot, host)
        assert app.conversation.following and "below" not in shown(app)
        await pilot.press("pageup")
        await settled(app, pilot, host)
        await pilot.click("#below")
        await settled(app, pilot, host)
        assert app.conversation.following and "below" not in shown(app)
