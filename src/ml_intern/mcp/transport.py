"""The way to a server: a program's pipes, streamable HTTP, or the older server-sent events. Imported with the SDK, off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from ml_intern.config.paths import expand_home
from ml_intern.config.settings import McpServer
from ml_intern.mcp.listing import plain
from ml_intern.mcp.message_lines import MAX_MESSAGE_BYTES
from ml_intern.mcp.program import open_program
from ml_intern.mcp.stderr_log import StderrLog
from ml_intern.mcp.surroundings import Surroundings, program_variables, request_headers

if TYPE_CHECKING:
    from mcp.client._transport import ReadStream, TransportStreams

_CONNECT_TIMEOUT_S = 20.0
_MORE_THAN_ANY_CALL_S = 24 * 3600.0
"""Silence is limited per call, by whoever calls."""


class Sent:
    """What the way learns of one call: ``session_gone`` says that the server did not do it, because it does not know us any more."""

    def __init__(self) -> None:
        self.session_gone = False


CALL: ContextVar[Sent | None] = ContextVar("call", default=None)
"""The call that a request belongs to: the SDK sends a request in the context of whoever asked for it."""
_SESSION_UNKNOWN = (404, 400)
"""By the protocol and by many servers in use; either way the request was refused as a whole."""


class Seen:
    """What the way itself tells of a connection. ``lost`` is set once it has ended, whoever ended it."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.status: int | None = None
        """The last HTTP status that was an error."""
        self.session_gone = False
        """The server does not know our session any more: the next call needs another connection."""
        self.nonsense = 0
        """Lines that were no message of the protocol."""
        self.log: StderrLog | None = None

    async def note_response(self, response: httpx2.Response) -> None:
        """A hook of the HTTP client."""
        if response.status_code < 400:
            return
        self.status = response.status_code
        if response.status_code in _SESSION_UNKNOWN and "mcp-session-id" in response.request.headers:
            self.session_gone = True
            if (sent := CALL.get()) is not None:
                sent.session_gone = True  # https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management


class _Watched:
    """The SDK's stream of incoming messages, with an eye on its end: the SDK tells callers, but not the owner of a connection."""

    def __init__(self, stream: ReadStream[SessionMessage | Exception], seen: Seen) -> None:
        self._stream = stream
        self._seen = seen

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        try:
            return self._noted(await self._stream.receive())
        except BaseException:
            self._seen.lost.set()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return self._noted(await self._stream.__anext__())
        except BaseException:
            self._seen.lost.set()
            raise

    def _noted(self, item: SessionMessage | Exception) -> SessionMessage | Exception:
        if isinstance(item, Exception):
            self._seen.nonsense += 1
        return item

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        return await self._stream.__aexit__(exc_type, exc_val, exc_tb)


@asynccontextmanager
async def open_way(
    name: str, server: McpServer, around: Surroundings, seen: Seen, auth: httpx2.Auth | None = None
) -> AsyncGenerator[TransportStreams]:
    """Streams to and from the server; a program is started, and stopped with them."""
    if server.command is not None:
        way = _program(name, server, around, seen)
    elif server.transport == "sse":
        way = _events(server, around, seen, auth)
    else:
        way = _http(server, around, seen, auth)
    async with way as (incoming, outgoing):
        yield _Watched(incoming, seen), outgoing


@asynccontextmanager
async def _program(name: str, server: McpServer, around: Surroundings, seen: Seen) -> AsyncGenerator[TransportStreams]:
    log = seen.log = StderrLog(around.paths.state_dir / "mcp" / f"{plain(name)}.log")
    command = (str(expand_home(server.command or "", around.environ)), *server.args)
    variables = program_variables(server, around.environ.as_dict())
    cwd = expand_home(server.cwd, around.environ) if server.cwd else around.cwd
    try:
        async with open_program(command, env=variables, cwd=cwd, errors=log.stream) as streams:
            yield streams
    finally:
        log.close()


@asynccontextmanager
async def _http(server: McpServer, around: Surroundings, seen: Seen, auth: httpx2.Auth | None) -> AsyncGenerator[TransportStreams]:
    client = _http_client(request_headers(server, around), seen, auth)
    async with client, streamable_http_client(server.url or "", http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as streams:
        yield streams


@asynccontextmanager
async def _events(server: McpServer, around: Surroundings, seen: Seen, auth: httpx2.Auth | None) -> AsyncGenerator[TransportStreams]:
    def client(headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None) -> Any:
        return _http_client(headers or {}, seen, auth)

    async with sse_client(server.url or "", request_headers(server, around), httpx_client_factory=client, auth=auth) as streams:
        yield streams


def _http_client(headers: dict[str, str], seen: Seen, auth: httpx2.Auth | None) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        headers=headers,
        auth=auth,
        timeout=httpx2.Timeout(_CONNECT_TIMEOUT_S, read=_MORE_THAN_ANY_CALL_S),
        event_hooks={"response": [seen.note_response]},
    )
