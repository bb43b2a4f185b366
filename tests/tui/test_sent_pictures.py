"""Pictures that the user sends: shown in the message, and told of when the model does not see them."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image
from textual import events
from textual.pilot import Pilot

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import Settings
from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.blocks.words import UNSEEN
from ml_intern.frontends.tui.composer.images import images_in
from ml_intern.models.sight import sees_images
from ml_intern.protocol import events as e
from ml_intern.protocol import messages as m
from tests.tui.driven import WatchedApp
from tests.tui.pilots import until
from tests.tui.scripted import ScriptedHost, screen_text, scripted, settled
from tests.unit.frontends.fake_host import SESSION, done, started

BLIND, SEEING = "deepseek-ai/DeepSeek-V3.1", "anthropic/claude-opus-4.8"


def png(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), colour).save(out, "PNG")
    return out.getvalue()


def sent(*pictures: bytes, text: str = "what is it") -> tuple[e.AnyEvent, ...]:
    images = tuple(m.Image("image/png", base64.b64encode(data).decode()) for data in pictures)
    return e.UserMessageAdded(content=text, images=images), *started("x")[1:], done("a plot")


def past(model: str, *more: e.AnyEvent) -> tuple[e.AnyEvent, ...]:
    return e.SessionStarted(session_id=SESSION, cwd="/elsewhere", model=model), *more


@asynccontextmanager
async def in_folder(folder: Path, host: ScriptedHost, columns: int = 80) -> AsyncIterator[tuple[TuiApp, Pilot[int]]]:
    async def opening() -> ScriptedHost:
        return host

    loaded = LoadedSettings(settings=Settings(), environ=Environ({"HOME": str(folder)}), cwd=folder)
    app = WatchedApp(opening, loaded, theme_name=theme.DARK)
    async with app.run_test(size=(columns, 40)) as pilot:
        await settled(app, pilot, host)
        yield app, pilot


def on_screen(app: TuiApp, words: str) -> bool:
    return words in "\n".join(screen_text(app))


async def looked(app: TuiApp) -> None:
    """Nobody looks up any more what the model sees."""
    if waiting := [each for each in app.workers if each.group.startswith("sight")]:
        await app.workers.wait_for_complete(waiting)


def squares(app: TuiApp) -> Iterator[str]:
    return (row for row in screen_text(app) if "▀▀▀▀" in row)


@pytest.mark.parametrize("columns", [40, 80])
async def test_a_picture_that_the_model_does_not_see_is_told_where_it_is_attached_and_in_the_message(tmp_path: Path, columns: int) -> None:
    (tmp_path / "plot.png").write_bytes(png())
    host = scripted(*sent(png()), past=past(BLIND))
    async with in_folder(tmp_path, host, columns) as (app, pilot):
        app.composer.post_message(events.Paste(str(tmp_path / "plot.png")))
        await until(pilot, lambda: on_screen(app, UNSEEN))
        await pilot.press("enter")
        await until(pilot, lambda: on_screen(app, f"  {UNSEEN}"))
        assert not on_screen(app, f"\n {UNSEEN}")


async def test_no_word_of_sight_where_the_picture_is_taken_out_again_or_the_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(png())
    host = scripted(past=past(BLIND))
    async with in_folder(tmp_path, host) as (app, pilot):
        app.composer.insert("@plot.png")
        await until(pilot, lambda: on_screen(app, UNSEEN))
        app.composer.clear()
        await until(pilot, lambda: not on_screen(app, UNSEEN))
        app.composer.insert("@missing.png and @~nobody-here/x.png")
        await pilot.pause()
        await looked(app)
        assert not on_screen(app, UNSEEN)
    assert images_in("@~nobody-here/x.png", tmp_path) == ((), ("~nobody-here/x.png cannot be read: No such file or directory.",))


async def test_a_message_says_so_as_long_as_the_model_is_one_that_sees_nothing(tmp_path: Path) -> None:
    host = scripted(past=past(BLIND, *sent(png())))
    async with in_folder(tmp_path, host) as (app, pilot):
        await until(pilot, lambda: on_screen(app, UNSEEN))
        host.emit(e.ModelSwitched(model=SEEING, previous=BLIND))
        await until(pilot, lambda: not on_screen(app, UNSEEN))
        host.emit(e.ModelSwitched(model=BLIND, previous=SEEING))
        await until(pilot, lambda: on_screen(app, UNSEEN))


async def test_a_model_that_sees_and_one_that_is_not_known_are_not_complained_of(tmp_path: Path) -> None:
    for model in (SEEING, "nonsense", ""):
        host = scripted(past=past(model, *sent(png())))
        async with in_folder(tmp_path, host) as (app, pilot):
            await until(pilot, lambda: any(squares(app)))
            await looked(app)
            assert not on_screen(app, UNSEEN)


async def test_the_pictures_of_a_message_are_shown_in_it_from_what_the_log_holds(tmp_path: Path) -> None:
    host = scripted(past=past(SEEING, *sent(png(), png("blue"))))
    async with in_folder(tmp_path, host) as (app, pilot):
        await until(pilot, lambda: on_screen(app, "  image 1 · 40 × 20 pixels") and on_screen(app, "  image 2 · 40 × 20 pixels"))
        assert len(list(squares(app))) == 2 * 10


async def test_a_picture_that_the_log_holds_and_nobody_can_read_says_why(tmp_path: Path) -> None:
    broken = e.UserMessageAdded(content="see", images=(m.Image("image/png", "no base64 at all"),))
    host = scripted(past=past(SEEING, broken, *sent(png()[:30])))
    async with in_folder(tmp_path, host) as (app, pilot):
        await until(pilot, lambda: "\n".join(screen_text(app)).count("image · it is damaged") == 2)


def test_what_a_catalogue_says_of_sight_goes_before_what_the_name_tells(tmp_path: Path) -> None:
    listed = '{"data":[{"id":"a/dark-vl","architecture":{"input_modalities":["text"]},"providers":[]},{"id":"a/mute-vl","providers":[]}]}'
    (tmp_path / "router-models.json").write_text(listed)
    told = [sees_images(name, Settings(), Environ({}), tmp_path) for name in ("a/dark-vl", "a/mute-vl", "a/other", "nonsense")]
    assert told == [False, True, False, None]
