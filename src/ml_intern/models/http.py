"""One warm connection to one provider, on httpx2.

httpx2 (60 to 90 ms) is imported by the first request, not by this module. Its exceptions are mapped here, by type, and
nowhere else in the model clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from msgspec import Struct  # and no dataclass: it stands on the path to the first request

from ml_intern.errors import ConnectionFailed, ModelError, NonsenseReply, StreamBroken, Unreachable

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx2

CONNECT_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 300.0
MAX_BODY_BYTES = 64 * 1024 * 1024
_PUMP_LIMIT_BYTES = 1024 * 1024
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class HttpOptions(Struct, frozen=True, kw_only=True):
    """``inactivity_s``: how long the server may be silent, before the first byte and between any two reads."""

    inactivity_s: float = 600.0
    connect_s: float = CONNECT_TIMEOUT_S


class ModelHttp:
    """A pooled client for one base URL. Made without cost; connects at the first request."""

    def __init__(self, base_url: str, headers: Mapping[str, str], options: HttpOptions) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = dict(headers)
        self._options = options
        self._client: httpx2.AsyncClient | None = None
        self._served = False
        self._reached = False

    @property
    def origin(self) -> str:
        """Scheme, host and port, for messages: never a path, a query or a password."""
        return origin_of(self._base_url)

    @asynccontextmanager
    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> AsyncGenerator[HttpAnswer, None]:
        """Send, and give the answer as soon as its headers are there. Leaving the block closes the stream."""
        client = await self._opened()
        request = client.build_request(
            "POST", self._base_url + path, content=body, headers={"content-type": "application/json", **self._headers, **headers}
        )
        response = await self._sent(client, request)
        self._served = self._reached = True
        try:
            yield HttpAnswer(response, self.origin)
        finally:
            await response.aclose()

    async def get(self, path: str, timeout_s: float) -> tuple[int, bytes]:
        """A small document: status and body."""
        client = await self._opened()
        with _mapped(self.origin, StreamBroken):
            response = await client.get(self._base_url + path, headers=self._headers, timeout=timeout_s)
        return response.status_code, response.content

    async def aclose(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _sent(self, client: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
        import httpx2

        with _mapped(self.origin, ConnectionFailed, reached=self._reached):
            try:
                return await client.send(request, stream=True)
            except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
                if not self._served:
                    raise
            # The server has closed the kept connection just as we wrote to it, which is its right: once more, on a new one.
            self._served = False
            return await client.send(request, stream=True)

    async def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = await _new_client(self._base_url, self._options)
        return self._client


class HttpAnswer:
    """A response whose body has not been read yet."""

    def __init__(self, response: httpx2.Response, origin: str) -> None:
        self._response = response
        self._origin = origin
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self, limit_bytes: int = MAX_BODY_BYTES) -> bytes:
        """The body, which must not be longer than the limit."""
        parts: list[bytes] = []
        size = 0
        with _mapped(self._origin, StreamBroken):
            async for part in self._response.aiter_bytes():
                size += len(part)
                if size > limit_bytes:
                    raise NonsenseReply(f"{self._origin} sent an answer of more than {limit_bytes // 2**20} MiB.", status=self.status)
                parts.append(part)
        return b"".join(parts)

    async def reads(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes. All that one network read brought comes in one piece, however the server chunked it."""
        pump = _Pump(self._response.aiter_bytes())
        try:
            with _mapped(self._origin, StreamBroken):
                while read := await pump.take():
                    yield read
        finally:
            await pump.aclose()


class _Pump:
    """Reads ahead in a task of its own, so that chunks which are already here are handed on together.

    HTTP/1.1 gives every chunk of the transfer encoding as a separate item, and servers put each token into one. The
    iterator suspends only when it needs the network: whatever has piled up by then is one read.
    """

    def __init__(self, source: AsyncGenerator[bytes, None]) -> None:
        self._source = source
        self._parts: list[bytes] = []
        self._size = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def take(self) -> bytes:
        """The next bytes, or none at the end. Raises what the source raised, after what came before it."""
        await self._filled.wait()
        if not self._parts:
            await self._task
            return b""
        read = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._emptied.set()
        if not self._task.done():
            self._filled.clear()
        return read

    async def aclose(self) -> None:
        """Stop reading, and wait until that is so."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            async with aclosing(self._source) as source:
                async for part in source:
                    self._parts.append(part)
                    self._size += len(part)
                    self._filled.set()
                    if self._size > _PUMP_LIMIT_BYTES:
                        self._emptied.clear()
                        await self._emptied.wait()
        finally:
            self._filled.set()


async def _new_client(base_url: str, options: HttpOptions) -> httpx2.AsyncClient:
    import ssl

    import httpx2

    parts = urlsplit(base_url)
    # Reading the system's certificates takes longer than the import; plain http does without. A bare context trusts nobody.
    tls = await asyncio.to_thread(httpx2.create_ssl_context) if parts.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.AsyncClient(
        verify=tls,
        # A proxy of the environment cannot reach this machine's own loopback.
        trust_env=parts.hostname not in LOOPBACK_HOSTS,
        timeout=httpx2.Timeout(options.inactivity_s, connect=options.connect_s),
        limits=httpx2.Limits(max_connections=8, max_keepalive_connections=2, keepalive_expiry=KEEP_ALIVE_S),
        follow_redirects=False,
    )


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}"


@contextmanager
def _mapped(origin: str, broken: type[ConnectionFailed | StreamBroken], *, reached: bool = True) -> Generator[None, None, None]:
    import httpx2

    try:
        yield
    except ModelError:
        raise
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
        raise not_connected(origin, error, reached=reached) from error
    except httpx2.TimeoutException as error:
        raise broken(f"{origin} was silent for too long ({type(error).__name__}).") from error
    except httpx2.DecodingError as error:
        raise NonsenseReply(f"{origin} sent a body that cannot be decompressed.") from error
    except httpx2.TransportError as error:
        raise broken(f"The connection to {origin} broke: {_words(error)}.") from error


def not_connected(origin: str, error: Exception, *, reached: bool) -> ConnectionFailed:
    """A server that has answered before may be starting anew, and is waited for; else the cause tells whether that could help."""
    import ssl
    from socket import gaierror

    loopback = urlsplit(origin).hostname in LOOPBACK_HOSTS
    causes = list(_causes(error))
    untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
    hint = "Is the server running?" if loopback else "Check the network and the address."
    if untrusted:
        hint = "Check the address; a certificate authority of one's own is named by the variable SSL_CERT_FILE."
    hopeless = untrusted or any(isinstance(cause, gaierror) or (loopback and isinstance(cause, ConnectionRefusedError)) for cause in causes)
    kind = Unreachable if hopeless and not reached else ConnectionFailed
    return kind(f"Cannot connect to {origin}: {_words(error)}.", hint=hint)


def _causes(error: BaseException | None) -> Generator[BaseException, None, None]:
    """The error, what led to it, and what led to that; of a group (one per address that was tried) every one."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for part in cast("BaseExceptionGroup[BaseException]", error).exceptions:
                yield from _causes(part)
        error = error.__cause__ or error.__context__


def _words(error: Exception) -> str:
    """What the error says, without the full stop that our sentence sets."""
    return str(error).rstrip(". ") or type(error).__name__
