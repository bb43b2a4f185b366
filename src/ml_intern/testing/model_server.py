"""A model server on loopback that speaks both real wires over real HTTP, and can be told to misbehave.

It checks each request as the real servers do, records its body byte for byte, and answers what it was told to: from a queue,
from a function, or a session that it makes up (``python -m ml_intern.testing.model_server --steps 200 --command true``).

    async with ModelServer() as server:
        server.enqueue(ServerReply(text="Hello"), Fault(kind=FaultKind.RATE_LIMIT, retry_after="1"))
        … a client with base_url = server.v1 …
        server.requests[0].body
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ml_intern.testing import anthropic_wire, openai_wire
from ml_intern.testing.http1 import Connection, HttpRequest, HttpServer
from ml_intern.testing.replies import Answer, Call, Fault, FaultKind, Quirk, ServerReply

_JSON = {"content-type": "application/json"}
_SSE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_PATIENCE_S = 20.0
_WEB_PAGE = b"<!doctype html><html><body><h1>It works!</h1></body></html>"
_IN_STREAM = frozenset({FaultKind.CUT, FaultKind.ERROR_IN_STREAM, FaultKind.BAD_JSON, FaultKind.HANG_MIDWAY})


class ModelServer(HttpServer):
    """``POST /v1/chat/completions``, ``POST /v1/messages``, ``GET /v1/models``, ``GET /api/ps``.

    ``answers`` are given one after the other, then ``default``; a function gets each checked request and answers it.
    ``models`` are the entries of the catalogue. With ``api_key`` other keys are refused.
    """

    def __init__(
        self,
        answers: Iterable[Answer] | Callable[[dict[str, Any]], Answer] = (),
        *,
        default: Answer | None = None,
        models: Sequence[dict[str, Any]] = (),
        api_key: str = "",
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self._function = answers if callable(answers) else None
        self._queue: deque[Answer] = deque(() if callable(answers) else answers)
        self._default = default or ServerReply(text="Nothing was queued for this request.")
        self._api_key = api_key
        self._numbers = itertools.count(1)
        self.models = list(models)
        self.models_status = 200
        self.models_delay_s = 0.0
        self.requests: list[HttpRequest] = []
        """The model requests, in order; those for the catalogue are in ``model_list_requests``."""
        self.model_list_requests: list[HttpRequest] = []
        self.hang_ups = 0
        """How often a client left while it was kept waiting."""
        self._changed = threading.Condition()
        self.refusals: list[str] = []
        """Why requests were refused: a test that expects none should say so."""

    @property
    def v1(self) -> str:
        """The base URL for clients of either wire."""
        return f"{self.url}/v1"

    def enqueue(self, *answers: Answer) -> None:
        """Answer the next requests with these."""
        self._queue.extend(answers)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The recorded request bodies, decoded."""
        return [msgspec.json.decode(request.body) for request in self.requests]

    async def asked(self, count: int) -> None:
        """Wait until so many model requests have come in."""
        await self._until(lambda: len(self.requests) >= count, f"{count} requests")

    async def hung_up(self, count: int) -> None:
        """Wait until so many clients have left while they were kept waiting."""
        await self._until(lambda: self.hang_ups >= count, f"{count} clients that hang up")

    async def _until(self, reached: Callable[[], bool], what: str) -> None:
        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(reached, _PATIENCE_S)

        if not await asyncio.to_thread(wait):
            raise TimeoutError(f"The model server waited {_PATIENCE_S:g} s for {what}.")

    def _note(self, request: HttpRequest | None) -> None:
        with self._changed:
            if request is None:
                self.hang_ups += 1
            else:
                self.requests.append(request)
            self._changed.notify_all()

    async def answer(self, request: HttpRequest, connection: Connection) -> None:
        match request.method, request.path.partition("?")[0]:
            case "GET", "/v1/models":
                await self._list({"object": "list", "data": self.models}, request, connection)
            case "GET", "/api/ps":  # Ollama's list of loaded models
                await self._list({"models": self.models}, request, connection)
            case "POST", "/v1/chat/completions":
                self._note(request)
                await self._talk(_OpenAI(), request, connection)
            case "POST", "/v1/messages":
                self._note(request)
                await self._talk(_Anthropic(), request, connection)
            case _:
                await connection.send(404, b'{"detail":"Not Found"}', _JSON)

    def _may(self, request: HttpRequest) -> bool:
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        return not self._api_key or given == self._api_key

    async def _list(self, catalogue: dict[str, Any], request: HttpRequest, connection: Connection) -> None:
        self.model_list_requests.append(request)
        await asyncio.sleep(self.models_delay_s)
        status = self.models_status if self._may(request) else 401
        await connection.send(status, msgspec.json.encode(catalogue) if status == 200 else b'{"error":"Unauthorized"}', _JSON)

    async def _talk(self, wire: _Wire, request: HttpRequest, connection: Connection) -> None:
        if not self._may(request):
            await self._fail(wire, Fault(kind=FaultKind.UNAUTHORIZED), connection)
            return
        try:
            document = wire.check(request)
        except openai_wire.Refused as refused:
            self.refusals.append(str(refused))
            await connection.send(400, wire.refusal(str(refused)), _JSON)
            return
        answer = self._next(document)
        if isinstance(answer, Fault):
            await self._misbehave(wire, answer, document, connection)
        else:
            await self._say(wire, answer, document, connection)

    def _next(self, document: dict[str, Any]) -> Answer:
        if self._queue:
            return self._queue.popleft()
        return self._function(document) if self._function else self._default

    async def _say(self, wire: _Wire, reply: ServerReply, document: dict[str, Any], connection: Connection) -> None:
        voice = wire.voice(reply, document["model"], str(next(self._numbers)))
        if not document.get("stream") or Quirk.JSON_ANSWER in reply.quirks:
            await connection.send(200, voice.document(), {**_JSON, **dict(reply.headers)})
            return
        connection.start({**_SSE, **dict(reply.headers)})
        for event in voice.events():
            await connection.chunk(event)
        await connection.end()

    async def _misbehave(self, wire: _Wire, fault: Fault, document: dict[str, Any], connection: Connection) -> None:
        if fault.kind in _IN_STREAM:
            await self._break_off(wire, fault, document, connection)
            return
        match fault.kind:
            case FaultKind.HANG:
                await self._keep_waiting(connection)
            case FaultKind.CUT_BEFORE_HEAD:
                await connection.cut()
            case FaultKind.WEB_PAGE:
                await connection.send(200, _WEB_PAGE, {"content-type": "text/html"})
            case FaultKind.NO_CHOICE | FaultKind.EMPTY_CHOICE:
                stream = bool(document.get("stream"))
                await connection.send(200, wire.nothing(fault.kind, stream), _SSE if stream else _JSON)
            case _:
                await self._fail(wire, fault, connection)

    async def _keep_waiting(self, connection: Connection) -> None:
        await connection.until_hung_up()
        self._note(None)

    async def _fail(self, wire: _Wire, fault: Fault, connection: Connection) -> None:
        status, body = wire.fault_answer(fault)
        await connection.send(status, body, {**_JSON, **({"retry-after": fault.retry_after} if fault.retry_after else {})})

    async def _break_off(self, wire: _Wire, fault: Fault, document: dict[str, Any], connection: Connection) -> None:
        voice = wire.voice(fault.reply, document["model"], str(next(self._numbers)))
        connection.start(_SSE)
        for event in itertools.islice(voice.events(), fault.after):
            await connection.chunk(event)
        match fault.kind:
            case FaultKind.CUT:
                await connection.cut()
            case FaultKind.HANG_MIDWAY:
                await self._keep_waiting(connection)
            case FaultKind.ERROR_IN_STREAM:
                await connection.chunk(wire.stream_error(fault))
                await connection.end()
            case _:
                await connection.chunk(b"data: {oops, this is no JSON\n\n")
                await connection.end()


class _OpenAI:
    """The Chat Completions wire, for ``ModelServer``."""

    def check(self, request: HttpRequest) -> dict[str, Any]:
        return openai_wire.check(request.body)

    def refusal(self, message: str) -> bytes:
        return openai_wire.error_body(message, "invalid_request_error")

    def voice(self, reply: ServerReply, model: str, reply_id: str) -> openai_wire.OpenAIVoice:
        return openai_wire.OpenAIVoice(reply, model, reply_id)

    def fault_answer(self, fault: Fault) -> tuple[int, bytes]:
        return openai_wire.fault_answer(fault) or (500, openai_wire.error_body(fault.kind, "server_error"))

    def stream_error(self, fault: Fault) -> bytes:
        return openai_wire.stream_error(fault)

    def nothing(self, kind: FaultKind, stream: bool) -> bytes:
        return openai_wire.nothing(kind, stream=stream)


class _Anthropic:
    """The Messages wire, for ``ModelServer``."""

    def check(self, request: HttpRequest) -> dict[str, Any]:
        return anthropic_wire.check(request.body, dict(request.headers))

    def refusal(self, message: str) -> bytes:
        return anthropic_wire.error_body(message, "invalid_request_error")

    def voice(self, reply: ServerReply, model: str, reply_id: str) -> anthropic_wire.AnthropicVoice:
        return anthropic_wire.AnthropicVoice(reply, model, reply_id)

    def fault_answer(self, fault: Fault) -> tuple[int, bytes]:
        return anthropic_wire.fault_answer(fault) or (500, anthropic_wire.error_body(fault.kind, "api_error"))

    def stream_error(self, fault: Fault) -> bytes:
        return anthropic_wire.stream_error(fault)

    def nothing(self, kind: FaultKind, stream: bool) -> bytes:
        return anthropic_wire.nothing(kind, stream=stream)


_Wire = _OpenAI | _Anthropic


def generated_session(steps: int, command: str) -> Callable[[dict[str, Any]], ServerReply]:
    """Answers each request of a session with one call of ``bash``, and the one after ``steps`` of them with text."""
    arguments = msgspec.json.encode({"command": command}).decode()

    def reply(document: dict[str, Any]) -> ServerReply:
        done = sum(message["role"] == "assistant" for message in document["messages"])
        if done >= steps:
            return ServerReply(text=f"All {steps} steps are done.")
        return ServerReply(text=f"Step {done + 1} of {steps}.", calls=(Call("bash", arguments),))

    return reply


def main(arguments: Sequence[str]) -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m ml_intern.testing.model_server", description="A model server for tests, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--steps", type=int, default=1, help="calls of bash before the last answer")
    parser.add_argument("--command", default="true", help="what each call runs")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started this one")
    options = parser.parse_args(arguments)
    with ModelServer(generated_session(options.steps, options.command), port=options.port) as server:
        print(server.v1, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            if options.until_stdin_closes:
                sys.stdin.read()
            else:
                threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
