"""The demo's own host, which stands between a headless run and the session."""

from __future__ import annotations

import pytest

from ml_intern.frontends.demo import Overheard
from ml_intern.frontends.headless.options import Host
from tests.unit.frontends.fake_host import FakeHost, plays

NAMES = [name for name in vars(Host) if not name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
async def test_the_demos_host_has_all_that_a_headless_run_uses_of_one(name: str) -> None:
    host: Host = Overheard(FakeHost(plays()))
    assert hasattr(host, name)
