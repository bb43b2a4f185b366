"""What the user says about sharing while a session runs holds at once, in that session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.errors import ConfigError
from ml_intern.gateways.hub.client import HubClient
from ml_intern.session.clock import SystemClock
from ml_intern.session.scrub import Scrubber
from ml_intern.session.session_traces import SessionTraces
from ml_intern.session.trace_sharing import TraceSharing
from ml_intern.session.trace_switch import TraceSwitch
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_hub.server import FakeAccount
from tests.flows.support import Build, FakePort, World, build
from tests.flows.test_traces import SHARING, TOKEN, Heard


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub(accounts={FakeHub.TOKEN: FakeAccount(name="alice")}) as served:
        yield served


class Answers:
    """A session that follows what the user says about sharing while it runs."""

    def __init__(self, world: World, hub: FakeHub, tmp_path: Path) -> None:
        self.yes: bool | None = False
        """None: the settings cannot be read."""
        self._world, self._hub, self._tmp_path = world, hub, tmp_path
        self._clients: list[HubClient] = []
        self.at_end: list[str] = []
        self.switch = TraceSwitch(None, self._agreed)

    async def say(self, yes: bool | None) -> None:
        self.yes = yes
        await self.switch.review()

    async def _agreed(self) -> Callable[[], SessionTraces] | None:
        if self.yes is None:
            raise ConfigError("The settings cannot be read.")
        return self._make if self.yes else None

    def _make(self) -> SessionTraces:
        self._clients.append(HubClient(self._hub.url, TOKEN))
        sharing = TraceSharing(SHARING, self._clients[-1], Environ({}), self._tmp_path / "data", SystemClock())
        return SessionTraces(self._world.session.log, SHARING, sharing, Scrubber().scrub_event, at_end=self.at_end.append)

    async def close(self) -> None:
        await self._world.close()
        await self.switch.aclose()
        for client in self._clients:
            await client.aclose()


async def test_a_yes_holds_in_the_running_session_and_after_a_no_not_one_request_is_made(hub: FakeHub, tmp_path: Path) -> None:
    world = await build(Build(tmp_path=tmp_path, port=FakePort("one", "two", "three", "four")))
    answers = Answers(world, hub, tmp_path)
    heard = Heard(hub)
    await world.say("before")
    assert not hub.requests
    await answers.say(True)
    assert not hub.requests, "what was before goes with the next turn"
    await world.say("shared")
    await heard.until_said("two")
    await answers.say(False)
    count = len(hub.requests)
    await world.say("kept here")
    await answers.close()
    assert len(hub.requests) == count and "three" not in heard.said()


async def test_settings_that_cannot_be_read_end_the_sharing_and_say_so(hub: FakeHub, tmp_path: Path) -> None:
    world = await build(Build(tmp_path=tmp_path, port=FakePort("one")))
    answers = Answers(world, hub, tmp_path)
    await answers.say(True)
    with pytest.raises(ConfigError):
        await answers.say(None)
    await world.say("kept here")
    await answers.close()
    assert not hub.requests
