"""Who opens a session while a turn and a job run in it is told how long they have been running, not how long this terminal has looked."""

from __future__ import annotations

import re

from ml_intern.protocol import events as e
from tests.tui.picker_world import submitted
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import started


def seconds(row: str, before: str) -> int:
    found = re.search(rf"{before}.*?(\d+):(\d\d)", row)
    assert found is not None, row
    return int(found[1]) * 60 + int(found[2])


async def test_a_second_terminal_counts_turn_and_job_from_when_they_began() -> None:
    host = scripted(past=())
    host.emit(STARTED, *started(), ago_s=600)
    host.emit(submitted("old-job"), ago_s=500)
    host.emit(e.ToolCalled(tool="bash", arguments={"command": "sleep 900"}, tool_call_id="a"), ago_s=400)
    host.record()
    async with running(host, size=(120, 24)) as (app, pilot):
        await settled(app, pilot, host)
        rows = screen_text(app)
        (job,) = (row for row in rows if "old-job  " in row)
        (activity,) = (row for row in rows if "interrupts" in row)
        assert 500 <= seconds(job, "old-job") < 560
        assert 400 <= seconds(activity, "running bash") < 460 and 600 <= seconds(activity, "turn") < 660
