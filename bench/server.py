"""A model server that only measures: OpenAI's streaming wire, replies encoded ahead, a time stamp for whatever arrives and leaves.

Runs as a process of its own (``python -m bench.server``) and prints its port. One run of a client talks to
``/<run>/<scenario>/v1/chat/completions``; ``GET /report/<run>`` then says what was seen. Scenarios:

- ``steps-N``: N replies that call ``bash`` with a command that differs each time, then a text;
- ``chunks-N``: one reply of N one-token chunks.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from dataclasses import dataclass, field

LINGER_S = 0.1
"""The last reply waits this long, so that whoever samples the client's memory sees it at its largest."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_DRAIN_EVERY = 64


@dataclass
class Run:
    """What one client did. Times are seconds of the system-wide monotonic clock."""

    arrived_at: list[float] = field(default_factory=list)
    replied_at: list[float] = field(default_factory=list)
    body_bytes: list[int] = field(default_factory=list)
    broken_prefixes: list[int] = field(default_factory=list)
    other_requests: list[str] = field(default_factory=list)
    system: str = ""
    tools: list[object] = field(default_factory=list)
    last_answer: str = ""
    previous_body: bytes = b""

    def request(self, body: bytes, at: float) -> int:
        """Note a request; its number, counting from 1."""
        self.arrived_at.append(at)
        self.body_bytes.append(len(body))
        if not self.previous_body:
            opened = json.loads(body)
            self.tools = opened.get("tools", [])
            self.system = next((text_of(m) for m in opened["messages"] if m["role"] == "system"), "")
        elif not body.startswith(self.previous_body[: end_of_messages(self.previous_body)]):
            self.broken_prefixes.append(len(self.arrived_at))
        self.previous_body = body
        return len(self.arrived_at)

    def report(self) -> bytes:
        if self.previous_body:
            self.last_answer = text_of(json.loads(self.previous_body)["messages"][-1])
        return json.dumps({key: value for key, value in vars(self).items() if key != "previous_body"}).encode()


def text_of(message: dict[str, object]) -> str:
    """The text of a message whose content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])  # type: ignore[union-attr, attr-defined]


def end_of_messages(body: bytes) -> int:
    """Where the last message of a request ends: all bytes before that have to come again in the next request."""
    start = body.index(b'"messages":') + len(b'"messages":')
    text = body[start:].decode()
    lead = len(text) - len(text.lstrip())
    _, end = json.JSONDecoder().raw_decode(text[lead:])
    return start + lead + len(text[lead : lead + end - 1].encode())


def event(payload: dict[str, object]) -> bytes:
    """One server-sent event in an HTTP chunk of its own, as real servers send them."""
    shell = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1, "model": "bench", **payload}
    data = b"data: " + json.dumps(shell, separators=(",", ":")).encode() + b"\n\n"
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def delta(finish: str | None = None, **fields: object) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def usage(prompt_bytes: int, completion_tokens: int) -> bytes:
    prompt_tokens = prompt_bytes // 4
    return event(
        {
            "choices": [],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
                "prompt_tokens_details": {"cached_tokens": prompt_tokens * 9 // 10},
            },
        }
    )


def tool_reply(step: int, prompt_bytes: int) -> list[bytes]:
    """A sentence and one call of ``bash``, in pieces."""
    arguments = json.dumps({"command": f"echo step {step} && ls -d ."})
    middle = len(arguments) // 2
    call = {"index": 0, "id": f"call_{step}", "type": "function", "function": {"name": "bash", "arguments": ""}}
    return [
        delta(role="assistant", content=""),
        delta(content=f"Step {step}: looking at "),
        delta(content="the next thing."),
        delta(tool_calls=[call]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": arguments[:middle]}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": arguments[middle:]}}]),
        delta(finish="tool_calls"),
        usage(prompt_bytes, 40),
    ]


def text_reply(words: int, prompt_bytes: int) -> list[bytes]:
    return [delta(role="assistant", content=""), *[delta(content="word ")] * words, delta(finish="stop"), usage(prompt_bytes, words)]


class Server:
    """One connection after another, kept alive; runs are told apart by their path."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                body = await _body(reader, head)
                method, path, _ = head.split(" ", 2)
                await self._answer(method, path, body, time.monotonic(), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, body: bytes, at: float, writer: asyncio.StreamWriter) -> None:
        parts = path.strip("/").split("/")
        if parts[0] == "report":
            _plain(writer, 200, self._runs.pop(parts[1], Run()).report())
        elif method == "POST" and path.endswith("/chat/completions"):
            await self._reply(self._runs.setdefault(parts[0], Run()), parts[1], body, at, writer)
        else:
            self._runs.setdefault(parts[0], Run()).other_requests.append(f"{method} {path}")
            _plain(writer, 404, b'{"error": {"message": "this server only streams chat completions"}}')

    async def _reply(self, run: Run, scenario: str, body: bytes, at: float, writer: asyncio.StreamWriter) -> None:
        kind, _, count = scenario.partition("-")
        number = run.request(body, at)
        if kind == "steps" and number <= int(count):
            pieces = tool_reply(number, len(body))
        else:
            pieces = text_reply(int(count) if kind == "chunks" else 5, len(body))
            await asyncio.sleep(LINGER_S if kind == "steps" else 0)
        writer.write(_HEAD)
        for index, piece in enumerate(pieces):
            writer.write(piece)
            if index % _DRAIN_EVERY == 0:
                await writer.drain()
        writer.write(_END)
        run.replied_at.append(time.monotonic())
        await writer.drain()


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return bytes(body)


def _plain(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


async def main() -> None:
    server = await asyncio.start_server(Server().serve, "127.0.0.1", 0, limit=1 << 24)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)  # the parent closes our stdin when it is done with us


if __name__ == "__main__":
    asyncio.run(main())
