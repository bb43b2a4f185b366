"""A job in a whole session: approved, reserved, followed, settled; detached, and told when it ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.compute.jobs import job_labels
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.history import UNKNOWN_OUTCOME
from ml_intern.session.permissions import Mode
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.tools.jobs.watch import LOOKS
from tests.job_world import SCRIPT, JobWorld
from tests.workspaces import Machine

from .conftest import MakeWorld
from .support import World, call

HOUR_USD = 41_667e-6 * 60


@pytest.fixture
async def jobs(world: MakeWorld, tmp_path: Path) -> AsyncIterator[JobWorld]:
    """Closed before the session is: its watch writes to the log."""
    async with FakeHub() as hub:
        made = JobWorld(hub, Machine(base=tmp_path))
        yield made
        await made.aclose()


async def _approved(world: MakeWorld, jobs: JobWorld, **arguments: object) -> World:
    """A session whose model asked for a job, and whose user said yes."""
    asked = {"operation": "run", "script": SCRIPT, "hardware_flavor": "a100-large", "timeout": "1h", **arguments}
    w = await world([call("hf_jobs", json.dumps(asked), id="call_1")], "done", tools=[jobs.tool])
    jobs.log = w.session.log
    await w.session.submit(op.UserInput(text="train"))
    approval = await w.until(e.ApprovalRequired)
    assert approval.tools[0].estimated_cost_usd == pytest.approx(HOUR_USD)
    assert any(getattr(shown, "text", "") == SCRIPT for shown in approval.tools[0].display)
    await w.session.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="call_1", approved=True),)))
    await w.until(e.HfJobSubmit)
    return w


async def test_a_job_is_reserved_before_it_starts_and_settled_when_it_is_over(world: MakeWorld, jobs: JobWorld) -> None:
    w = await _approved(world, jobs)
    assert w.names().index("budget_reserved") < w.names().index("hf_job_submit")
    assert w.state.spending.held == {"call_1"} and list(w.state.jobs) == [jobs.hub.jobs.last.id]
    jobs.hub.jobs.start(jobs.hub.jobs.last)
    jobs.hub.jobs.say(jobs.hub.jobs.last, "step 1")
    jobs.hub.jobs.finish(jobs.hub.jobs.last, seconds=1800)
    await w.turn_end()
    (output,) = w.of(e.ToolFinished)
    assert output.success and "step 1" in output.output
    assert w.state.spending.spent_usd == pytest.approx(HOUR_USD / 2) and w.state.spending.reserved == {} and w.state.jobs == {}


async def test_a_detached_job_keeps_its_reservation_until_its_end_is_told(world: MakeWorld, jobs: JobWorld) -> None:
    w = await _approved(world, jobs, detach=True)
    await w.turn_end()
    assert w.state.spending.spent_usd == 0 and "call_1" in w.state.spending.reserved
    jobs.hub.jobs.start(jobs.hub.jobs.last)
    jobs.hub.jobs.finish(jobs.hub.jobs.last, "ERROR", seconds=3600)
    await w.until(e.HfJobComplete)
    assert w.state.spending.spent_usd == pytest.approx(HOUR_USD)
    assert list(w.state.finished_jobs) == [jobs.hub.jobs.last.id]


async def test_an_interrupt_neither_stops_the_job_nor_frees_its_money(world: MakeWorld, jobs: JobWorld) -> None:
    """W9."""
    w = await _approved(world, jobs)
    await w.until(e.ToolLog)
    await w.session.submit(op.Interrupt())
    await w.turn_end()
    assert jobs.hub.jobs.last.stage == "SCHEDULING" and "call_1" in w.state.spending.reserved
    jobs.hub.jobs.start(jobs.hub.jobs.last)
    jobs.hub.jobs.finish(jobs.hub.jobs.last, seconds=3600)
    await w.until(e.HfJobComplete)
    assert w.state.spending.spent_usd == pytest.approx(HOUR_USD) and w.state.spending.reserved == {}


async def test_after_a_crash_the_model_knows_the_job_that_its_call_started(world: MakeWorld, jobs: JobWorld) -> None:
    w = await _approved(world, jobs)
    await w.until(e.ToolLog)
    await w.store.release("s1")  # as ``kill -9`` leaves things
    again = await world("I see.", store=w.store, tools=[jobs.tool])
    (answered,) = again.of(e.ToolFinished)
    job = jobs.hub.jobs.last
    assert answered.error_kind == "interrupted" and UNKNOWN_OUTCOME in answered.output
    assert f"hf_jobs logs job_id={job.id}" in answered.output and f"hf_jobs cancel job_id={job.id}" in answered.output
    assert "a100-large" in answered.output and list(again.state.jobs) == [job.id]


async def test_after_a_crash_while_a_job_was_submitted_the_model_knows_that_it_may_run(world: MakeWorld, jobs: JobWorld) -> None:
    jobs.hub.fail("POST /api/jobs/", cut=True, delay_s=0.3)
    w = await _submitting(world, jobs)
    await w.store.release("s1")
    again = await world("I see.", store=w.store, tools=[jobs.tool])
    (answered,) = again.of(e.ToolFinished)
    assert "Whether the job was started is not known" in answered.output and "`ps`" in answered.output


async def test_the_log_of_a_followed_job_is_shown_as_events_of_its_call(world: MakeWorld, jobs: JobWorld) -> None:
    """W43."""
    w = await _approved(world, jobs)
    jobs.hub.jobs.start(jobs.hub.jobs.last)
    jobs.hub.jobs.say(jobs.hub.jobs.last, "loss 1.5")
    jobs.hub.jobs.finish(jobs.hub.jobs.last)
    await w.turn_end()
    assert {log.tool_call_id for log in w.of(e.ToolLog)} == {"call_1"}
    assert any("loss 1.5" in log.log for log in w.of(e.ToolLog))


async def _submitting(world: MakeWorld, jobs: JobWorld, **arguments: object) -> World:
    """A session whose job's submission has reached the Hub, which has not answered yet."""
    asked = {"operation": "run", "script": SCRIPT, "hardware_flavor": "a100-large", "timeout": "1h", **arguments}
    w = await world([call("hf_jobs", json.dumps(asked), id="call_1")], "done", tools=[jobs.tool], mode=Mode.YOLO)
    jobs.log = w.session.log
    await w.session.submit(op.UserInput(text="train"))
    await jobs.until(lambda: jobs.hub.seen("POST /api/jobs/"))
    return w


async def test_a_submission_that_got_no_answer_holds_its_money_until_nobody_finds_a_job_for_minutes(
    world: MakeWorld, jobs: JobWorld
) -> None:
    jobs.hub.fail("POST /api/jobs/", status=504, times=1)
    w = await _submitting(world, jobs)
    await w.turn_end()
    (answered,) = w.of(e.ToolFinished)
    assert answered.error_kind == "unknown_outcome" and "not known" in answered.output and "may work later" not in answered.output
    await w.until(e.BudgetSettled)
    assert len(jobs.hub.seen("GET /api/jobs/alice")) > LOOKS and w.state.spending.committed_usd == 0.0
    events = w.names()
    assert events.index("budget_settled") > events.index("tool_output"), "the call's failure gives nothing back"


async def test_an_interrupt_while_a_submission_fails_leaks_no_money(world: MakeWorld, jobs: JobWorld) -> None:
    """Nobody waits for it any more: what submits it settles it."""
    jobs.hub.fail("POST /api/jobs/", cut=True, delay_s=0.2)
    w = await _submitting(world, jobs)
    await w.session.submit(op.Interrupt())
    await w.turn_end()
    assert "call_1" in w.state.spending.reserved
    await w.until(e.BudgetSettled)
    assert w.state.spending.committed_usd == 0.0


async def test_an_interrupt_while_a_submission_is_lost_leaves_its_job_counted(world: MakeWorld, jobs: JobWorld) -> None:
    jobs.hub.fail("POST /api/jobs/", cut=True, delay_s=0.2)
    w = await _submitting(world, jobs)
    await w.session.submit(op.Interrupt())
    await w.turn_end()
    await jobs.until(lambda: jobs.hub.seen("GET /api/jobs/alice"))
    labels = job_labels("s1", "call_1")
    job = jobs.hub.jobs.add("alice", {"flavor": "a100-large", "command": ["x"], "dockerImage": "i", "labels": labels})
    await w.until(e.HfJobSubmit)
    assert list(w.state.jobs) == [job.id] and w.state.spending.held == {"call_1"}


async def test_a_free_job_that_no_event_tells_of_has_a_reservation_that_does(world: MakeWorld, jobs: JobWorld) -> None:
    """Killed here, the session finds its job by it: only reservations are looked for."""
    jobs.hub.fail("GET /api/jobs/hardware", times=99, status=503)
    jobs.hub.fail("POST /api/jobs/", cut=True, delay_s=0.2)
    w = await _submitting(world, jobs, hardware_flavor="h100")
    assert w.state.spending.reserved == {"call_1": (0.0, "hf_jobs")} and w.state.spending.held == set()
