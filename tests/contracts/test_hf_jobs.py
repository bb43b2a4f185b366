"""``hf_jobs run`` against the fake Hub, through the real client library: followed to its end, sent as it was shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ml_intern.compute.hf_script import unpacked
from ml_intern.errors import ToolError
from ml_intern.protocol.display import Text
from ml_intern.protocol.events import ToolStateChange
from ml_intern.protocol.resource_events import BudgetSettled, HfJobComplete, HfJobSubmit
from ml_intern.session.permissions import Mode, Outcome, Permissions
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_hub.jobs import Play
from ml_intern.testing.fake_hub.server import FakeAccount
from tests.job_world import SCRIPT, JobWorld
from tests.workspaces import Machine


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[JobWorld]:
    accounts = {FakeHub.TOKEN: FakeAccount(name="alice", orgs=("acme",))}
    async with FakeHub(accounts=accounts) as hub:
        made = JobWorld(hub, Machine(base=tmp_path))
        yield made
        await made.aclose()


# ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_call_waits_until_the_job_is_over_and_settles_what_it_cost(world: JobWorld) -> None:
    """W1: the log going quiet, ending or breaking is no end."""
    world.hub.jobs.faults.end_after = [2]
    call = asyncio.create_task(world.call("run", script=SCRIPT, hardware_flavor="a100-large", timeout="8h"))
    job = await world.submitted()
    world.hub.jobs.start(job)
    world.hub.jobs.say(job, "step 1", "step 2")
    await world.until(lambda: any("step 2" in piece for piece in world.calls.reported))
    assert not call.done() and world.of(HfJobComplete) == []
    world.hub.jobs.say(job, "step 3")
    world.hub.jobs.finish(job, seconds=3600)
    output = await call
    assert output.success and "COMPLETED after 1 h 00 min, $2.50" in output.text and job.id in output.text
    assert [line for line in output.text.splitlines() if line.startswith("step")] == ["step 1", "step 2", "step 3"]
    (settled,), (complete,) = world.of(BudgetSettled), world.of(HfJobComplete)
    assert settled.reservation_id == "call_1" and settled.actual_usd == pytest.approx(2.50002)
    assert (complete.final_status, complete.wall_time_s) == ("completed", 3600)
    assert world.risk.cost_usd == pytest.approx(8 * 2.50002)


async def test_a_log_that_breaks_is_followed_on_and_no_line_comes_twice(world: JobWorld) -> None:
    """W1: the connection is made again."""
    world.hub.jobs.plays = Play(lines=tuple(f"line {n}" for n in range(50)))
    world.hub.jobs.faults.cut_after = [3, 17, 30]
    output = await world.call("run", script=SCRIPT)
    assert [line for line in output.text.splitlines() if line.startswith("line")] == [f"line {n}" for n in range(50)]


@pytest.mark.parametrize("stage", ["ERROR", "CANCELED", "DELETED"])
async def test_only_a_completed_job_is_a_success(world: JobWorld, stage: str) -> None:
    """W2."""
    world.hub.jobs.plays = Play(lines=("boom",), stage=stage, message="exit code 1")
    output = await world.call("run", script=SCRIPT)
    assert not output.success and stage in output.text and "exit code 1" in output.text and "boom" in output.text
    assert world.of(HfJobComplete)[0].final_status == stage.lower()
    assert [event.state for event in world.of(ToolStateChange)] == ["running", stage.lower()]


async def test_the_job_is_in_the_log_before_it_runs_with_labels_to_find_it_by(world: JobWorld) -> None:
    call = asyncio.create_task(world.call("run", script=SCRIPT, namespace="acme"))
    job = await world.submitted()
    (event,) = world.of(HfJobSubmit)
    assert (event.job_id, event.namespace, event.tool_call_id, event.reservation_id) == (job.id, "acme", "call_1", "call_1")
    assert job.spec["labels"]["ml-intern-session"] == "s1" and job.spec["labels"]["ml-intern-call"] == "call_1"
    state = await world.until(lambda: world.of(ToolStateChange))
    assert state[0].job_url.endswith(f"/jobs/acme/{job.id}")
    world.hub.jobs.finish(job)
    await call


async def test_an_interrupted_call_leaves_its_job_running_and_looked_after(world: JobWorld) -> None:
    """W9: the job is neither stopped nor lost."""
    call = asyncio.create_task(world.call("run", script=SCRIPT))
    job = await world.submitted()
    await world.until(lambda: world.calls.reported)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert job.stage == "SCHEDULING" and world.hub.seen("POST .*/cancel") == []
    world.hub.jobs.start(job)
    world.hub.jobs.finish(job, "ERROR", seconds=60)
    (complete,) = await world.until(lambda: world.of(HfJobComplete))
    assert (complete.job_id, complete.final_status) == (job.id, "error")
    assert world.of(BudgetSettled)[0].actual_usd == pytest.approx(0.000167)


async def test_an_interrupt_while_the_job_is_being_submitted_does_not_lose_it(world: JobWorld) -> None:
    world.hub.fail("POST /api/jobs/alice$", delay_s=0.2)
    call = asyncio.create_task(world.call("run", script=SCRIPT))
    await world.until(lambda: world.hub.seen("POST /api/jobs/alice$"))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    job = await world.submitted()
    world.hub.jobs.finish(job)
    await world.until(lambda: world.of(HfJobComplete))


async def test_a_detached_job_returns_at_once_and_its_end_is_told(world: JobWorld) -> None:
    output = await world.call("run", script=SCRIPT, detach=True)
    job = world.hub.jobs.last
    assert output.success and job.id in output.text and "cancel" in output.text and world.of(HfJobComplete) == []
    world.hub.jobs.start(job)
    world.hub.jobs.finish(job)
    await world.until(lambda: world.of(HfJobComplete))
    assert len(world.of(BudgetSettled)) == 1


async def test_twenty_jobs_are_followed_without_a_thread_each(world: JobWorld) -> None:
    """W10."""
    import threading

    calls = [asyncio.create_task(world.call("run", script=SCRIPT)) for _ in range(20)]
    await world.until(lambda: world.hub.jobs.connections == 20)
    hub_threads = [thread for thread in threading.enumerate() if thread.name.startswith("hub_")]
    assert len(hub_threads) <= 8
    for job in list(world.hub.jobs.jobs.values()):
        world.hub.jobs.finish(job)
    assert all(output.success for output in await asyncio.gather(*calls)) is True


async def test_uv_chatter_and_colours_are_folded_away_and_the_rest_can_be_paged(world: JobWorld) -> None:
    """W11."""
    chatter = ("Resolved 3 packages in 1s", "Downloading torch (800MiB)", "Installed 3 packages in 12ms")
    world.hub.jobs.plays = Play(lines=(*chatter, *(f"\x1b[32mstep {n}\x1b[0m" for n in range(5000))))
    output = await world.call("run", script=SCRIPT)
    assert len(output.text) < 12_000 and "step 4999" in output.text and "\x1b" not in output.text and "5,003" in output.text
    job_id = world.hub.jobs.last.id
    page = await world.call("logs", job_id=job_id, offset=1)
    assert "Lines 1-400 of 5,003" in page.text and "offset=401" in page.text and len(page.text) < 25_000
    tail = await world.call("logs", job_id=job_id, tail=3)
    assert "Log, the last 3 lines" in tail.text and "step 4997" in tail.text and "step 4996" not in tail.text


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_job_that_pushes_is_known_as_one_whether_it_is_a_script_or_a_command(world: JobWorld) -> None:
    pushing: list[dict[str, Any]] = [{"script": "model.push_to_hub('alice/x')"}, {"command": ["sh", "-c", "hf upload alice/x out"]}]
    for arguments in pushing:
        assert world.tool.risk(await world.planned(**arguments)).publishes
    assert not world.tool.risk(await world.planned(script="SFTConfig(push_to_hub=False)")).publishes
    world.hub.jobs.plays = Play()
    await world.call("run", **pushing[1])
    assert [event.push_to_hub for event in world.of(HfJobSubmit)] == [True]


async def test_what_was_shown_is_what_runs_even_when_the_file_changes_meanwhile(world: JobWorld) -> None:
    """W25, W36: a file of the workspace, byte for byte, read once."""
    text = "x = 'a\u2028b\x0c'\r\nprint(x)\n"
    (world.machine.root / "train.py").write_bytes(text.encode())
    args = await world.planned(script="train.py", script_args=["--lr", "1e-4"])
    shown = [item.text for item in world.tool.preview(args) if isinstance(item, Text)]
    assert shown[1] == text
    (world.machine.root / "train.py").write_text("evil()")
    edited = world.tool.parse_object({"operation": "run", "script": "train.py", "hardware_flavor": "t4-small"})
    args = await world.tool.prepare(edited, args)
    world.hub.jobs.plays = Play()
    await world.tool.run(args, world.calls.context)
    spec = world.hub.jobs.last.spec
    assert unpacked(spec["environment"]) == text and spec["flavor"] == "t4-small"
    assert spec["command"][4:] == ["uv", "run", "/tmp/ml-intern/train.py"]


async def test_one_line_of_code_is_code_and_a_path_that_is_not_there_is_an_error_before_anything_is_billed(world: JobWorld) -> None:
    """W13."""
    assert (await world.planned(script="print('hi')")).plan.request.script == "print('hi')"
    for path in ("scripts/train.py", "/app/train.py", "train", "no such file.py"):
        with pytest.raises(ToolError, match="does not exist"):
            await world.planned(script=path)
    with pytest.raises(ToolError, match="no Python"):
        await world.planned(script="please train a model")
    (world.machine.root / "empty.py").write_text("\n")
    with pytest.raises(ToolError, match=r"empty\.py is empty"):
        await world.planned(script="empty.py")
    assert world.hub.seen("POST") == []


async def test_credentials_are_no_scripts(world: JobWorld) -> None:
    (world.machine.home / ".ssh").mkdir()
    (world.machine.home / ".ssh" / "id_rsa").write_text("key")
    with pytest.raises(ToolError, match="credentials"):
        await world.planned(script=str(world.machine.home / ".ssh" / "id_rsa"))


async def test_a_url_and_a_command_go_as_they_are(world: JobWorld) -> None:
    """W12: no shell around them, and no switch for a package that the image may lack."""
    world.hub.jobs.plays = Play()
    await world.call("run", script="https://example.com/a b.py".replace(" ", "%20"), dependencies=["torch>=2.4"], python="3.12")
    assert world.hub.jobs.last.spec["command"] == ["uv", "run", "--with", "torch>=2.4", "--python", "3.12", "https://example.com/a%20b.py"]
    await world.call("run", command=["sh", "-c", "echo $PATH; exit 0"], image="pytorch/pytorch")
    spec = world.hub.jobs.last.spec
    assert spec["command"] == ["sh", "-c", "echo $PATH; exit 0"] and spec["dockerImage"] == "pytorch/pytorch"
    assert "HF_HUB_ENABLE_HF_TRANSFER" not in spec["environment"] and spec["environment"]["TQDM_DISABLE"] == "1"


async def test_the_token_goes_to_scripts_in_the_default_image_and_elsewhere_only_when_named(world: JobWorld) -> None:
    """W22, and W37: whatever the hardware is."""
    assert (await world.planned(script=SCRIPT)).plan.request.secrets == {"HF_TOKEN": FakeHub.TOKEN}
    assert (await world.planned(script=SCRIPT, image="someone/image")).plan.request.secrets == {}
    assert (await world.planned(command=["env"])).plan.request.secrets == {}
    named = await world.planned(command=["env"], image="someone/image", secrets={"TOKEN": "$HF_TOKEN", "OTHER": "x"})
    assert named.plan.request.secrets == {"TOKEN": FakeHub.TOKEN, "OTHER": "x"}
    (summary,) = world.tool.preview(named)
    assert isinstance(summary, Text) and "token goes with it, as TOKEN" in summary.text and "OTHER" in summary.text
    assert "token goes with it" in world.tool.risk(named).reason
    with pytest.raises(ToolError, match="names a variable"):
        await world.planned(command=["env"], secrets={"KEY": "$WANDB_API_KEY"})


async def judged(world: JobWorld, rules: Permissions, mode: Mode, **arguments: Any) -> Outcome:
    args = await world.planned(**arguments)
    return rules.judge("hf_jobs", world.tool.subject(args), world.tool.risk(args), mode).outcome


async def test_a_rule_for_hardware_does_not_give_the_token_to_code_that_nobody_saw(world: JobWorld) -> None:
    """W22."""
    rules = Permissions(allow=["hf_jobs(run *)"])

    async def outcome(**arguments: Any) -> Outcome:
        return await judged(world, rules, Mode.ASK, **arguments)

    assert await outcome(script=SCRIPT) is Outcome.ALLOW
    assert await outcome(command=["env"], image="someone/image") is Outcome.ALLOW
    assert await outcome(command=["env"], image="someone/image", secrets={"HF_TOKEN": "$HF_TOKEN"}) is Outcome.ASK
    assert await outcome(script="https://example.com/train.py") is Outcome.ALLOW, "no token goes there unasked"
    assert await outcome(script="https://example.com/train.py", secrets={"HF_TOKEN": ""}) is Outcome.ASK


@pytest.mark.parametrize(
    "unseen",
    [
        {"command": ["env"], "image": "someone/image", "secrets": {"X": "$HF_TOKEN"}},
        {"script": "https://example.com/train.py", "secrets": {"X": "$HF_TOKEN"}},
        {"script": SCRIPT, "env": {"HF_ENDPOINT": "https://example.com"}},
        {"script": SCRIPT, "env": {"UV_INDEX_URL": "https://example.com/simple"}},
        {"script": SCRIPT, "env": {"PIP_EXTRA_INDEX_URL": "https://example.com/simple"}},
        {"script": SCRIPT, "env": {"https_proxy": "http://example.com"}},
    ],
)
async def test_the_token_goes_to_code_that_nobody_saw_only_when_a_person_says_so(world: JobWorld, unseen: dict[str, Any]) -> None:
    """W22: neither a rule for hardware nor a budget contains what the token can do."""
    assert await judged(world, Permissions(), Mode.CONTAINED, **unseen) is Outcome.ASK
    assert await judged(world, Permissions(allow=["hf_jobs(run *)"]), Mode.ASK, **unseen) is Outcome.ASK


async def test_a_script_that_was_read_here_and_a_job_without_the_token_are_contained_by_the_budget(world: JobWorld) -> None:
    assert await judged(world, Permissions(), Mode.CONTAINED, script=SCRIPT, env={"SEED": "1"}) is Outcome.ALLOW
    assert await judged(world, Permissions(), Mode.CONTAINED, script="https://example.com/train.py") is Outcome.ALLOW
    assert (await world.planned(script="https://example.com/train.py")).plan.request.secrets == {}


async def test_an_approval_shows_every_variable(world: JobWorld) -> None:
    env = {**{f"A{number}": "1" for number in range(40)}, "HF_ENDPOINT": "https://example.com", "B": "1\nImage: python"}
    summary = world.tool.preview(await world.planned(script=SCRIPT, env=env))[0]
    assert isinstance(summary, Text) and "HF_ENDPOINT=https://example.com" in summary.text and "A39=1" in summary.text
    assert r"B='1\nImage: python'" in summary.text


async def test_secrets_are_in_no_event_and_no_answer(world: JobWorld) -> None:
    world.hub.jobs.plays = Play()
    output = await world.call("run", script=SCRIPT, secrets={"KEY": "s3cret-value"})
    inspected = await world.call("inspect", job_id=world.hub.jobs.last.id)
    everything = f"{output} {inspected} {world.calls.emitted} {world.calls.reported}"
    assert "s3cret-value" not in everything and FakeHub.TOKEN not in everything
    assert world.hub.jobs.last.spec["secrets"] == {"KEY": "s3cret-value", "HF_TOKEN": FakeHub.TOKEN}


async def test_without_the_users_leave_no_token_is_forwarded(world: JobWorld, tmp_path: Path) -> None:
    other = JobWorld(world.hub, world.machine, forward=False)
    try:
        assert (await other.planned(script=SCRIPT)).plan.request.secrets == {}
        with pytest.raises(ToolError, match="no token"):
            await other.planned(command=["env"], secrets={"HF_TOKEN": "$HF_TOKEN"})
    finally:
        await other.aclose()


async def test_trackio_reaches_the_job_and_its_dashboard_is_made_first(world: JobWorld) -> None:
    """W37."""
    world.hub.jobs.plays = Play()
    await world.call("run", script=SCRIPT, trackio_space_id="alice/runs", trackio_project="sft")
    env = world.hub.jobs.last.spec["environment"]
    assert (env["TRACKIO_SPACE_ID"], env["TRACKIO_PROJECT"], world.seeded) == ("alice/runs", "sft", ["alice/runs"])
    assert world.of(ToolStateChange)[0].trackio_space_id == "alice/runs"
