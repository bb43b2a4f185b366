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


async def test_a_second_terminal_counts_a_running_call_and_research_from_when_they_began() -> None:
    host = scripted(past=())
    host.emit(STARTED, *started(), ago_s=600)
    host.emit(e.ToolCalled(tool="bash", arguments={"command": "sleep 900"}, tool_call_id="a"), ago_s=400)
    host.emit(e.ToolCalled(tool="research", arguments={"task": "find a recipe"}, tool_call_id="b"), ago_s=300)
    host.emit(e.ToolCalled(tool="bash", arguments={"command": "make"}, tool_call_id="c"), ago_s=290)
    host.emit(e.ToolStateChange(tool_call_id="c", tool="bash", state="waiting"), ago_s=290)
    host.emit(e.ToolStateChange(tool_call_id="c", tool="bash", state="running"), ago_s=200)
    host.emit(e.ToolCalled(tool="bash", arguments={"command": "true"}, tool_call_id="d"), ago_s=190)
    host.emit(e.ToolFinished(tool="bash", tool_call_id="d", output="", success=True, duration_s=2.0), ago_s=188)
    host.record()
    async with running(host, size=(120, 24)) as (app, pilot):
        await settled(app, pilot, host)
        rows = {name: next(row for row in screen_text(app) if name in row) for name in ("sleep 900", "find a recipe", "make", "true")}
    assert 400 <= seconds(rows["sleep 900"], "sleep 900") < 460
    assert 300 <= seconds(rows["find a recipe"], "find a recipe") < 360
    assert 200 <= seconds(rows["make"], "make") < 260
    assert rows["true"].endswith("2.0 s")


async def test_a_call_that_waits_or_was_cut_off_has_no_clock_when_its_session_is_opened() -> None:
    host = scripted(past=())
    host.emit(STARTED, *started(), ago_s=600)
    host.emit(e.ToolCalled(tool="bash", arguments={"command": "first"}, tool_call_id="a"), ago_s=400)
    host.emit(e.Interrupted(), *started("again"), ago_s=390)
    tool = e.PendingTool(tool="bash", tool_call_id="b", arguments={"command": "second"})
    host.emit(e.ToolCalled(tool="bash", arguments=tool.arguments, tool_call_id="b"), ago_s=300)
    host.emit(e.ApprovalRequired(tools=(tool,), count=1), ago_s=300)
    host.record()
    async with running(host, size=(120, 24)) as (app, pilot):
        await settled(app, pilot, host)
        first, second = (next(row for row in screen_text(app) if f"bash  {name}" in row) for name in ("first", "second"))
    assert first.endswith("ended") and second.endswith("waits for you")
