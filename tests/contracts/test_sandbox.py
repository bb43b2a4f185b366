"""The remote sandbox against the fake Hub, through the real client library: its life, its money, and what the original got wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ml_intern.errors import NoCreditsError, ServiceDown, ServiceError, ToolError
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled, SandboxCreate, SandboxDestroy
from ml_intern.testing.fake_hub.server import FakeHub
from ml_intern.tools.base import Effect
from ml_intern.tools.sandbox.create import SandboxCreateArgs, SandboxCreateTool
from tests.sandboxes import SandboxWorld, sandbox_world
from tests.workspaces import Calls


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SandboxWorld]:
    async with sandbox_world(tmp_path, monkeypatch) as made:
        yield made


async def until(what: Callable[[], object]) -> None:
    """Give the loop to others until it is so; the test's own time-out bounds it."""
    while not what():
        await asyncio.sleep(0.01)


# ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_started_before_the_first_use_and_one_sandbox_serves_all(world: SandboxWorld) -> None:
    lease = world.lease()
    workspace = world.workspace(lease)
    await workspace.ready()
    assert (workspace.confined, workspace.resolve("x/../y.py")) == (True, world.layout.root / "y.py")
    assert world.sandboxes.all == []
    results = await asyncio.gather(*(workspace.exec(f"echo {number}") for number in range(4)))
    assert [result.head for result in results] == ["0\n", "1\n", "2\n", "3\n"]
    (job,) = world.sandboxes.alive
    assert job.spec["labels"]["ml-intern-session"] == "s1"
    (created,) = world.log.of(SandboxCreate)
    assert isinstance(created, SandboxCreate)
    assert (created.sandbox_id, created.hardware, created.namespace) == (job.id, "cpu-basic", "alice")
    assert created.tool_call_id == "", "no call asked for it"


async def test_the_log_says_which_call_asked_for_a_sandbox_and_what_an_hour_costs(world: SandboxWorld) -> None:
    lease = world.lease()
    await lease.create("t4-small", call_id="call_7")
    (created,) = world.log.of(SandboxCreate)
    assert isinstance(created, SandboxCreate)
    assert (created.tool_call_id, created.price_usd_per_hour) == ("call_7", lease.price("t4-small"))
    assert created.price_usd_per_hour is not None


async def test_the_end_of_the_session_deletes_the_sandbox_and_then_says_so(world: SandboxWorld) -> None:
    lease = world.lease()
    await lease.create("cpu-basic")
    await lease.aclose()
    assert world.sandboxes.alive == []
    assert world.log.state.sandboxes == {}
    await lease.aclose()
    assert len(world.log.of(SandboxDestroy)) == 1


async def test_a_deletion_that_fails_is_tried_again(world: SandboxWorld) -> None:
    lease = world.lease()
    await lease.create("cpu-basic")
    world.hub.fail("POST .*/cancel", status=503, times=2)
    await lease.aclose()
    assert world.sandboxes.alive == []
    assert len(world.log.of(SandboxDestroy)) == 1


async def test_a_sandbox_that_cannot_be_deleted_is_never_written_down_as_deleted(world: SandboxWorld) -> None:
    """W5: the original's record said "destroyed" after three failed deletions, so that nobody looked again."""
    lease = world.lease()
    await lease.create("t4-small")
    fault = world.hub.fail("POST .*/cancel", status=200, body={}, times=100)
    await lease.aclose()
    assert world.log.of(SandboxDestroy) == []
    assert list(world.log.state.sandboxes) == [world.sandboxes.alive[0].id]
    assert "ml-intern cleanup" in world.log.said
    fault.times = 0
    await world.lease(resumed=True).aclose()
    assert world.sandboxes.alive == []
    assert world.log.state.sandboxes == {}


async def test_a_sandbox_that_dies_while_it_starts_is_not_left_behind(world: SandboxWorld) -> None:
    """W4: the original left a failed creation running and billed."""
    world.sandboxes.wrong.dies_at_start = True
    with pytest.raises(ServiceError, match="terminated during startup"):
        await world.lease().create("t4-small")
    assert world.sandboxes.alive == []
    assert (world.log.state.sandboxes, world.log.state.spending.reserved) == ({}, {})


async def test_a_cancelled_creation_leaves_nothing_that_is_billed(world: SandboxWorld) -> None:
    """W4: cancelled while the machine boots, the sandbox is deleted before the cancellation goes on."""
    world.sandboxes.wrong.never_ready = True
    task = asyncio.ensure_future(world.lease().create("t4-small"))
    await until(lambda: world.log.of(SandboxCreate))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(world.sandboxes.all) == 1
    assert world.sandboxes.alive == []
    assert (world.log.state.sandboxes, world.log.state.spending.reserved) == ({}, {})


async def test_a_creation_cancelled_while_the_hub_thinks_is_undone_once_it_answers(world: SandboxWorld) -> None:
    """W4: the answer of the Hub comes after the cancellation, and still its sandbox is deleted."""
    world.hub.fail("POST /api/jobs/alice$", delay_s=0.3)
    task = asyncio.ensure_future(world.lease().create("t4-small"))
    await until(lambda: world.hub.seen("POST /api/jobs/alice$"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(world.sandboxes.all) == 1
    assert world.sandboxes.alive == []
    assert world.log.state.spending.reserved == {}


async def test_an_account_without_credits_is_told_so_and_nothing_is_spent(world: SandboxWorld) -> None:
    world.hub.accounts[FakeHub.TOKEN].credits = False
    with pytest.raises(NoCreditsError):
        await world.lease().create("t4-small")
    assert world.log.state.spending.reserved == {}
    assert world.log.state.spending.spent_usd == 0


# ── after a crash ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_sandbox_of_the_log_is_connected_to_again_with_its_files(world: SandboxWorld) -> None:
    first = world.workspace(world.lease())
    await first.exec("echo kept > notes.txt")
    second = world.workspace(world.lease(resumed=True))
    assert (await second.exec("cat notes.txt")).head == "kept\n"
    assert len(world.sandboxes.all) == 1
    assert "again" in world.log.said


async def test_a_sandbox_started_a_moment_before_a_crash_is_found_by_its_label(world: SandboxWorld) -> None:
    await world.lease().create("cpu-basic")
    world.log.events.clear()
    world.log.state.sandboxes.clear()
    found = await world.lease(resumed=True).machine()
    assert [job.id for job in world.sandboxes.all] == [found.id]
    assert list(world.log.state.sandboxes) == [found.id]


async def test_a_sandbox_that_is_gone_is_said_to_be_gone_and_the_next_command_starts_another(world: SandboxWorld) -> None:
    workspace = world.workspace(world.lease())
    await workspace.exec("touch here")
    world.hub.jobs.finish(world.sandboxes.alive[0], "ERROR", "idle for too long")
    with pytest.raises(ServiceDown, match=r"is gone .*idle for too long.*its files with it"):
        await workspace.exec("true")
    assert world.log.state.sandboxes == {}
    assert (await workspace.exec("echo new")).head == "new\n"
    assert len(world.sandboxes.all) == 2


# ── money ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_hour_is_reserved_before_it_starts_and_settled_by_what_was_used(world: SandboxWorld) -> None:
    await world.log.cap(1.0)
    lease = world.lease()
    await lease.create("t4-small")
    assert world.log.state.spending.remaining_usd == pytest.approx(0.6)
    world.time.move(minutes=30)
    await lease.aclose()
    assert world.log.state.spending.spent_usd == pytest.approx(0.2, abs=0.01)
    (gone,) = world.log.of(SandboxDestroy)
    assert isinstance(gone, SandboxDestroy)
    assert gone.estimated_cost_usd == pytest.approx(0.2, abs=0.01)


async def test_the_next_hour_is_reserved_ahead_for_as_long_as_it_lives(world: SandboxWorld) -> None:
    await world.log.cap(5.0)
    lease = world.lease()
    await lease.create("t4-small")
    for hours in (1, 2):
        await until(lambda: world.time.sleepers)
        world.time.move(minutes=59)
        await until(lambda hours=hours: len(world.log.of(BudgetReserved)) == hours + 1)
    world.time.move(minutes=2)
    await lease.aclose()
    assert len(world.log.of(BudgetSettled)) == 3
    assert world.log.state.spending.reserved == {}
    assert world.log.state.spending.spent_usd == pytest.approx(0.8, abs=0.02)


async def test_a_cap_that_leaves_no_further_hour_gives_the_sandbox_back_and_keeps_its_files(world: SandboxWorld) -> None:
    await world.log.cap(0.5)
    lease = world.lease()
    await lease.create("t4-small")
    await world.workspace(lease).exec("echo weights > model.bin")
    await until(lambda: world.time.sleepers)
    world.time.move(minutes=59)
    await until(lambda: world.log.of(SandboxDestroy))
    assert world.sandboxes.alive == []
    (archive,) = (world.base / "spill").glob("sandbox_*.tar.gz")
    assert str(archive) in world.log.said
    with pytest.raises(ToolError, match="cost cap"):
        await lease.create("t4-small")


async def test_an_unknown_price_never_passes_a_cap(world: SandboxWorld) -> None:
    await world.log.cap(100.0)
    with pytest.raises(ToolError, match="not known"):
        await world.lease().create("h100x8")
    assert world.sandboxes.all == []


async def test_upgrading_a_free_sandbox_is_never_free(world: SandboxWorld) -> None:
    """W3: with a CPU sandbox active, the original took any upgrade for free and approved it unasked."""
    lease = world.lease()
    await lease.create("cpu-basic")
    tool = SandboxCreateTool(lease)
    risk = tool.risk(SandboxCreateArgs(hardware="a100-large"))
    assert Effect.SPENDS in risk.effects
    assert risk.cost_usd == 2.5
    unknown = tool.risk(SandboxCreateArgs(hardware="b200x8"))
    assert Effect.SPENDS in unknown.effects
    assert unknown.cost_usd is None


# ── another size ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_other_hardware_takes_the_files_along_and_the_old_sandbox_goes(world: SandboxWorld) -> None:
    """W35: the original deleted all files when it went from CPU to GPU."""
    lease = world.lease()
    workspace = world.workspace(lease)
    await workspace.exec("mkdir -p data; echo rows > data/train.csv; ln -s data/train.csv link")
    tool = SandboxCreateTool(lease)
    output = await tool.run(SandboxCreateArgs(hardware="t4-small"), Calls().context)
    assert "replaced the cpu-basic" in output.text
    assert "2 files" in output.text
    assert [job.spec["flavor"] for job in world.sandboxes.alive] == ["t4-small"]
    assert (await workspace.exec("cat link")).head == "rows\n"
    assert [event.hardware for event in world.log.of(SandboxDestroy) if isinstance(event, SandboxDestroy)] == ["cpu-basic"]


async def test_background_commands_of_the_old_sandbox_are_said_to_have_ended_with_it(world: SandboxWorld) -> None:
    """W35: nothing is lost in silence."""
    lease = world.lease()
    workspace = world.workspace(lease)
    command = await workspace.start("sleep 60")
    output = await SandboxCreateTool(lease).run(SandboxCreateArgs(hardware="t4-small"), Calls().context)
    assert "1 background commands ended with the old one" in output.text
    await workspace.aclose()
    assert command.result is not None
    assert "lost" in command.result.head


async def test_an_upgrade_that_fails_leaves_the_old_sandbox_in_place(world: SandboxWorld) -> None:
    """W35: the original had none left after a failed upgrade, and every later call said that it was starting."""
    lease = world.lease()
    workspace = world.workspace(lease)
    await workspace.exec("echo kept > notes.txt")
    world.sandboxes.wrong.dies_at_start = True
    with pytest.raises(ServiceError):
        await lease.create("t4-small")
    assert lease.hardware == "cpu-basic"
    assert (await workspace.exec("cat notes.txt")).head == "kept\n"
    assert [job.spec["flavor"] for job in world.sandboxes.alive] == ["cpu-basic"]


async def test_the_dashboard_reaches_commands_also_of_a_sandbox_that_was_there_before(world: SandboxWorld) -> None:
    """W37: the original accepted Trackio ids for a sandbox that was active, and did nothing with them."""
    lease = world.lease()
    workspace = world.workspace(lease)
    await workspace.exec("true")
    seeded: list[str] = []

    async def seed(space_id: str) -> None:
        seeded.append(space_id)

    calls = Calls()
    args = SandboxCreateArgs(trackio_space_id="alice/ml-intern-12345678", trackio_project="run")
    output = await SandboxCreateTool(lease, seed_dashboard=seed).run(args, calls.context)
    assert "active already" in output.text
    assert "is set for every command" in output.text
    assert seeded == ["alice/ml-intern-12345678"]
    assert (await workspace.exec("echo $TRACKIO_SPACE_ID $TRACKIO_PROJECT")).head == "alice/ml-intern-12345678 run\n"
    assert len(calls.emitted) == 1


async def test_a_dashboard_that_cannot_be_made_starts_nothing(world: SandboxWorld) -> None:
    """W23: a Space that is not ours is refused by whoever seeds it; the sandbox is not started as if nothing had happened."""

    async def refuse(space_id: str) -> None:
        raise ToolError(f"{space_id} is not a dashboard of ours.")

    tool = SandboxCreateTool(world.lease(), seed_dashboard=refuse)
    with pytest.raises(ToolError, match="not a dashboard"):
        await tool.run(SandboxCreateArgs(trackio_space_id="bob/app"), Calls().context)
    assert world.sandboxes.all == []


async def test_the_sandbox_can_be_looked_at_and_given_back_early(world: SandboxWorld) -> None:
    tool = SandboxCreateTool(world.lease(), flavors=lambda: ("cpu-basic", "t4-small"))
    assert "no sandbox" in (await tool.run(SandboxCreateArgs(operation="status"), Calls().context)).text
    with pytest.raises(ToolError, match="There are: cpu-basic, t4-small"):
        await tool.run(SandboxCreateArgs(hardware="gpu"), Calls().context)
    await tool.run(SandboxCreateArgs(), Calls().context)
    assert "active and answers" in (await tool.run(SandboxCreateArgs(operation="status"), Calls().context)).text
    assert "was deleted" in (await tool.run(SandboxCreateArgs(operation="delete"), Calls().context)).text
    assert world.sandboxes.alive == []
