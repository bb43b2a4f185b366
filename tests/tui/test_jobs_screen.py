"""The screen of jobs: what it lists, logs, cancel, attach."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.color import Color
from textual.widgets import OptionList

from ml_intern.frontends.tui import theme
from ml_intern.protocol.resource_events import BudgetReserved
from tests.tui.picker_world import Desk, over, shown, submitted
from tests.tui.pilots import command
from tests.tui.scripted import STARTED, running, scripted, settled

# ── /jobs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_jobs_lists_running_ones_first_and_those_of_other_sessions_last() -> None:
    aside = BudgetReserved(reservation_id="r", amount_usd=0.4, kind="hf_jobs")
    host = scripted(past=(STARTED, submitted("done1"), over("done1"), aside, replace(submitted("run1"), reservation_id="r")))
    host.jobs = Desk()
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/jobs")
        text = await shown(app, pilot, "far")
        assert text.index("run1") < text.index("done1") < text.index("far")
        assert "$0.0350" in text
        assert any("running" in row and "≤$0.40" in row and "run1" in row for row in text.splitlines())
        assert "another session's" in text
        host.emit(over("run1", "error"))
        await settled(app, pilot, host)
        await shown(app, pilot, "error ")


async def test_enter_follows_the_log_of_a_job_as_data() -> None:
    host = scripted(past=(STARTED, submitted("run1")))
    host.jobs = Desk()
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/jobs")
        await shown(app, pilot, "run1")
        await pilot.press("enter")
        text = await shown(app, pilot, "run1 step [red]499[/red]")
    assert "log of run1, to its end" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("key", "cancelled"), [("y", [("run1", "me")]), ("enter", []), ("n", [])])
async def test_a_job_is_cancelled_only_after_a_yes(key: str, cancelled: list[tuple[str, str]]) -> None:
    desk = Desk()
    host = scripted(past=(STARTED, submitted("run1")))
    host.jobs = desk
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/jobs")
        await shown(app, pilot, "run1")
        await pilot.press("c")
        await shown(app, pilot, "Cancel job run1?")
        await pilot.press(key)
        await pilot.pause()
        await pilot.pause()
        assert desk.cancelled == cancelled


async def test_a_job_of_another_session_is_attached() -> None:
    desk = Desk()
    host = scripted()
    host.jobs = desk
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/jobs")
        await shown(app, pilot, "far")
        await pilot.press("a")
        await shown(app, pilot, "far is looked after from here")
    assert desk.attached == ["far"]


async def test_the_chosen_job_can_be_read_in_every_theme_of_ours() -> None:
    for name in (theme.DARK, theme.LIGHT):
        host = scripted(past=(STARTED, submitted("run1")))
        async with running(host, theme_name=name) as (app, pilot):
            await command(app, pilot, host, "/jobs")
            await shown(app, pilot, "run1")
            (chosen,) = [part.style for part in app.screen.query_one(OptionList).render_line(0) if "run1" in part.text]
            assert chosen is not None and chosen.color is not None and chosen.bgcolor is not None
            text, behind = Color.from_rich_color(chosen.color), Color.from_rich_color(chosen.bgcolor)
            assert abs(text.brightness - behind.brightness) > 0.2


async def test_jobs_of_a_session_in_another_process_are_shown_and_left_alone() -> None:
    host = scripted(past=(STARTED, submitted("run1")))
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/jobs")
        await shown(app, pilot, "run1")
        await pilot.press("c")
        await shown(app, pilot, "Jobs are out of reach here.")


@pytest.mark.parametrize("columns", [60, 40])
async def test_a_narrow_list_of_jobs_has_state_cost_and_the_keys_whole(columns: int) -> None:
    long = "6920f1c2d4e5a6b7c8d9e0f1"
    host = scripted(past=(STARTED, submitted(long), over(long)))
    async with running(host, size=(columns, 24)) as (app, pilot):
        await command(app, pilot, host, "/jobs")
        text = await shown(app, pilot, "completed")
        row = next(row for row in text.splitlines() if "completed" in row)
        assert "$0.0350" in row and long[:9] in row
        keys = text.splitlines()[-1]
        cancel, again = ("c cancel", "r again") if columns > 40 else ("c stop", "·r·")
        assert all(key in keys for key in ("log", cancel, "a attach", "o page", again, "Esc")) and "…" not in keys
