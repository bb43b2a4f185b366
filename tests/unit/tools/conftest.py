from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.compute.local import LocalWorkspace
from tests.workspaces import Calls, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(base=tmp_path)


@pytest.fixture
async def workspace(machine: Machine) -> AsyncIterator[LocalWorkspace]:
    workspace = machine.bare()
    yield workspace
    await workspace.aclose()


@pytest.fixture
def calls() -> Calls:
    return Calls()
