"""The app where its session cannot be opened: it says so, keeps what was written, and opens one once something is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from textual.pilot import Pilot

from ml_intern.config.load import load_settings
from ml_intern.errors import ConfigError
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.backend import Backend
from ml_intern.models.catalog import ModelCatalog
from ml_intern.protocol import operations as op
from ml_intern.testing.fake_hub.server import FakeHub
from tests.tui.driven import WatchedApp
from tests.tui.pilots import until
from tests.tui.scripted import ScriptedHost, screen_text, scripted, settled

NOBODY = "http://127.0.0.1:9"
_LOCAL = ("OLLAMA_BASE_URL", "VLLM_BASE_URL", "LMSTUDIO_BASE_URL", "LLAMACPP_BASE_URL")


@asynccontextmanager
async def without_a_model(home: Path, **variables: str) -> AsyncIterator[tuple[TuiApp, Pilot[int], ScriptedHost]]:
    """Opens as the real one does: by the model that the settings and keys of that moment lead to."""
    host = scripted()
    environ = {"HOME": str(home), "NO_PROXY": "127.0.0.1", **dict.fromkeys(_LOCAL, NOBODY), **variables}

    async def opening() -> Backend:
        catalog = ModelCatalog(app.loaded.settings, app.loaded.environ, cache_dir=app.loaded.paths.cache_dir)
        try:
            catalog.check(await catalog.default_model())
        finally:
            await catalog.aclose()
        return host

    app = WatchedApp(opening, load_settings(frontend="cli", cwd=home, environ=environ))
    async with app.run_test(size=(110, 30)) as pilot:
        await until(pilot, lambda: app.unopened is not None)
        await pilot.pause()
        yield app, pilot, host


def text_of(app: TuiApp) -> str:
    return "\n".join(screen_text(app))


async def test_what_is_missing_is_said_and_what_is_sent_stays_in_the_composer(home: Path) -> None:
    async with without_a_model(home) as (app, pilot, host):
        text = text_of(app)
        assert "There is no model" in text and "ml-intern setup" in text and "/setup" in text
        assert "no model" in screen_text(app)[-1] and "starting" not in screen_text(app)[-1]
        await pilot.press(*"hello", "enter")
        await until(pilot, lambda: "Not sent" in text_of(app))
        assert app.composer.text == "hello" and host.operations == []
        app.composer.clear()
        await pilot.press(*"/status", "enter")
        await until(pilot, lambda: "There is no session: " in text_of(app))


async def test_what_was_sent_before_it_was_known_comes_back(home: Path) -> None:
    async def opening() -> Backend:
        app.send(op.UserInput(text="early"))
        raise ConfigError("No.", hint="Mend it.")

    app = WatchedApp(opening, load_settings(frontend="cli", cwd=home, environ={"HOME": str(home)}))
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.composer.text == "early")


async def test_a_model_that_is_chosen_opens_the_session_without_a_restart(home: Path) -> None:
    async with without_a_model(home) as (app, pilot, host):
        app.send(op.SwitchModel(model="ollama/qwen3"))
        await settled(app, pilot, host)
        assert app.unopened is None and "fake/model" in screen_text(app)[-1]
        app.send(op.UserInput(text="hello"))
        await pilot.pause()
        assert host.operations == [op.UserInput(text="hello")]


async def test_a_token_given_in_the_app_is_not_shown_is_kept_and_opens_the_session(home: Path) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    try:
        async with FakeHub() as hub, without_a_model(home, HF_ENDPOINT=hub.url) as (app, pilot, host):
            await pilot.press(*"/setup", "enter")
            await until(pilot, lambda: "A token or a key for models" in text_of(app))
            await pilot.press(*FakeHub.TOKEN)
            await pilot.pause()
            assert FakeHub.TOKEN not in text_of(app)
            await pilot.press("enter")
            await settled(app, pilot, host)
            assert "Hello alice." in text_of(app) and "fake/model" in screen_text(app)[-1]
        assert (home / ".config" / "ml-intern" / "hf_token").read_text().strip() == FakeHub.TOKEN
        kept = [path.read_text() for path in (home / ".local" / "state").rglob("*") if path.is_file()]
        assert not any(FakeHub.TOKEN in text for text in kept)
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize("word", ["dark", "auto", "light"])
async def test_where_no_colours_are_wanted_the_terminals_own_are_used(home: Path, word: str) -> None:
    from ml_intern.config.environ import Environ
    from ml_intern.frontends.tui import theme

    assert theme.chosen(word, Environ({"NO_COLOR": "1"})) == theme.ANSI


async def test_a_draft_is_kept_without_the_secrets_that_were_pasted_into_it(home: Path) -> None:
    async with without_a_model(home, OPENAI_API_KEY="", MY_API_KEY="not-of-a-known-shape") as (app, pilot, _):
        app.composer.text = "use not-of-a-known-shape here"
        await pilot.pause()
    kept = [path.read_text() for path in (home / ".local" / "state").rglob("*.txt")]
    assert kept and "not-of-a-known-shape" not in kept[0] and kept[0].startswith("use ")


async def test_without_colours_the_row_that_is_chosen_is_still_seen_and_nothing_is_painted(home: Path) -> None:
    environ = {"HOME": str(home), "NO_COLOR": "1"}

    async def opening() -> Backend:
        raise ConfigError("No.")

    app = WatchedApp(opening, load_settings(frontend="cli", cwd=home, environ=environ))
    async with app.run_test() as pilot:
        await pilot.press(*"/mo")
        await until(pilot, lambda: "Choose the model" in text_of(app))
        segments = [segment for strip in app.screen._compositor.render_strips() for segment in strip]
        assert any("/model" in segment.text and segment.style is not None and segment.style.underline for segment in segments)
        painted = {segment.style.bgcolor.triplet for segment in segments if segment.style is not None and segment.style.bgcolor is not None}
        assert painted <= {None}, "only the terminal's own background"
