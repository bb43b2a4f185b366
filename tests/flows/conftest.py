"""A factory of worlds that closes what it made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ml_intern.stores.base import EventStore

from .hook_support import Configure, hooks_in
from .joining_support import Live
from .support import Build, FakePort, Step, World, build

MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """``await world(step, step, …, tools=[…], …)``: a session whose model plays the steps."""
    made: list[World] = []

    async def make(
        *steps: Step,
        port: FakePort | None = None,
        window: int | None = None,
        price_usd: float | None = 0.0,
        store: EventStore | None = None,
        session_id: str = "s1",
        **how: Any,
    ) -> World:
        port = port or FakePort(*steps, window=window, price_usd=price_usd)
        made.append(await build(Build(tmp_path=tmp_path, port=port, **how), store=store, session_id=session_id))
        return made[-1]

    yield make
    for one in made:
        await one.close()
    for one in {(id(one.store), one.session.log.session_id): one for one in made}.values():
        await one.check_the_fold()  # of each session its last owner: that one's state is the log's


@pytest.fixture
def hooks(tmp_path: Path) -> Configure:
    """See ``hooks_in``."""
    return hooks_in(tmp_path)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    made = Live(tmp_path / "live")
    yield made
    for host in made.hosts:
        await host.aclose()
    for watcher in made.watchers:
        await watcher.end()
    await made.doors.close("s1")
