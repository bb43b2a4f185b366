"""Approving all that wait says what that may cost."""

from __future__ import annotations

import pytest

from ml_intern.frontends.tui.cards.facts import together
from ml_intern.protocol import events as e
from tests.tui.picker_world import text_of
from tests.tui.scripted import running, scripted, settled
from tests.tui.test_approvals import asked, pending
from tests.unit.frontends.fake_host import started


async def test_approving_all_that_wait_says_what_they_cost_together_and_what_is_left() -> None:
    host = scripted()
    async with running(host, size=(120, 40), calm_s=0.0) as (app, pilot):
        host.emit(*started("go"), asked(pending("c1"), pending("c2", estimated_cost_usd=18.41)))
        await settled(app, pilot, host)
        await pilot.press("f2", "a")
        await settled(app, pilot, host)
        assert "They cost at most $20.41 together, $7.50 left of the cap." in " ".join(text_of(app).replace("│", " ").split())


def call(**more: object) -> e.PendingTool:
    return e.PendingTool(tool="x", arguments={}, tool_call_id="1", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ((call(), call()), ""),
        ((call(), call(estimated_cost_usd=1.0)), "at most $1.00 together, no cap set"),
        ((call(risk=("spends",)), call(estimated_cost_usd=1.0)), "at most $1.00, 1 of unknown cost together, no cap set"),
    ],
)
def test_an_unknown_cost_is_told_and_not_taken_for_nothing(tools: tuple[e.PendingTool, ...], words: str) -> None:
    assert together(tools) == words
