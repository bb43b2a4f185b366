"""How what stands over the conversation looks, and blocks that no other picture shows: also small, light, and without colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from ml_intern.frontends.headless.text import line
from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.blocks.shell import ShellBlock
from ml_intern.frontends.tui.commands.recall import JobRow
from ml_intern.frontends.tui.composer.search import HistorySearch
from ml_intern.frontends.tui.screens.jobs import JobsScreen
from ml_intern.frontends.tui.screens.pager import Pager
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.frontends.tui.screens.questions import AskLine, Confirm
from ml_intern.protocol import events as e
from tests.tui.picker_world import NOON, Desk, model_picker, over, submitted, text_of
from tests.tui.pilots import until
from tests.tui.scripted import STARTED, app_on, scripted, settled
from tests.unit.frontends.fake_host import started

Looks = Callable[..., bool]
SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((40, 12), id="40x12")]


def looks_like(
    snap_compare: Looks, screen: Callable[[], Screen[Any]], wait_for: str, size: tuple[int, int], name: str = theme.DARK
) -> bool:
    async def before(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "fake/model" in text_of(pilot.app))
        await pilot.app.push_screen(screen())
        await until(pilot, lambda: wait_for in text_of(pilot.app))
        await pilot.pause()

    return snap_compare(app_on(scripted(), theme_name=name), terminal_size=size, run_before=before)


def jobs() -> JobsScreen:
    rows = [JobRow(submitted("6a01"), NOON), JobRow(submitted("6a00"), NOON, over("6a00"))]
    return JobsScreen(lambda: rows, Desk(), now=lambda: NOON)


SCREENS: dict[str, tuple[Callable[[], Screen[Any]], str]] = {
    "confirm": (lambda: Confirm("Cancel job 6a01?", "What it has not pushed is lost."), "pushed"),
    "line": (lambda: AskLine("Title", detail="What this session is called.", value="Tune a tokenizer"), "Tune a"),
    "page": (lambda: Pager("Tools", [line(("accent", f"tool {i}"), "  reads a file of the workspace") for i in range(40)]), "tool 3"),
    "list": (lambda: Picker("Go back to", [Choice(value=i, row=line(f"message {i}"), words=str(i)) for i in range(40)]), "message 3"),
    "jobs": (jobs, "far"),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_so(snap_compare: Looks, name: str, size: tuple[int, int]) -> None:
    assert looks_like(snap_compare, *SCREENS[name], size)


@pytest.mark.parametrize("name", ["jobs", "list", "confirm"])
def test_a_screen_in_the_light_theme(snap_compare: Looks, name: str) -> None:
    assert looks_like(snap_compare, *SCREENS[name], (80, 24), theme.LIGHT)


@pytest.mark.parametrize("name", ["jobs", "list"])
def test_a_screen_without_colours(snap_compare: Looks, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert looks_like(snap_compare, *SCREENS[name], (80, 24), theme.ANSI)


def test_the_model_picker_in_forty_columns(snap_compare: Looks) -> None:
    assert looks_like(snap_compare, model_picker, "Kimi", (40, 12))


def of_the_app(
    snap_compare: Looks,
    size: tuple[int, int],
    *past: e.AnyEvent,
    after: Callable[[Any, Pilot[int]], Any],
    live: tuple[e.AnyEvent, ...] = (),
) -> bool:
    host = scripted(past=(STARTED, *past))

    async def before(pilot: Pilot[int]) -> None:
        app: Any = pilot.app
        await settled(app, pilot, host)
        app.query_one("#activity").display = False  # it counts seconds
        await after(app, pilot)
        host.emit(*live)
        await settled(app, pilot, host)

    return snap_compare(app_on(host), terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_the_search_in_the_history(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def search(app: Any, pilot: Pilot[int]) -> None:
        for text in ("Train it on my data", "Look at data.csv, and tell what is wrong with the labels of it", "数据 clean-up"):
            await pilot.press(*text, "enter")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, HistorySearch))

    assert of_the_app(snap_compare, size, after=search)


@pytest.mark.parametrize("size", SIZES)
def test_the_commands_that_are_offered(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def offer(app: Any, pilot: Pilot[int]) -> None:
        await pilot.press(*"/re")
        await until(pilot, lambda: "/resume" in text_of(app))

    assert of_the_app(snap_compare, size, after=offer)


@pytest.mark.parametrize("size", SIZES)
def test_jobs_a_shell_line_and_a_reply_that_is_being_written(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def more(app: Any, pilot: Pilot[int]) -> None:
        block = ShellBlock("git status --short", started_at=0.0)
        block.finish(" M train.py\n?? new.py\n", "", "", duration_s=1.2, good=True)
        app.conversation.add(block)

    past = (submitted("6a00"), over("6a00"), *started("Go on."))
    assert of_the_app(snap_compare, size, *past, after=more, live=(e.AssistantChunk(content="The loss **falls**, and the"),))
