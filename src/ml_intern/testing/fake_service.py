"""What every fake service shares: routes, honest status codes, ETags, paging links, a record of requests, faults on demand."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha1
from ssl import SSLContext
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from ml_intern.testing.http1 import Connection, HttpRequest, HttpServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, taken apart. ``parts`` are the named pieces of the path, unquoted; ``query`` has the last value of each name."""

    method: str
    path: str
    parts: Mapping[str, str]
    query: Mapping[str, str]
    queries: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    connection: Connection = field(repr=False)

    @property
    def json(self) -> Any:
        """The decoded body; None when it is empty."""
        return json.loads(self.body) if self.body else None

    @property
    def token(self) -> str:
        """The bearer token, or empty."""
        return self.headers.get("authorization", "").removeprefix("Bearer ").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. A body that is neither bytes nor text is sent as JSON; ``etag`` True makes one and honours ``If-None-Match``."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    etag: bool = False


Handler: TypeAlias = Callable[[Call], Answer | Awaitable[Answer | None] | None]
"""Returns the answer, or None when it has written to ``call.connection`` itself (a stream)."""


Condition: TypeAlias = Callable[[Mapping[str, str]], bool]
"""Whether a route takes a request with this query."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with requests whose ``METHOD path`` matches ``pattern`` (a regular expression), ``times`` times.

    ``hang``: says nothing until the client hangs up. ``cut``: hangs up without a word. ``delay_s``: does that, or answers, late.
    Else ``status`` with ``headers`` and ``body`` takes the place of the answer. ``served``: what was asked for is done before that.
    """

    pattern: str
    times: int = 1
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = b""
    hang: bool = False
    cut: bool = False
    delay_s: float = 0.0
    served: bool = False


class Refuse(Exception):
    """Raised by a handler in place of returning an answer."""

    def __init__(self, status: int, error: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.answer = Answer(body={"error": error}, status=status, headers=headers or {})


class FakeService(HttpServer):
    """Add routes, then serve. Handlers run in the server's thread; state that tests change is guarded by ``lock``."""

    def __init__(self, *, port: int = 0, tls: SSLContext | None = None) -> None:
        super().__init__(port=port, tls=tls)
        self.lock = threading.RLock()
        self.requests: deque[Call] = deque(maxlen=10_000)
        self.faults: list[Fault] = []
        self._routes: list[tuple[str, re.Pattern[str], Handler, Condition | None]] = []

    def route(self, method: str, pattern: str, handler: Handler, *, when: Condition | None = None) -> None:
        """``{name}`` is one segment, ``{name:path}`` the rest with its slashes. The first route that matches answers.

        ``when`` is asked with the query; a route that declines leaves the request to the next one.
        """
        pieces = re.split(r"\{(\w+)(:path)?\}", pattern)
        regex = "".join(
            re.escape(pieces[i]) + (f"(?P<{pieces[i + 1]}>{'.+' if pieces[i + 2] else '[^/]+'})" if i + 1 < len(pieces) else "")
            for i in range(0, len(pieces), 3)
        )
        self._routes.append((method, re.compile(regex), handler, when))

    def fail(self, pattern: str, **what: Any) -> Fault:
        """Switch a fault on: ``fail("GET /api/x", status=503, times=2)``."""
        fault = Fault(pattern=pattern, **what)
        with self.lock:
            self.faults.append(fault)
        return fault

    def seen(self, pattern: str) -> list[Call]:
        """The requests so far whose ``METHOD path`` matches."""
        with self.lock:
            return [call for call in self.requests if re.search(pattern, f"{call.method} {call.path}")]

    async def answer(self, request: HttpRequest, connection: Connection) -> None:
        """See ``HttpServer``."""
        parts = urlsplit(request.path)
        # Matched while still quoted, so that %2F within a name is no slash.
        queries = parse_qs(parts.query, keep_blank_values=True)
        query = {name: values[-1] for name, values in queries.items()}
        handler, named = self._find(request.method, parts.path, query)
        call = Call(
            method=request.method,
            path=unquote(parts.path),
            parts=named,
            query=query,
            queries=queries,
            headers=request.headers,
            body=request.body,
            connection=connection,
        )
        with self.lock:
            self.requests.append(call)
        fault = self._fault(call)
        if fault is not None and not fault.served and await self._failed(call, fault):
            return
        try:
            answer = handler(call) if handler is not None else self.missing(call)
            if not isinstance(answer, Answer) and answer is not None:
                answer = await answer
        except Refuse as refused:
            answer = refused.answer
        except (ValueError, KeyError) as error:  # a number that is none, a cursor that was made up, a field that is missing
            answer = Answer(body={"error": f"not understood: {type(error).__name__}: {error}"}, status=400)
        if fault is not None and fault.served and await self._failed(call, fault):
            return
        if answer is not None:
            await self._send(call, answer)

    def missing(self, call: Call) -> Answer:
        """What an unknown address gets."""
        return Answer(body={"error": f"no route {call.method} {call.path}"}, status=404)

    def _find(self, method: str, path: str, query: Mapping[str, str]) -> tuple[Handler | None, dict[str, str]]:
        for known, pattern, handler, when in self._routes:
            if known not in (method, "GET" if method == "HEAD" else method):
                continue
            if (match := pattern.fullmatch(path)) and (when is None or when(query)):
                return handler, {name: unquote(value) for name, value in match.groupdict().items()}
        return None, {}

    def _fault(self, call: Call) -> Fault | None:
        with self.lock:
            fault = next((f for f in self.faults if f.times > 0 and re.search(f.pattern, f"{call.method} {call.path}")), None)
            if fault is not None:
                fault.times -= 1
            return fault

    async def _failed(self, call: Call, fault: Fault) -> bool:
        """Whether that was all the client gets."""
        if fault.hang:
            await call.connection.until_hung_up()
            return True
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.cut:
            await call.connection.cut()
            return True
        if fault.delay_s:
            return False
        await self._send(call, Answer(body=fault.body, status=fault.status, headers=fault.headers))
        return True

    async def _send(self, call: Call, answer: Answer) -> None:
        body, kind = _encoded(answer.body)
        headers = {"content-type": kind, **answer.headers}
        status = answer.status
        if answer.etag:
            tag = f'"{sha1(body, usedforsecurity=False).hexdigest()}"'
            headers["etag"] = tag
            if call.headers.get("if-none-match") == tag:
                status, body = 304, b""
        if call.method == "HEAD":
            headers.setdefault("content-length", str(len(body)))
            body = b""
        await call.connection.send(status, body, headers)


def _encoded(body: Any) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body).encode(), "application/json"
