"""Listing, inspecting, reading and stopping jobs, and schedules, against the fake Hub."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.errors import OutcomeUnknown, ToolError
from ml_intern.protocol.display import Text
from ml_intern.protocol.resource_events import BudgetSettled, HfJobComplete
from ml_intern.session.permissions import Mode, Outcome, Permissions
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_hub.jobs import Play
from ml_intern.testing.fake_hub.server import FakeAccount
from ml_intern.tools.base import Effect
from tests.job_world import SCRIPT, JobWorld
from tests.workspaces import Machine


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[JobWorld]:
    accounts = {FakeHub.TOKEN: FakeAccount(name="alice", orgs=("acme",))}
    async with FakeHub(accounts=accounts) as hub:
        made = JobWorld(hub, Machine(base=tmp_path))
        yield made
        await made.aclose()


# ── looking and stopping ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_jobs_are_listed_by_stage_in_pages(world: JobWorld) -> None:
    """W16: `all`, `status` and `offset` are parameters."""
    world.hub.jobs.page_size = 20
    for number in range(60):
        job = world.hub.jobs.add("alice", {"flavor": "cpu-basic", "command": ["run", str(number)], "dockerImage": "python:3.12"})
        if number % 6:
            world.hub.jobs.finish(job, "ERROR" if number % 2 else "COMPLETED")
    assert (await world.call("ps")).text.count("| SCHEDULING |") == 10
    first = await world.call("ps", all=True)
    assert first.text.count("\n| 0") == 50 and "offset=51" in first.text
    assert (await world.call("ps", all=True, offset=51)).text.count("\n| 0") == 10
    assert (await world.call("ps", status="error")).text.count("| ERROR |") == 30
    with pytest.raises(ToolError, match="no status"):
        await world.call("ps", status="RUN")


async def test_inspecting_does_not_show_what_carries_the_script(world: JobWorld) -> None:
    """W11."""
    world.hub.jobs.plays = Play()
    await world.call("run", script=SCRIPT * 500, script_args=["--lr", "1"])
    output = await world.call("inspect", job_id=[world.hub.jobs.last.id, "0" * 24])
    assert len(output.text) < 3000 and "uv run /tmp/ml-intern/script.py --lr 1" in output.text and "404" in output.text
    assert '"stage": "COMPLETED"' in output.text and "ML_INTERN_SCRIPT" not in output.text


async def test_inspect_and_logs_can_wait_for_the_end(world: JobWorld) -> None:
    job = world.hub.jobs.add("alice", {"flavor": "cpu-basic", "command": ["x"], "dockerImage": "i"})
    world.hub.jobs.start(job)
    call = asyncio.create_task(world.call("logs", job_id=job.id, wait_s=20))
    await world.until(lambda: world.hub.jobs.connections)
    world.hub.jobs.say(job, "last words")
    world.hub.jobs.finish(job)
    output = await call
    assert "COMPLETED" in output.text and "last words" in output.text
    assert "COMPLETED" in (await world.call("inspect", job_id=job.id, wait_s=20)).text


async def test_cancel_finds_the_namespace_in_the_sessions_log(world: JobWorld) -> None:
    """W9, core W3.7: the original cancelled without a namespace, so that an organisation's jobs went on."""
    await world.call("run", script=SCRIPT, namespace="acme", detach=True)
    job = world.hub.jobs.last
    output = await world.call("cancel", job_id=job.id)
    assert job.stage == "CANCELED" and "acme" in output.text and len(world.hub.seen("POST /api/jobs/acme/.*/cancel")) == 1
    await world.until(lambda: world.of(HfJobComplete))
    assert world.of(BudgetSettled)[0].actual_usd == 0


async def test_only_cancelling_a_job_of_others_asks(world: JobWorld) -> None:
    """W17."""
    await world.call("run", script=SCRIPT, detach=True)
    own, other = world.hub.jobs.last.id, world.hub.jobs.add("alice", {"flavor": "cpu-basic", "command": ["x"], "dockerImage": "i"}).id

    def outcome(job_id: str, *, read_only: bool = False) -> Outcome:
        args = world.tool.parse_object({"operation": "cancel", "job_id": job_id})
        return Permissions(read_only=read_only).judge("hf_jobs", world.tool.subject(args), world.tool.risk(args), Mode.ASK).outcome

    assert (outcome(own), outcome(other), outcome(own, read_only=True)) == (Outcome.ALLOW, Outcome.ASK, Outcome.DENY)


async def test_a_job_of_this_session_stays_its_own_when_it_is_over(world: JobWorld) -> None:
    world.hub.jobs.plays = Play(lines=("done",))
    await world.call("run", script=SCRIPT)
    own, other = world.hub.jobs.last.id, world.hub.jobs.add("alice", {"flavor": "cpu-basic", "command": ["x"], "dockerImage": "i"}).id
    assert not world.open_jobs()
    listed = (await world.call("ps", all=True)).text
    assert f"| {own} * |" in listed and f"| {other} |" in listed

    async def outcome(job_id: str) -> Outcome:
        args = await world.tool.prepare(world.tool.parse_object({"operation": "cancel", "job_id": job_id}))
        return Permissions().judge("hf_jobs", world.tool.subject(args), world.tool.risk(args), Mode.ASK).outcome

    assert (await outcome(own), await outcome(other), await outcome("nobody-knows-it")) == (Outcome.ALLOW, Outcome.ASK, Outcome.ASK)
    assert "over already" in (await world.call("cancel", job_id=own)).text


@pytest.mark.parametrize(
    "operation", ["logs", "inspect", "cancel", "scheduled inspect", "scheduled delete", "scheduled suspend", "scheduled resume"]
)
async def test_an_operation_without_its_id_is_refused_before_anyone_is_asked(world: JobWorld, operation: str) -> None:
    with pytest.raises(ToolError, match=r"needs (scheduled_)?job_id"):
        await world.tool.prepare(world.tool.parse_object({"operation": operation}))


@pytest.mark.parametrize("operation", ["logs", "inspect", "cancel", "scheduled inspect", "run", "scheduled run"])
async def test_what_an_operation_needs_is_said(world: JobWorld, operation: str) -> None:
    with pytest.raises(ToolError, match="needs"):
        await world.call(operation)


async def test_an_operation_may_be_written_in_capitals(world: JobWorld) -> None:
    assert world.tool.parse('{"operation": " Scheduled  PS "}').operation == "scheduled ps"


# ── schedules ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_schedule_that_has_run_can_be_listed_and_inspected(world: JobWorld) -> None:
    """W7."""
    created = await world.call("scheduled run", script=SCRIPT, schedule="@daily", trackio_space_id="alice/runs")
    (schedule,) = world.hub.schedules.schedules.values()
    assert schedule.id in created.text
    job = world.hub.schedules.fire(schedule)
    assert schedule.id in (await world.call("scheduled ps")).text
    assert job.id in (await world.call("scheduled inspect", scheduled_job_id=schedule.id)).text
    await world.call("scheduled suspend", scheduled_job_id=schedule.id)
    assert "1 suspended" in (await world.call("scheduled ps")).text
    assert schedule.id in (await world.call("scheduled ps", all=True)).text
    await world.call("scheduled resume", scheduled_job_id=schedule.id)
    assert not schedule.suspended
    await world.call("scheduled delete", scheduled_job_id=schedule.id)
    assert world.hub.schedules.schedules == {}


async def test_a_schedule_whose_answer_was_lost_is_found_and_not_made_twice(world: JobWorld) -> None:
    world.hub.schedules.answers_lost = 1
    created = await world.call("scheduled run", script=SCRIPT, schedule="@daily")
    (schedule,) = world.hub.schedules.schedules.values()
    assert schedule.id in created.text


async def test_a_schedule_that_nobody_can_tell_of_is_said_to_be_perhaps_there(world: JobWorld) -> None:
    world.hub.fail("POST /api/scheduled-jobs/alice", status=504, body={"error": "gateway timeout"}, times=1)
    with pytest.raises(OutcomeUnknown, match=r"may have been made.*scheduled ps") as lost:
        await world.call("scheduled run", script=SCRIPT, schedule="@daily")
    assert "later" not in str(lost.value)


async def test_an_approval_of_a_schedule_shows_the_price_of_a_run_and_of_a_month(world: JobWorld) -> None:
    asked = {"operation": "scheduled run", "script": SCRIPT, "schedule": "0  9 * * *", "hardware_flavor": "a100-large", "timeout": "30m"}
    args = await world.tool.prepare(world.tool.parse_object(asked))
    (summary, _) = world.tool.preview(args)
    told = "about 30 runs a month, at most $38.05"
    assert isinstance(summary, Text) and "at most $1.25" in summary.text and told in summary.text
    assert told in world.tool.risk(args).reason
    await world.tool.run(args, world.calls.context)
    assert [item.schedule for item in world.hub.schedules.schedules.values()] == ["0 9 * * *"]


async def test_a_schedule_that_is_none_is_refused_before_anyone_is_asked(world: JobWorld) -> None:
    with pytest.raises(ToolError, match="'every tuesday' is no schedule"):
        await world.tool.prepare(world.tool.parse_object({"operation": "scheduled run", "script": SCRIPT, "schedule": "every tuesday"}))


async def test_a_schedule_honours_trackio_and_says_that_the_token_is_stored(world: JobWorld) -> None:
    """W17."""
    args = await world.tool.prepare(
        world.tool.parse_object({"operation": "scheduled run", "script": SCRIPT, "schedule": "@hourly", "trackio_space_id": "alice/runs"})
    )
    (summary, _) = world.tool.preview(args)
    assert isinstance(summary, Text) and "stored with the schedule" in summary.text
    risk = world.tool.risk(args)
    assert Effect.RECURRING in risk.effects and "stored with the schedule" in risk.reason
    output = await world.tool.run(args, world.calls.context)
    (schedule,) = world.hub.schedules.schedules.values()
    assert schedule.spec["environment"]["TRACKIO_SPACE_ID"] == "alice/runs" and world.seeded == ["alice/runs"]
    assert "token is stored" in output.text


@pytest.mark.parametrize(
    ("operation", "outcome"),
    [
        ("scheduled ps", Outcome.ALLOW),
        ("scheduled inspect", Outcome.ALLOW),
        ("scheduled run", Outcome.ASK),
        ("scheduled resume", Outcome.ASK),
        ("ps", Outcome.ALLOW),
        ("logs", Outcome.ALLOW),
        ("inspect", Outcome.ALLOW),
    ],
)
async def test_reading_never_asks_and_recurring_work_always_does(world: JobWorld, operation: str, outcome: Outcome) -> None:
    """W17: even when everything is approved automatically."""
    args = world.tool.parse_object({"operation": operation, "schedule": "@daily", "script": SCRIPT})
    assert Permissions().judge("hf_jobs", world.tool.subject(args), world.tool.risk(args), Mode.YOLO).outcome is outcome
