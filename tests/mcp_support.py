"""What the tests of MCP share: the misbehaving servers as settings, and a session's servers around a temporary home."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from
from ml_intern.config.secret import SecretMap, SecretStr
from ml_intern.config.settings import McpServer
from ml_intern.mcp.adapt import McpTool
from ml_intern.mcp.servers import McpServers, Pace
from ml_intern.mcp.surroundings import HUGGING_FACE, Surroundings
from ml_intern.tools.base import ToolOutput
from tests.workspaces import Calls

HERE = Path(__file__).parent
PATIENCE_S = 20


def surroundings(folder: Path, *, token: str = "", endpoint: str = HUGGING_FACE, **variables: str) -> Surroundings:
    environ = Environ({"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder / "home"), **variables})
    return Surroundings(
        environ=environ, paths=paths_from(environ), cwd=folder, hub_endpoint=endpoint, hub_token=SecretStr(token) if token else None
    )


def tiny(diary: Path, *modes: str, **settings: Any) -> McpServer:
    """``tests/tiny_mcp.py``."""
    return McpServer(command=sys.executable, args=(str(HERE / "tiny_mcp.py"), str(diary), *modes), **settings)


def at(url: str, **settings: Any) -> McpServer:
    headers = SecretMap(settings.pop("headers", {}))
    return McpServer(url=url, headers=headers, **settings)


class Hours:
    """Time that passes when somebody says so."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        waked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now_s + seconds, waked))
        await waked

    async def asleep(self) -> None:
        """Until somebody sleeps."""
        while not [waked for _, waked in self._sleepers if not waked.done()]:
            await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        for until_s, waked in self._sleepers:
            if until_s <= self.now_s and not waked.done():
                waked.set_result(None)

    def pace(self, connect_timeout_s: float = PATIENCE_S) -> Pace:
        return Pace(now_s=lambda: self.now_s, sleep=self.sleep, connect_timeout_s=connect_timeout_s)


@dataclass
class Told:
    """What the servers reported."""

    changes: list[tuple[str, list[str]]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def change(self, server: str, tools: tuple[McpTool, ...]) -> None:
        self.changes.append((server, [tool.name for tool in tools]))
        self.news.set()

    def problem(self, server: str, text: str) -> None:
        self.problems.append((server, text))
        self.news.set()

    async def next(self) -> None:
        await asyncio.wait_for(self.news.wait(), PATIENCE_S)
        self.news.clear()


@asynccontextmanager
async def session(servers: dict[str, McpServer], around: Surroundings, told: Told | None = None, **more: Any) -> AsyncGenerator[McpServers]:
    """The servers of one session, closed at its end."""
    told = told or Told()
    spill_dir = around.cwd / "spill"
    made = McpServers(servers, around, spill_dir=spill_dir, on_change=told.change, on_problem=told.problem, **more)
    try:
        yield made
    finally:
        await made.aclose()


def tool(servers: McpServers, name: str) -> McpTool:
    return next(tool for tool in servers.tools() if tool.name == name)


async def use(servers: McpServers, name: str, calls: Calls | None = None, **arguments: Any) -> ToolOutput:
    found = tool(servers, name)
    return await asyncio.wait_for(found.run(found.parse_object(arguments), (calls or Calls()).context), PATIENCE_S)


async def until(true: Callable[[], bool]) -> None:
    """Until what another process does is seen."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def over_http(diary: Path, *modes: str) -> AsyncGenerator[str]:
    """``tests/mcp_http.py``, as a process; its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "mcp_http.py"), str(diary), *modes, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), PATIENCE_S))
        yield f"http://127.0.0.1:{port}/{'sse' if 'sse' in modes else 'mcp'}"
    finally:
        process.kill()
        await process.wait()


Work = Callable[[], Awaitable[None]]


def lines(diary: Path) -> list[str]:
    return diary.read_text(encoding="utf-8").splitlines() if diary.exists() else []
