"""What a frontend holds: sessions come and go behind it, one at a time, and the stream of events goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ml_intern.errors import ConfigError, MlInternError, SessionClosed, StoreError
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.host import SessionHost
from ml_intern.session.session import Session
from ml_intern.session.state import SessionState

from .support import Build, FakePort, World, build


class Sessions:
    """A factory over worlds. Raises ``failure`` instead of opening."""

    def __init__(self, tmp_path: Path) -> None:
        self._tmp_path = tmp_path
        self.worlds: list[World] = []
        self.failure: MlInternError | None = None
        self.closed = 0

    async def new(self, after: SessionState | None = None) -> Session:
        if self.failure is not None:
            raise self.failure
        how = Build(tmp_path=self._tmp_path, port=FakePort("one", "two"))
        self.worlds.append(await build(how, session_id=f"s{len(self.worlds) + 1}"))
        await asyncio.sleep(0.01)
        return self.worlds[-1].session

    async def find(self, name: str) -> str:
        return self.worlds[-1].session.log.session_id if name == "last" else name

    async def resume_or_join(self, name: str) -> Session:
        return await self.new()

    async def fork(self, session: Session, at_seq: int | None) -> Session:
        return await self.new()

    async def aclose(self) -> None:
        self.closed += 1


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(tmp_path)


async def _host(sessions: Sessions) -> SessionHost:
    return SessionHost(sessions, await sessions.new())


@pytest.mark.parametrize("name", ["last", "s1"])
async def test_resuming_the_session_that_one_is_in_changes_nothing(sessions: Sessions, name: str) -> None:
    async with await _host(sessions) as host:
        await host.submit(op.Resume(path=name))
        said = await sessions.worlds[0].until(e.ErrorRaised)
        assert said.error.startswith("You are in it") and not said.ends_turn
        assert len(sessions.worlds) == 1
        assert isinstance(await sessions.worlds[0].say("still there?"), e.TurnComplete)


@pytest.mark.parametrize(
    ("operation", "what"), [(op.New(), "New chat"), (op.Resume(path="other"), "Resume"), (op.Fork(), "Fork")], ids=["new", "resume", "fork"]
)
async def test_what_cannot_be_opened_is_an_error_event_and_the_session_goes_on(
    sessions: Sessions, operation: op.AnyOperation, what: str
) -> None:
    async with await _host(sessions) as host:
        sessions.failure = ConfigError("The folder is gone.", hint="Bring it back.")
        await host.submit(operation)
        said = await sessions.worlds[0].until(e.ErrorRaised)
        assert said == e.ErrorRaised(
            error=f"{what} failed: The folder is gone.", hint="Bring it back.", kind="ConfigError", ends_turn=False
        )
        assert host.session_id == "s1"
        assert isinstance(await sessions.worlds[0].say("still there?"), e.TurnComplete)


async def test_a_resume_that_names_nothing_is_told_so(sessions: Sessions) -> None:
    async with await _host(sessions) as host:
        await host.submit(op.Resume())
        assert (await sessions.worlds[0].until(e.ErrorRaised)).hint


async def test_two_operations_at_once_leave_one_session_open(sessions: Sessions) -> None:
    async with await _host(sessions) as host:
        await asyncio.gather(host.submit(op.New()), host.submit(op.New()))
        assert [len(world.of(e.SessionShutdown)) for world in sessions.worlds] == [1, 1, 0]
        assert host.session_id == "s3"


async def test_a_slow_reader_gets_every_session_in_order_even_after_the_end(sessions: Sessions) -> None:
    host = await _host(sessions)
    events = host.events()
    await host.submit(op.New())
    await host.submit(op.Fork())
    await host.aclose()
    async with asyncio.timeout(5):
        seen = [(envelope.session, envelope.event.wire) async for envelope in events]
    assert seen == [("s1", "shutdown"), ("s2", "new_complete"), ("s2", "shutdown"), ("s3", "resume_complete"), ("s3", "shutdown")]


async def test_a_fork_says_so_and_names_its_parent(sessions: Sessions) -> None:
    async with await _host(sessions) as host:
        await host.submit(op.Fork())
        said = await sessions.worlds[1].until(e.ResumeComplete)
        assert (said.forked, said.path, said.session_id) == (True, "s1", "s2")


async def test_a_session_that_cannot_be_announced_is_given_up(sessions: Sessions) -> None:
    class Broken(Sessions):
        async def new(self, after: SessionState | None = None) -> Session:
            session = await super().new(after)
            if len(self.worlds) > 1:
                session.log.fail(StoreError("The disk is full."))
            return session

    broken = Broken(sessions._tmp_path)  # pyright: ignore[reportPrivateUsage]
    async with await _host(broken) as host:
        await host.submit(op.New())
        assert (await broken.worlds[0].until(e.ErrorRaised)).error == "New chat failed: The disk is full."
        assert host.session_id == "s1" and broken.worlds[1].port.closed


async def test_a_session_that_cannot_write_its_end_is_left_all_the_same(sessions: Sessions) -> None:
    async with await _host(sessions) as host:
        sessions.worlds[0].session.log.fail(StoreError("The lease is gone."))
        await host.submit(op.New())
        assert host.session_id == "s2" and sessions.worlds[0].port.closed
        assert "The lease is gone" in (await sessions.worlds[1].until(e.ErrorRaised)).error


async def test_a_second_close_waits_for_the_first(sessions: Sessions) -> None:
    host = await _host(sessions)
    first = asyncio.create_task(host.aclose())
    await asyncio.sleep(0)
    await host.aclose()
    assert sessions.closed == 1
    await first
    with pytest.raises(SessionClosed):
        await host.submit(op.New())


async def test_a_failure_while_closing_is_raised_once_and_everything_is_closed(sessions: Sessions) -> None:
    host = await _host(sessions)
    sessions.worlds[0].session.log.fail(StoreError("The disk is full."))
    with pytest.raises(StoreError):
        await host.aclose()
    await host.aclose()
    assert sessions.closed == 1 and sessions.worlds[0].port.closed


async def test_a_close_that_is_cancelled_is_finished_first(sessions: Sessions) -> None:
    host = await _host(sessions)
    closing = asyncio.create_task(host.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert sessions.closed == 1
