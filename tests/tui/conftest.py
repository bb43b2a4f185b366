"""Looks on while a test of ``matrix.py`` runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tui.driven import WatchedApp
from tests.tui.matrix import DRIVES


@pytest.fixture(autouse=True)
def it_drives_what_it_is_here_for(request: pytest.FixtureRequest) -> Iterator[None]:
    WatchedApp.driven.clear()
    yield
    missing = set(DRIVES.get(request.path.name, {}).get(request.node.name, ())) - WatchedApp.driven
    assert not missing, f"matrix.py says that this test drives {', '.join(sorted(missing))}, and it did not"
