"""Looking after jobs that no call follows."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ml_intern.compute.hf_hardware import BUILT_IN
from ml_intern.compute.job_backends import JobBackends
from ml_intern.compute.jobs import HardwareList, JobBackend, JobInfo, Stage, job_labels
from ml_intern.errors import NotFoundError, ServiceDown, ToolError
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.resource_events import BudgetSettled, HfJobComplete, HfJobSubmit
from ml_intern.tools.jobs.watch import GONE_AFTER, LOOKS, POLL_S, JobWatch, completion, wall_seconds

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Backend:
    """Says of each job what it was told to say; an exception is raised."""

    name = "hub"

    def __init__(self) -> None:
        self.answers: list[JobInfo | Exception] = []
        self.found: list[JobInfo] | Exception = []
        self.asked = 0

    def known_hardware(self) -> HardwareList:
        return HardwareList(BUILT_IN.items, "live")

    async def inspect(self, job_id: str, namespace: str) -> JobInfo:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def namespaces(self) -> tuple[str, ...]:
        return ("alice",)

    async def list_jobs(self, namespace: str, labels: Any = None) -> list[JobInfo]:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Scene:
    def __init__(self) -> None:
        self.backend = Backend()
        self.events: list[Event] = []
        self.open: dict[str, HfJobSubmit] = {}
        self.pauses: list[float] = []
        backends = JobBackends(hub=cast("JobBackend", self.backend), local=None)
        self.watch = JobWatch(backends, session_id="s", append=self.append, open_jobs=lambda: dict(self.open), sleep=self.sleep)

    async def append(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, HfJobComplete):
            self.open.pop(event.job_id)
        if isinstance(event, HfJobSubmit):
            self.open[event.job_id] = event

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def submit(self, job_id: str = "j1") -> None:
        self.open[job_id] = HfJobSubmit(
            job_id=job_id, job_url="", flavor="a100-large", timeout="1h", job_type="python", image="i", namespace="alice",
            push_to_hub=False, tool_call_id="c", reservation_id="c",
        )  # fmt: skip

    async def settled(self) -> None:
        while self.open:
            await asyncio.sleep(0)
        await self.watch.aclose()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def job(stage: Stage, hours: float | None = None, call_id: str = "c9") -> JobInfo:
    started = NOON if hours is not None else None
    finished = NOON + timedelta(hours=hours or 0) if stage.is_over else None
    labels = job_labels("s", call_id)
    return JobInfo(id="j1", namespace="alice", stage=stage, flavor="a100-large", started_at=started, finished_at=finished, labels=labels)


async def test_a_job_is_asked_about_until_it_is_over_and_the_money_is_settled_first(scene: Scene) -> None:
    scene.submit()
    scene.backend.answers = [job(Stage.RUNNING, 0), ServiceDown("x"), job(Stage.COMPLETED, 1.5)]
    scene.watch.wake()
    await scene.settled()
    settled, complete = scene.events
    assert isinstance(settled, BudgetSettled) and settled.actual_usd == pytest.approx(6.0)
    assert isinstance(complete, HfJobComplete) and complete.wall_time_s == 5400 and complete.estimated_cost_usd == pytest.approx(6.0)
    assert scene.pauses[1] > scene.pauses[0], "a backend that does not answer is asked less often"


async def test_a_job_that_a_call_follows_is_left_to_it(scene: Scene) -> None:
    scene.submit()
    scene.backend.answers = [job(Stage.COMPLETED, 1)]
    with scene.watch.following("j1"):
        scene.watch.wake()
        await asyncio.sleep(0)
        assert scene.backend.asked == 0
    await scene.settled()
    assert len(scene.events) == 2


async def test_a_job_that_nobody_knows_any_more_keeps_its_reservation_as_spent(scene: Scene) -> None:
    scene.submit()
    scene.backend.answers = [NotFoundError("gone")]
    scene.watch.wake()
    await scene.settled()
    settled, complete = scene.events
    assert scene.backend.asked == GONE_AFTER
    assert isinstance(settled, BudgetSettled) and settled.actual_usd is None
    assert isinstance(complete, HfJobComplete) and complete.final_status == "deleted" and complete.estimated_cost_usd is None


async def test_a_reservation_without_a_job_is_given_back_only_when_somebody_said_so_for_minutes(scene: Scene) -> None:
    scene.backend.found = ServiceDown("x")
    await scene.watch.recover(["c9"])
    scene.watch.wake()
    while len(scene.pauses) < 2 * LOOKS:
        await asyncio.sleep(0)
    assert scene.events == []
    scene.backend.found = []
    scene.pauses.clear()
    while not scene.events:
        await asyncio.sleep(0)
    assert scene.events == [BudgetSettled(reservation_id="c9", actual_usd=0.0)]
    assert sum(scene.pauses) >= 4 * 60 and len(scene.pauses) >= LOOKS - 1
    await scene.watch.aclose()


@pytest.mark.parametrize("first", [[], ServiceDown("x")], ids=["not there yet", "nobody answers"])
async def test_a_job_that_appears_late_is_found_and_its_reservation_is_its_own(scene: Scene, first: Any) -> None:
    """A gateway's time-out comes sooner than the job: to look once is to lose it."""
    scene.backend.found = first
    assert await scene.watch.look_for("c9") is None
    while len(scene.pauses) < 3:
        await asyncio.sleep(0)
    assert scene.events == [] and scene.pauses[0] >= POLL_S
    scene.backend.found = [job(Stage.RUNNING, 0, "another"), job(Stage.RUNNING, 0)]
    scene.backend.answers = [job(Stage.COMPLETED, 0.5)]
    while len(scene.events) < 3:
        await asyncio.sleep(0)
    await scene.watch.aclose()
    submit, settled, complete = scene.events
    assert isinstance(submit, HfJobSubmit) and (submit.reservation_id, submit.tool_call_id) == ("c9", "c9")
    assert submit.price_usd_per_hour == 4.0, "what runs says what it costs"
    assert isinstance(settled, BudgetSettled) and settled.reservation_id == "c9" and isinstance(complete, HfJobComplete)


async def test_a_job_that_appears_late_after_a_crash_is_found_too(scene: Scene) -> None:
    await scene.watch.recover(["c9"])
    assert scene.events == []
    scene.backend.found = [job(Stage.RUNNING, 0)]
    scene.backend.answers = [job(Stage.COMPLETED, 0.5)]
    while len(scene.events) < 3:
        await asyncio.sleep(0)
    await scene.watch.aclose()
    assert [type(event) for event in scene.events] == [HfJobSubmit, BudgetSettled, HfJobComplete]


async def test_work_that_must_be_seen_through_outlives_its_caller_and_is_waited_for_at_the_end(scene: Scene) -> None:
    go = asyncio.Event()

    async def work() -> None:
        await go.wait()
        scene.events.append(BudgetSettled(reservation_id="x", actual_usd=0.0))

    caller = asyncio.create_task(scene.watch.see_through(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    asyncio.get_running_loop().call_soon(go.set)
    await scene.watch.aclose()
    assert len(scene.events) == 1


async def test_with_nothing_to_look_after_there_is_no_task(scene: Scene) -> None:
    before = asyncio.all_tasks()
    scene.watch.wake()
    assert asyncio.all_tasks() == before
    await scene.watch.aclose()


def test_a_job_that_never_got_a_machine_costs_nothing_and_one_without_times_is_not_guessed() -> None:
    assert wall_seconds(job(Stage.CANCELED)) == 0.0
    assert wall_seconds(job(Stage.RUNNING, 1)) is None
    submit = Scene()
    submit.submit()
    settled, complete = completion(submit.open["j1"], job(Stage.ERROR, 1), price=None, wall_s=3600.0)
    assert settled is not None and settled.actual_usd is None and complete.cost_estimate_source == "unknown"


def test_a_job_of_a_backend_that_is_not_here_is_said_to_be_that() -> None:
    backends = JobBackends(hub=None, local=None)
    for wrong in (lambda: backends.for_new_jobs, lambda: backends.of("local-1"), lambda: backends.of("abc")):
        with pytest.raises(ToolError):
            wrong()


@pytest.mark.parametrize(
    ("choice", "has_token", "first"), [("auto", True, "hub"), ("auto", False, "local"), ("hub", False, "hub"), ("local", True, "local")]
)
def test_new_jobs_go_where_the_setting_says_and_known_ones_to_their_own(choice: Any, has_token: bool, first: str) -> None:
    hub, local = Backend(), Backend()
    local.name = "local"
    backends = JobBackends(hub=cast("JobBackend", hub), local=cast("JobBackend", local), choice=choice, has_token=has_token)
    assert backends.for_new_jobs.name == backends.all[0].name == first
    assert (backends.of("local-1").name, backends.of("abc").name) == ("local", "hub")
