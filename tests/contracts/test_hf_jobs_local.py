"""``hf_jobs`` where there is no token: the same calls run on this machine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ml_intern.compute.job_backends import JobBackends
from ml_intern.compute.jobs import JobRequest, job_labels
from ml_intern.config.secret import SecretStr
from ml_intern.errors import ToolError
from ml_intern.protocol.display import Text
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.resource_events import BudgetReserved, HfJobComplete, HfJobSubmit
from ml_intern.tools.base import Effect, Risk, ToolOutput
from ml_intern.tools.jobs.plan import PlannedArgs
from ml_intern.tools.jobs.tool import HfJobsTool
from ml_intern.tools.jobs.watch import JobWatch
from tests.local_jobs import JobMachine, until
from tests.workspaces import Calls


class LocalWorld:
    """The tool of one session on a machine; ``calls.emitted`` is its log."""

    def __init__(self, machine: JobMachine, token: SecretStr | None = None) -> None:
        self.machine = machine
        self.calls = Calls()
        self.backend = machine.backend()
        self.backends = JobBackends(hub=None, local=self.backend, has_token=False)
        self.watch = JobWatch(self.backends, session_id="s1", append=self.append, open_jobs=self.open_jobs)
        self.tool = HfJobsTool(self.backends, machine.machine.bare(), self.watch, forward_token=token, session_jobs=self.open_jobs)

    async def append(self, event: Event) -> None:
        self.calls.emitted.append(event)

    def open_jobs(self) -> dict[str, HfJobSubmit]:
        over = {event.job_id for event in self.calls.emitted if isinstance(event, HfJobComplete)}
        return {event.job_id: event for event in self.calls.emitted if isinstance(event, HfJobSubmit) and event.job_id not in over}

    async def planned(self, **arguments: Any) -> PlannedArgs:
        args = await self.tool.prepare(self.tool.parse_object({"operation": "run", **arguments}))
        assert isinstance(args, PlannedArgs)
        return args

    async def risk(self, **arguments: Any) -> Risk:
        return self.tool.risk(await self.planned(**arguments))

    async def call(self, operation: str, **arguments: Any) -> ToolOutput:
        args = await self.tool.prepare(self.tool.parse(json.dumps({"operation": operation, **arguments})))
        return await self.tool.run(args, self.calls.context)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LocalWorld]:
    world = LocalWorld(JobMachine(tmp_path))
    yield world
    for job in await world.backend.list_jobs("local"):
        await world.backend.cancel(job.id, "local")
    await world.watch.aclose()
    await world.backends.aclose()


async def test_a_job_on_this_machine_is_known_as_a_job_and_one_that_pushes_as_that(world: LocalWorld) -> None:
    """Hooks before jobs are told of both."""
    assert (await world.risk(script="print(1)")).starts_job
    assert (await world.risk(script="api.upload_folder(folder_path='out', repo_id='alice/x')")).publishes
    assert not (await world.risk(script="print(1)")).publishes


async def test_a_script_runs_here_and_costs_nothing(world: LocalWorld) -> None:
    output = await world.call("run", script="print('trained')")
    assert output.success
    assert "COMPLETED" in output.text and "$0.00" in output.text and "trained" in output.text
    assert any("was submitted.\n" in said for said in world.calls.reported), "it has no page on the Hub to name"
    reserved, submitted, complete = world.calls.emitted[0], world.calls.emitted[1], world.calls.emitted[-2]
    assert isinstance(reserved, BudgetReserved) and reserved.amount_usd == 0, "by it a session that is cut off here finds the job"
    assert isinstance(submitted, HfJobSubmit) and isinstance(complete, HfJobComplete)
    assert (submitted.backend, submitted.flavor, submitted.reservation_id) == ("local", "local", reserved.reservation_id)
    assert complete.estimated_cost_usd == 0


async def test_a_script_that_fails_here_is_a_failure(world: LocalWorld) -> None:
    """W2."""
    output = await world.call("run", script="raise SystemExit(3)")
    assert not output.success and "code 3" in output.text


async def test_a_script_of_the_workspace_runs_as_it_is(world: LocalWorld) -> None:
    """W13: a path is read when it is approved, and never taken for code."""
    (world.machine.machine.root / "train.py").write_text("print(__file__.rsplit('/')[-1])")
    assert "train.py" in (await world.call("run", script="train.py")).text


async def test_a_small_machine_of_the_hub_means_this_one_and_a_large_one_is_not_replaced_in_silence(world: LocalWorld) -> None:
    assert (await world.planned(script="print(1)", hardware_flavor="cpu-basic")).plan.request.flavor == "local"
    assert (await world.planned(script="print(1)")).plan.request.flavor == "local"
    with pytest.raises(ToolError, match=r"(?s)no hardware_flavor 'a100-large'.*local: .*CPUs"):
        await world.planned(script="print(1)", hardware_flavor="a100-large")


async def test_without_a_token_the_hubs_hardware_is_refused_with_what_to_do_for_it(world: LocalWorld) -> None:
    with pytest.raises(ToolError, match=r"no Hugging Face token.*HF_TOKEN"):
        await world.planned(script="print(1)", hardware_flavor="a100-large")
    assert "jobs.backend is local" in JobBackends(hub=None, local=world.backend, choice="local").why_local


async def test_the_approval_shows_the_very_command_and_that_it_runs_here(world: LocalWorld) -> None:
    args = await world.planned(script="print(1)", dependencies=["torch>=2.4"])
    summary, source = world.tool.preview(args)
    assert isinstance(summary, Text) and isinstance(source, Text)
    assert "on this machine" in summary.text and "'torch>=2.4' script.py" in summary.text and "Image" not in summary.text
    assert source.text == "print(1)"


async def test_a_local_job_runs_code_spends_nothing_and_says_whether_it_is_confined(tmp_path: Path, world: LocalWorld) -> None:
    risk = await world.risk(script="print(1)")
    assert Effect.RUNS_CODE in risk.effects and Effect.SPENDS not in risk.effects and not risk.confined
    assert "all your rights" in risk.reason
    walled = JobMachine(tmp_path / "walled", walls=True)
    walled.sandbox()
    other = LocalWorld(walled)
    assert (await other.risk(script="print(1)")).confined
    await other.backends.aclose()


async def test_the_token_goes_into_a_local_job_only_where_the_call_names_it_and_is_then_asked_for(tmp_path: Path) -> None:
    walled = JobMachine(tmp_path, walls=True)
    walled.sandbox()
    world = LocalWorld(walled, SecretStr("hf_users"))
    assert (await world.planned(script="print(1)")).plan.request.secrets == {}
    assert (await world.risk(script="print(1)")).confined
    named = await world.planned(script="print(1)", secrets={"HF_TOKEN": "$HF_TOKEN"})
    assert named.plan.request.secrets == {"HF_TOKEN": "hf_users"}
    risk = world.tool.risk(named)
    assert not risk.confined and "HF_TOKEN" in risk.reason
    await world.backends.aclose()


async def test_an_image_is_refused_before_anyone_is_asked(world: LocalWorld) -> None:
    with pytest.raises(ToolError, match="not in a container"):
        await world.planned(command=["nvidia-smi"], image="nvidia/cuda:12.4.0-base-ubuntu22.04")


async def test_nothing_recurs_here(world: LocalWorld) -> None:
    with pytest.raises(ToolError):
        await world.call("scheduled run", script="print(1)", schedule="@daily")


async def test_a_detached_job_is_listed_read_and_cancelled(world: LocalWorld) -> None:
    output = await world.call("run", script="print('up', flush=True)\nimport time\ntime.sleep(600)", detach=True)
    assert output.success and "submitted" in output.text
    job_id = next(iter(world.open_jobs()))
    assert job_id in (await world.call("ps")).text
    folder = world.machine.on_disk(job_id)[0]
    await until(lambda: folder.read_log(0) == b"up\n")
    assert "up" in (await world.call("logs", job_id=job_id)).text
    assert '"stage": "RUNNING"' in (await world.call("inspect", job_id=job_id)).text
    own = world.tool.risk(world.tool.parse_object({"operation": "cancel", "job_id": job_id}))
    strange = world.tool.risk(world.tool.parse_object({"operation": "cancel", "job_id": "local-20260101-000000-ffffffff"}))
    assert (own.effects, strange.effects) == ({Effect.LEAVES_MACHINE}, {Effect.WRITES_OUTSIDE})
    await world.call("cancel", job_id=job_id)
    assert "CANCELED" in (await world.call("inspect", job_id=job_id, wait_s=10)).text


async def test_two_jobs_run_at_once(world: LocalWorld) -> None:
    """Each waits for what the other leaves in the workspace."""
    for mine, other in (("a", "b"), ("b", "a")):
        wait = f"while not os.path.exists('{other}'): time.sleep(0.01)"
        script = f"import os, time\nopen('{mine}', 'w').close()\n{wait}\nprint('{mine} met {other}')"
        await world.call("run", script=script, detach=True)
    jobs = await world.backend.list_jobs("local")
    lines = [[line async for line in world.backend.follow(job.id, "local")] for job in jobs]
    assert sorted(lines) == [["a met b"], ["b met a"]]


async def test_a_job_here_that_was_started_a_moment_before_a_crash_is_found_by_its_reservation(world: LocalWorld) -> None:
    labels = job_labels("s1", "call_7")
    await world.backend.hardware()
    job = await world.backend.submit(JobRequest(command=("true",), namespace="local", flavor="local", labels=labels))
    await world.watch.recover(["call_7"])
    (event,) = [event for event in world.calls.emitted if isinstance(event, HfJobSubmit)]
    assert (event.job_id, event.backend, event.reservation_id) == (job.id, "local", "call_7")
