"""The line of keys below every screen over the conversation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

from ml_intern.frontends.headless.text import line
from ml_intern.frontends.tui.composer.history import History
from ml_intern.frontends.tui.composer.search import HistorySearch
from ml_intern.frontends.tui.screens.frame import FramedScreen
from ml_intern.frontends.tui.screens.jobs import JobsScreen
from ml_intern.frontends.tui.screens.models import ModelPicker
from ml_intern.frontends.tui.screens.pager import Pager
from ml_intern.frontends.tui.screens.picker import Choice, Picker
from ml_intern.frontends.tui.screens.questions import AskLine, Confirm
from ml_intern.frontends.tui.screens.rewind import RewindConfirm
from ml_intern.frontends.tui.theme import DARK, LIGHT, THEMES
from tests.tui.picker_world import PLAN
from tests.tui.scripted import running, screen_text, scripted


async def nothing(_: str) -> str:
    return ""


SCREENS: dict[str, Callable[[], Screen[Any]]] = {
    "pager": lambda: Pager("A page", [line("a row")]),
    "picker": lambda: Picker("Choose", [Choice(value="a", row=line("a"), words="a")]),
    "models": lambda: ModelPicker("fake/model", [], nothing, {}),
    "jobs": lambda: JobsScreen(list, None),
    "yes or no": lambda: Confirm("Cancel the job?"),
    "a line": lambda: AskLine("What for?"),
    "rewind": lambda: RewindConfirm(PLAN),
    "history": lambda: HistorySearch(History(Path("/nowhere/history.jsonl"), str), ""),
}


def key_row(rows: list[str]) -> str:
    return [row for row in rows if row.lstrip().startswith("╰")][-1]


@pytest.mark.parametrize("name", SCREENS)
async def test_the_keys_below_a_screen_stand_there_whole_at_any_width_and_tell_the_way_out(name: str) -> None:
    host = scripted()
    async with running(host, size=(120, 24)) as (app, pilot):
        screen = SCREENS[name]()
        assert isinstance(screen, FramedScreen)
        await app.push_screen(screen)
        for columns in (120, 80, 60, 40, 24):
            await pilot.resize_terminal(columns, 24)
            await pilot.pause()
            keys = key_row(screen_text(app)).strip().strip("╰╯─").strip()
            assert keys in screen.key_lines, f"{columns} columns: {keys}"
            assert "Esc" in keys or "Enter change nothing" in keys


@pytest.mark.parametrize(("columns", "named"), [(120, "r look again"), (80, "r look again"), (60, "r again"), (40, "·r·")])
async def test_the_key_that_reads_the_jobs_anew_is_named(columns: int, named: str) -> None:
    async with running(scripted(), size=(columns, 24)) as (app, pilot):
        await app.push_screen(SCREENS["jobs"]())
        await pilot.pause()
        assert named in key_row(screen_text(app))


def test_the_track_of_a_scrollbar_is_of_the_theme_and_not_black() -> None:
    for name in (DARK, LIGHT):
        colours = THEMES[name].to_color_system().generate()
        tracks = {colours[key] for key in ("scrollbar-background", "scrollbar-background-hover", "scrollbar-background-active")}
        assert len(tracks) == 1 and "#000000" not in tracks and colours["scrollbar"] not in tracks
