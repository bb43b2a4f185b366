"""Lists in columns: nothing is cut that the issue asks for, as long as there is room."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from ml_intern.frontends.headless.text import bare, line
from ml_intern.frontends.tui.commands.model_list import ListedModel
from ml_intern.frontends.tui.screens.columns import Cells, Column, laid_out, widths
from ml_intern.frontends.tui.screens.models import ModelPicker
from ml_intern.frontends.tui.screens.sessions import SessionPicker
from ml_intern.stores.base import SessionRecord
from ml_intern.stores.memory import MemoryStore
from tests.tui.picker_world import NOON, asked, shown
from tests.tui.scripted import running, scripted

THREE = (Column(keep=3, least=4), Column(keep=2, right=True), Column(keep=1))
ROWS: tuple[Cells, ...] = ((line("a long name"), line("7"), line("router")), (line("short"), line("262k"), line("local")))


def rows(room: int, *more: Cells) -> list[str]:
    wide = widths(THREE, [*ROWS, *more], room)
    return [bare(laid_out(THREE, row, wide)).rstrip() for row in (*ROWS, *more)]


def test_columns_are_as_wide_as_what_stands_in_them() -> None:
    assert rows(200) == ["a long name     7  router", "short        262k  local"]


def test_the_least_important_column_goes_whole_before_anything_else_is_dropped() -> None:
    assert rows(18) == ["a l…     7  router", "sho…  262k  local"]
    assert rows(17) == ["a long name     7", "short        262k"]
    assert rows(9) == ["a long n…", "short"]


@pytest.mark.parametrize("room", range(1, 40))
def test_no_row_is_wider_than_its_room(room: int) -> None:
    assert all(len(row) <= max(room, 4) for row in rows(room))


def test_what_runs_on_to_the_end_of_its_row_is_not_measured() -> None:
    assert rows(40, (line("keyless"), line("needs HF_TOKEN · /setup")))[0] == "a long name     7  router"
    assert rows(40, (line("keyless"), line("needs HF_TOKEN · /setup")))[2] == "keyless      needs HF_TOKEN · /setup"


MODELS = (
    ListedModel(
        model_id="Qwen/Qwen3-235B-A22B-2507", provider="Hugging Face router", rank=4, window=262_144, price="$0.95 → $4", tools=True
    ),
    ListedModel(model_id="local/m", provider="local at http://127.0.0.1:1/v1", rank=0, window=32_000, price="free"),
)


@pytest.mark.parametrize("size", [(120, 40), (200, 50), (80, 24)])
async def test_a_models_row_tells_id_window_price_and_tools_uncut(size: tuple[int, int]) -> None:
    async def read() -> tuple[ListedModel, ...]:
        return MODELS

    async def no_probe(model: str) -> str:
        raise AssertionError

    async with running(scripted(), size=size) as (app, pilot):
        await asked(app, ModelPicker("", (read,), no_probe, {}))
        text = await shown(app, pilot, "free")
    assert re.search(r"Qwen/Qwen3-235B-A22B-2507 +262k +\$0.95 → \$4 +tools", text)
    assert re.search(r"local/m +32k +free", text)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_a_sessions_row_tells_age_title_and_size_uncut(size: tuple[int, int]) -> None:
    store = MemoryStore()
    for i, title in enumerate(("Fine-tune a tokenizer for Ancient Greek on two GPUs", "short")):
        at = NOON - timedelta(hours=5)
        await store.create(SessionRecord(id=f"{i}" * 16, created_at=at, updated_at=at, cwd="/data/nlp", model="m", title=title))
    async with running(scripted(), size=size) as (app, pilot):
        await asked(app, SessionPicker(store, leave_out="", now=NOON))
        text = await shown(app, pilot, "short")
    assert re.search(r"5 h +short +0 B", text), text


async def test_the_preview_of_a_session_tells_what_it_has_set_aside() -> None:
    store = MemoryStore()
    for name, title, aside in (("a", "trains", 0.13), ("b", "rests", 0.0)):
        at = NOON - timedelta(hours=5 if aside else 6)
        await store.create(SessionRecord(id=name * 16, created_at=at, updated_at=at, cwd="/w", model="m", title=title, reserved_usd=aside))
    async with running(scripted(), size=(120, 40)) as (app, pilot):
        await asked(app, SessionPicker(store, leave_out="", now=NOON))
        await shown(app, pilot, "$0.00 + ≤$0.13 set aside ·")
        await pilot.press("down")
        text = await shown(app, pilot, "· $0.00 ·")
    assert "set aside" not in text
