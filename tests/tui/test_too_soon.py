"""An Enter that comes at once behind the key that asks once more: it does not count, and one sees it."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events

from ml_intern.frontends.calm import CALM_S
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.cards.approval import ApprovalCard
from ml_intern.protocol import events as e
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled
from tests.tui.test_approvals import decided
from tests.unit.frontends.fake_host import started


def two_with_a_long_rule() -> ScriptedHost:
    tools = tuple(
        e.PendingTool(
            tool="bash",
            tool_call_id=f"c{i}",
            arguments={"command": "\n".join(f"python train.py --epochs {n}" for n in range(40))},
            remember_rule="bash(python train.py --epochs * --learning-rate * --data /home/shop/data/train-0001.parquet)",
        )
        for i in range(2)
    )
    return scripted(past=(STARTED, *started(), e.ApprovalRequired(tools=tools, count=2)))


async def enter_at(app: TuiApp, pilot: Any, host: ScriptedHost, time: float) -> None:
    event = events.Key("enter", "\r")
    event.time = time
    app.post_message(event)
    await settled(app, pilot, host)


@pytest.mark.parametrize("size", [(80, 24), (50, 15)])
@pytest.mark.parametrize("key", ["s", "p", "a", "A"])
async def test_an_enter_that_was_too_soon_is_told_until_the_next_key_and_counts_after_a_short_calm(key: str, size: tuple[int, int]) -> None:
    host = two_with_a_long_rule()
    async with running(host, size=size) as (app, pilot):
        await pilot.press("f2", key)
        await settled(app, pilot, host)
        card = next(each for each in app.screen.query(ApprovalCard) if each.has_class("-asks"))
        asked_at = card._asked_at  # pyright: ignore[reportPrivateUsage]  # when it asked, by its own clock
        await enter_at(app, pilot, host, asked_at + 0.1)
        assert decided(host) == [] and "Too soon: read it, then press Enter" in "\n".join(screen_text(app))
        assert app.confirm_calm_s <= 0.4 < CALM_S
        await enter_at(app, pilot, host, asked_at + 0.1 + app.confirm_calm_s)
        assert decided(host) != []
