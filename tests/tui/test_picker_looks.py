"""What pickers and screens look like, at two sizes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from ml_intern.frontends.headless.text import line
from ml_intern.frontends.tui.commands.recall import JobRow, Said
from ml_intern.frontends.tui.screens.jobs import JobsScreen
from ml_intern.frontends.tui.screens.rewind import RewindConfirm, message_picker
from ml_intern.frontends.tui.screens.sessions import SessionPicker
from ml_intern.frontends.tui.screens.themes import ThemePicker
from ml_intern.stores.base import SessionRecord
from ml_intern.stores.memory import MemoryStore
from tests.tui.picker_world import NOON, PLAN, Desk, model_picker, over, submitted, text_of
from tests.tui.pilots import until
from tests.tui.scripted import app_on, scripted

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]


# ── looks ────────────────────────────────────────────────────────────────────────────────────────────────────────────

Looks = Callable[..., bool]


def looks_like(snap_compare: Looks, size: tuple[int, int], screen: Callable[[], Awaitable[Screen[Any]]], wait_for: str) -> bool:
    async def before(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "fake/model" in text_of(pilot.app))
        await pilot.app.push_screen(await screen())
        await until(pilot, lambda: wait_for in text_of(pilot.app))
        await pilot.pause()

    return snap_compare(app_on(scripted()), terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
def test_the_session_picker_looks_so(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def screen() -> Screen[Any]:
        store = MemoryStore()
        for i, (title, cwd) in enumerate(
            [("Fine-tune a tokenizer for Ancient Greek on two GPUs", "/data/nlp"), ("数据集 clean-up", "/data/zh")]
        ):
            at = NOON - timedelta(hours=5 * i + 1)
            record = SessionRecord(
                id=f"{i}" * 16,
                created_at=at,
                updated_at=at,
                cwd=cwd,
                model="fake/model",
                title=title,
                turn_count=3,
                size_bytes=52_000,
                cost_usd=0.4,
            )
            await store.create(record)
        return SessionPicker(store, leave_out="", now=NOON)

    assert looks_like(snap_compare, size, screen, "begun 2026")


@pytest.mark.parametrize("size", SIZES)
def test_the_model_picker_looks_so(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def screen() -> Screen[Any]:
        return model_picker()

    assert looks_like(snap_compare, size, screen, "262,144")


@pytest.mark.parametrize("size", SIZES)
def test_the_rewind_picker_looks_so(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def screen() -> Screen[Any]:
        return message_picker([Said(2, NOON, "Look at data.csv"), Said(9, NOON + timedelta(minutes=7), "Now train on it\nwith two seeds")])

    assert looks_like(snap_compare, size, screen, "with two seeds")


@pytest.mark.parametrize("size", SIZES)
def test_the_question_before_a_rewind_looks_so(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def screen() -> Screen[Any]:
        return RewindConfirm(PLAN, "Now train on it\nwith two seeds")

    assert looks_like(snap_compare, size, screen, "You made, changed")


@pytest.mark.parametrize("size", SIZES)
def test_the_jobs_look_so(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def screen() -> Screen[Any]:
        rows = [JobRow(submitted("6a01"), NOON - timedelta(minutes=12)), JobRow(submitted("6a00"), NOON - timedelta(hours=2), over("6a00"))]
        return JobsScreen(lambda: rows, Desk(), now=lambda: NOON)

    assert looks_like(snap_compare, size, screen, "far")


@pytest.mark.parametrize("size", SIZES)
def test_the_theme_picker_looks_so(snap_compare: Looks, size: tuple[int, int]) -> None:
    async def screen() -> Screen[Any]:
        names = [("dark", line("dark"), "light text on a dark background"), ("light", line("light"), "dark text on a light background")]
        return ThemePicker(names, lambda name: None)

    assert looks_like(snap_compare, size, screen, "light text on a dark background")
