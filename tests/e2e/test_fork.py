"""What a fork takes over of its parent, and what stays with it."""

from __future__ import annotations

import os
from pathlib import Path

from ml_intern.app import Factory
from ml_intern.config.load import load_settings
from ml_intern.protocol.events import UserMessageAdded
from ml_intern.protocol.messages import UserMessage
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled, HfJobSubmit, SandboxCreate
from ml_intern.stores.sqlite import SqliteStore
from ml_intern.testing.model_server import ModelServer

from .command import Command

JOB = HfJobSubmit(
    job_id="j1",
    job_url="",
    flavor="t4-small",
    timeout="1h",
    job_type="python",
    image="",
    namespace="alice",
    push_to_hub=False,
    reservation_id="call_1",
)
SANDBOX = SandboxCreate(sandbox_id="b1", hardware="t4-small", create_latency_s=1.0, namespace="alice", reservation_id="call_2")


async def test_jobs_sandboxes_and_their_money_stay_with_the_parent_of_a_fork(home: Path, tmp_path: Path) -> None:
    """Else two sessions look after them, and either of them may end what the other one works in."""
    async with ModelServer() as server:
        command = Command(home, tmp_path / "w", server)
        factory = Factory(load_settings(frontend="cli", cwd=command.folder, environ=dict(os.environ)))
        parent = await factory.new()
        money = [BudgetReserved(reservation_id=f"call_{number}", amount_usd=0.4, kind="hf_jobs") for number in (1, 2, 3)]
        await parent.log.append(UserMessageAdded(content="Train."), *money, JOB, SANDBOX)
        fork = await factory.fork(parent, None)
        assert (fork.state.jobs, fork.state.sandboxes) == ({}, {})
        assert (fork.state.spending.reserved, fork.state.spending.held) == ({}, set())
        assert fork.state.spending.spent_usd == 0
        assert [message.text for message in fork.state.history.messages if isinstance(message, UserMessage)] == ["Train."]
        assert (list(parent.state.jobs), list(parent.state.sandboxes)) == (["j1"], ["b1"])
        await fork.aclose()
        again = await factory.resume(fork.log.session_id)
        assert (again.state.jobs, again.state.sandboxes, again.state.spending.reserved) == ({}, {}, {})
        for session in (again, parent):
            await session.aclose()
        await factory.aclose()


async def test_money_that_a_fork_inherited_is_in_the_list_once(home: Path, tmp_path: Path) -> None:
    async with ModelServer() as server:
        command = Command(home, tmp_path / "w", server)
        loaded = load_settings(frontend="cli", cwd=command.folder, environ=dict(os.environ))
        factory, store = Factory(loaded), SqliteStore(loaded.paths.sessions_db)
        parent = await factory.new()
        await parent.log.append(UserMessageAdded(content="Train."), *_cost("call_1", 0.5))
        fork = await factory.fork(parent, None)
        assert fork.state.spending.spent_usd == 0.5
        listed = {record.id: record.cost_usd for record in await store.sessions()}
        assert listed == {parent.log.session_id: 0.5, fork.log.session_id: 0.0}
        await fork.log.append(*_cost("call_2", 0.25))
        await fork.aclose()
        again = await factory.resume(fork.log.session_id)
        await again.log.append(*_cost("call_3", 0.25))
        listed = {record.id: record.cost_usd for record in await store.sessions()}
        assert listed == {parent.log.session_id: 0.5, fork.log.session_id: 0.5}
        for session in (again, parent):
            await session.aclose()
        await store.aclose()
        await factory.aclose()


def _cost(name: str, amount_usd: float) -> tuple[BudgetReserved, BudgetSettled]:
    """A job's money, from set aside to spent."""
    reserved = BudgetReserved(reservation_id=name, amount_usd=1.0, kind="hf_jobs")
    return reserved, BudgetSettled(reservation_id=name, actual_usd=amount_usd)
