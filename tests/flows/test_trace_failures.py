"""What is said of an upload that failed when the session is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.config.settings import Settings
from ml_intern.protocol import events as e
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_hub.server import FakeAccount
from tests.flows.support import FakePort
from tests.flows.test_traces import REPO, open_shared


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub(accounts={FakeHub.TOKEN: FakeAccount(name="alice", orgs=("acme",))}) as served:
        yield served


async def test_a_failure_is_not_said_at_the_end_of_a_trace_that_was_sent_after_it(hub: FakeHub, tmp_path: Path) -> None:
    hub.fail("POST .*/(commit|preupload)/.*", times=1, status=403, body={"error": "write access is missing"})
    shared = await open_shared(hub, tmp_path, FakePort("one"))
    await shared.world.say("first")
    assert "was not sent" in (await shared.world.until(e.ToolLog)).log
    await shared.close()
    assert shared.said() == ["first", "one"] and shared.at_end == []


async def test_a_failure_is_said_at_the_end_although_the_other_dataset_got_the_trace(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos.create(REPO, "dataset")
    hub.repos.create("acme/all-sessions", "dataset")
    settings = Settings(share_traces=True, share_session_dataset=True, session_dataset_repo="acme/all-sessions")
    shared = await open_shared(hub, tmp_path, FakePort("one"), settings)
    await shared.world.say("first")
    await shared.world.until(e.ToolLog)
    await shared.close()
    assert hub.repos.files("acme/all-sessions", "dataset") and len(shared.at_end) == 1 and "is public" in shared.at_end[0], shared.at_end


async def test_what_a_turn_was_told_is_not_said_again_at_the_end_of_a_later_one(hub: FakeHub, tmp_path: Path) -> None:
    hub.fail("POST .*/(commit|preupload)/.*", times=1, status=403, body={"error": "write access is missing"})
    shared = await open_shared(hub, tmp_path, FakePort("one", "two"), close_s=0.2)
    await shared.world.say("first")
    assert "write access is missing" in (await shared.world.until(e.ToolLog)).log
    hub.fail(".*", times=99, hang=True)
    await shared.world.say("second")
    await shared.close()
    assert len(shared.at_end) == 1 and "too slow" in shared.at_end[0], shared.at_end
    hub.faults.clear()
