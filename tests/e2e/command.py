"""The installed command as a process, pointed at a model server on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.testing.model_server import ModelServer

PATIENCE_S = 30


@dataclass
class Finished:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of ``--json``."""
        return [json.loads(line) for line in self.stdout.splitlines()]


class Command:
    """Starts ``ml-intern`` in ``folder``; settings name the profile ``local``, which is the model server."""

    def __init__(self, home: Path, folder: Path, server: ModelServer) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        config = home / ".config" / "ml-intern" / "cli_agent_config.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps({"model_name": "local/m", "providers": {"local": {"base_url": server.v1}}}))

    async def start(self, *arguments: str) -> Process:
        """A running command; its group is its own, as a shell's job would be."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ml_intern", *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE,
            cwd=self.folder, start_new_session=True, limit=2**26,
        )  # fmt: skip

    async def run(self, *arguments: str) -> Finished:
        """A command to its end."""
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(), err.decode())


async def read_events(process: Process, until: str, count: int = 1) -> list[dict[str, Any]]:
    """What ``--json`` prints up to the ``count``-th event of that type."""
    assert process.stdout is not None
    events: list[dict[str, Any]] = []
    while sum(event["type"] == until for event in events) < count:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert line, f"the command ended before '{until}': {[event['type'] for event in events]}"
        events.append(json.loads(line))
    return events


async def kill(process: Process) -> None:
    """``kill -9`` of the command alone, not of what it started."""
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
