"""Cards that wait can be told apart by their titles, and a card says how it is scrolled."""

from __future__ import annotations

import pytest

from ml_intern.frontends.headless.show import headline
from ml_intern.protocol import events as e
from ml_intern.protocol.messages import JsonObject
from tests.tui.picker_world import text_of
from tests.tui.scripted import running, scripted, settled
from tests.tui.test_approvals import asked, pending
from tests.unit.frontends.fake_host import started


def _job(key: str, flavor: str, script: str, cost_usd: float) -> e.PendingTool:
    arguments = {"operation": "run", "script": script, "hardware_flavor": flavor}
    return pending(key, arguments=arguments, display=(), estimated_cost_usd=cost_usd)


async def test_jobs_that_wait_name_hardware_script_and_price_in_card_row_and_the_line_of_the_others() -> None:
    jobs = (_job("c1", "t4-small", "train.py", 1.0), _job("c2", "a100x8", "eval.py", 20.0))
    host = scripted()
    async with running(host, size=(120, 40)) as (app, pilot):
        host.emit(*started("go"), *(e.ToolCalled(tool=job.tool, arguments=job.arguments, tool_call_id=job.tool_call_id) for job in jobs))
        host.emit(asked(*jobs))
        await settled(app, pilot, host)
        text = text_of(app)
    assert "[1/2] hf_jobs run on t4-small train.py · at most $1.00" in text
    assert "1 more waiting (Tab): hf_jobs run on a100x8 eval.py · at most $20.00" in text
    assert "● hf_jobs  run on t4-small train.py" in text and "● hf_jobs  run on a100x8 eval.py" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"operation": "run", "command": ["python", "a.py"]}, "run python a.py"),
        ({"operation": "run", "script": "# x\nimport torch\nfit(3)\n"}, "run fit(3) …"),
        ({"operation": "logs", "job_id": "j1"}, "logs j1"),
        ({"operation": "ps"}, "ps"),
    ],
)
def test_an_operation_says_with_what_it_is_done(arguments: JsonObject, words: str) -> None:
    assert headline(arguments) == words


async def test_a_card_of_more_lines_says_which_key_shows_them_where_it_has_the_keys() -> None:
    host = scripted()
    async with running(host, size=(100, 24), calm_s=0.0) as (app, pilot):
        host.emit(*started("go"), asked(_job("c1", "t4-small", "\n".join(f"print({i})" for i in range(90)), 1.0)))
        await settled(app, pilot, host)
        await pilot.press("f2")
        await settled(app, pilot, host)
        assert "more lines ↓ PgDn · " in text_of(app) and "print(60)" not in text_of(app)
        await pilot.press(*["pagedown"] * 6)
        await settled(app, pilot, host)
        assert "print(60)" in text_of(app)
