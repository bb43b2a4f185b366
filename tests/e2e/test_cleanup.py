"""``ml-intern cleanup`` as a process: what crashed sessions left on the (fake) Hub is listed, then deleted, then forgotten."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml_intern.protocol.codec import SCHEMA_VERSION, encode_data
from ml_intern.protocol.events import ResumedFrom
from ml_intern.protocol.resource_events import BudgetReserved, SandboxCreate
from ml_intern.stores.base import SessionRecord, StoredEvent
from ml_intern.stores.sqlite import SqliteStore
from ml_intern.testing.fake_hub.jobs import FakeJob
from ml_intern.testing.fake_hub.server import FakeHub

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Left:
    """A Hub, and the store of a machine."""

    hub: FakeHub
    store_path: Path

    def sandbox(self, session: str, flavor: str = "t4-small") -> FakeJob:
        labels = {"hf-sandbox": "1", "hf-sandbox-mode": "dedicated", "ml-intern-session": session}
        job = self.hub.jobs.add("alice", {"command": ["x"], "dockerImage": "python:3.12", "flavor": flavor, "labels": labels})
        job.created_at -= timedelta(hours=2)
        self.hub.jobs.start(job)
        return job

    async def session(self, name: str, *jobs: FakeJob) -> None:
        store = SqliteStore(self.store_path)
        record = SessionRecord(id=name, created_at=START, updated_at=START, cwd="/", model="m", reserved_usd=0.4 * len(jobs))
        await store.create(record)
        await store.acquire(name)
        events = [
            event
            for job in jobs
            for event in (
                BudgetReserved(reservation_id=f"r-{job.id}", amount_usd=0.4, kind="sandbox"),
                SandboxCreate(
                    sandbox_id=job.id, hardware=job.spec["flavor"], create_latency_s=1, namespace="alice", reservation_id=f"r-{job.id}"
                ),
            )
        ]
        rows = [StoredEvent(seq, START, event.wire, encode_data(event), SCHEMA_VERSION) for seq, event in enumerate(events, 1)]
        await store.append(name, rows)
        await store.aclose()

    async def money(self, name: str) -> tuple[float, float]:
        """What the list of sessions tells: spent, and set aside."""
        store = SqliteStore(self.store_path)
        record = await store.record(name)
        await store.aclose()
        return record.cost_usd, record.reserved_usd

    async def events(self, name: str) -> list[tuple[str, dict[str, object]]]:
        store = SqliteStore(self.store_path)
        rows = await store.load(name)
        await store.aclose()
        return [(row.type, json.loads(row.data)) for row in rows]

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        environment = {**os.environ, "HF_ENDPOINT": self.hub.url, "HF_TOKEN": FakeHub.TOKEN}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ml_intern", "cleanup", *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def left(home: Path) -> AsyncIterator[Left]:
    path = home / ".local" / "share" / "ml-intern" / "sessions.db"
    path.parent.mkdir(parents=True)
    async with FakeHub() as hub:
        yield Left(hub, path)


async def test_a_sandbox_left_by_a_crash_is_listed_and_deleted_only_on_demand(left: Left) -> None:
    """W5: what the log calls alive is looked for until the Hub says that it is gone."""
    job = left.sandbox("crashed")
    await left.session("crashed", job)
    code, out, err = await left.run()
    assert code == 0
    assert job.id in out
    assert "2.0 h" in out
    assert "$0.80" in out
    assert "--yes" in err
    assert not job.is_over
    code, out, _ = await left.run("--yes")
    assert (code, job.stage) == (0, "CANCELED")
    assert "deleted" in out
    settled, destroyed = (await left.events("crashed"))[-2:]
    assert settled[0] == "budget_settled"
    assert settled[1]["actual_usd"] == pytest.approx(0.8, abs=0.01)
    assert destroyed[0] == "sandbox_destroy"
    assert await left.money("crashed") == (pytest.approx(0.8, abs=0.01), 0.0)
    assert "No session left" in (await left.run())[1]


async def test_one_that_never_reached_the_log_is_found_by_its_label_and_others_machines_are_spared(left: Left) -> None:
    await left.session("mine")
    mine, theirs = left.sandbox("mine"), left.sandbox("theirs")
    code, out, _ = await left.run("--yes", "--json")
    found = {item["id"]: item["outcome"] for item in json.loads(out)}
    assert code == 0
    assert found[mine.id] == "deleted"
    assert "--others" in found[theirs.id]
    assert (mine.is_over, theirs.is_over) == (True, False)
    assert (await left.run("--yes", "--others"))[0] == 0
    assert theirs.is_over


async def test_one_that_cannot_be_deleted_fails_the_command_and_stays_in_the_log(left: Left) -> None:
    job = left.sandbox("crashed")
    await left.session("crashed", job)
    left.hub.fail("POST .*/cancel", status=503, times=50)
    code, out, _ = await left.run("--yes")
    assert code == 1
    assert "failed" in out
    assert [name for name, _ in await left.events("crashed")] == ["budget_reserved", "sandbox_create"]
    assert await left.money("crashed") == (0.0, 0.4)


async def test_the_sandbox_of_an_open_session_is_nobodys_orphan(left: Left) -> None:
    job = left.sandbox("open")
    await left.session("open", job)
    store = SqliteStore(left.store_path)
    await store.acquire("open")
    assert "No session left" in (await left.run("--yes"))[1]
    assert not job.is_over
    await store.aclose()


@pytest.mark.parametrize("first", ["open", "other"])
async def test_a_sandbox_that_an_open_session_uses_is_spared_also_where_another_log_names_it(left: Left, first: str) -> None:
    job = left.sandbox("open")
    for name in sorted(("open", "other"), key=lambda name: name != first):
        await left.session(name, job)
    store = SqliteStore(left.store_path)
    await store.acquire("open")
    assert "No session left" in (await left.run("--yes"))[1]
    assert not job.is_over
    await store.aclose()


async def test_a_fork_left_no_sandbox_of_its_parent_behind(left: Left) -> None:
    """What its log copied of the parent is the parent's."""
    job = left.sandbox("parent")
    left.hub.jobs.finish(job)
    await left.session("fork", job)
    forked = ResumedFrom(path="parent", original_session_id="parent", original_event_count=2, forked=True)
    store = SqliteStore(left.store_path)
    await store.acquire("fork")
    await store.append("fork", [StoredEvent(3, START, forked.wire, encode_data(forked), SCHEMA_VERSION)])
    await store.aclose()
    assert "No session left" in (await left.run("--yes"))[1]
    assert len(await left.events("fork")) == 3
