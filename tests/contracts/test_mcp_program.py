"""A server that is a program, from its start to its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ml_intern.mcp.program import open_program
from tests.workspaces import processes_in

PATH = {"PATH": os.defpath}


async def test_a_program_that_ends_when_its_input_does_ends_without_a_word(tmp_path: Path) -> None:
    async with open_program(["sh", "-c", "cat; touch ended"], env=PATH, cwd=tmp_path, errors=sys.stderr):
        pass
    assert (tmp_path / "ended").exists()


async def test_a_program_that_does_not_heed_the_end_of_its_input_is_ended_with_its_children(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 1000 & echo started; wait"]
    async with open_program(command, env=PATH, cwd=tmp_path, errors=sys.stderr) as (incoming, _):
        await incoming.receive()
        assert len(processes_in(tmp_path)) == 2
    assert processes_in(tmp_path) == []


async def test_a_program_that_never_stops_talking_can_be_ended(tmp_path: Path) -> None:
    async with open_program(["sh", "-c", "exec yes"], env=PATH, cwd=tmp_path, errors=sys.stderr) as (incoming, _):
        assert isinstance(await incoming.receive(), Exception), "no message of the protocol"
