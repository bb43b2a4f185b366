"""The search in the history says what it is, which keys it has, and that nothing fits."""

from __future__ import annotations

from ml_intern.config.settings import Settings
from ml_intern.frontends.tui.composer.search import HistorySearch
from tests.tui.pilots import until
from tests.tui.scripted import running, screen_text, scripted, settled


async def test_the_search_in_the_history_has_a_title_its_keys_and_says_when_nothing_fits() -> None:
    host = scripted()
    async with running(host, settings=Settings(keys={"search_history": "f7"})) as (app, pilot):
        for word in ("first", "second"):
            await pilot.press(*word, "enter")
            await settled(app, pilot, host)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, HistorySearch))
        await pilot.pause()
        text = "\n".join(screen_text(app))
        assert "What you sent before" in text and "↑↓ F7 move · Enter take · Esc leave" in text and "Nothing" not in text
        await pilot.press(*"third")
        await pilot.pause()
        assert "Nothing fits 'third'." in "\n".join(screen_text(app))
        await pilot.press(*("backspace",) * 5, "f7", "enter")
        await until(pilot, lambda: not isinstance(app.screen, HistorySearch))
        await pilot.pause()
        assert app.composer.text == "first"


async def test_a_history_that_is_empty_says_so() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "Nothing was sent yet." in "\n".join(screen_text(app)))
