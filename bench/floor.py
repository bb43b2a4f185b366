"""The floor: the least that an agent in Python can do over httpx2. No log, no policies, no permissions, no frontend.

It keeps each message encoded and joins the request from those bytes, so that a step costs the same however long the session
is; it runs the same shell command between two requests as the agent does. Usage: ``floor.py BASE_URL PREAMBLE [bwrap …]``,
where PREAMBLE is a JSON file with the ``system`` prompt and the ``tools`` that the agent sends.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx2
import msgspec


class Function(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: str = ""


class CallPiece(msgspec.Struct):
    index: int
    id: str = ""
    function: Function = Function()


class Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: tuple[CallPiece, ...] = ()


class Choice(msgspec.Struct):
    delta: Delta = Delta()


class Chunk(msgspec.Struct):
    choices: tuple[Choice, ...] = ()


class Preamble(msgspec.Struct):
    system: str
    tools: list[msgspec.Raw]


class Call(msgspec.Struct):
    id: str
    name: str
    arguments: str


class Command(msgspec.Struct):
    command: str


def reply(response: httpx2.Response) -> tuple[str, list[Call]]:
    """Read a stream to its end."""
    decode = msgspec.json.Decoder(Chunk).decode
    text: list[str] = []
    calls: dict[int, Call] = {}
    rest = b""
    for read in response.iter_raw():
        lines = (rest + read).split(b"\n")
        rest = lines.pop()
        for line in lines:
            if not line.startswith(b"data: {"):
                continue
            for choice in decode(line[6:]).choices:
                if choice.delta.content:
                    text.append(choice.delta.content)
                for piece in choice.delta.tool_calls:
                    call = calls.setdefault(piece.index, Call(piece.id, piece.function.name, ""))
                    call.arguments += piece.function.arguments
    return "".join(text), list(calls.values())


def main() -> None:
    url, preamble_path, *wrapper = sys.argv[1:]
    encode = msgspec.json.encode
    preamble = msgspec.json.decode(Path(preamble_path).read_bytes(), type=Preamble)
    head = b'{"model":"bench","tools":' + encode(preamble.tools) + b',"messages":['
    tail = b'],"stream":true,"stream_options":{"include_usage":true}}'
    messages = [encode({"role": "system", "content": preamble.system}), encode({"role": "user", "content": "go"})]
    headers = {"Content-Type": "application/json"}
    with httpx2.Client(timeout=600, trust_env=False) as client:
        while True:
            body = head + b",".join(messages) + tail
            with client.stream("POST", f"{url}/chat/completions", content=body, headers=headers) as response:
                text, calls = reply(response)
            if not calls:
                print(text)
                return
            called = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in calls]
            messages.append(encode({"role": "assistant", "content": text, "tool_calls": called}))
            for call in calls:
                command = msgspec.json.decode(call.arguments, type=Command).command
                done = subprocess.run(
                    [*wrapper, "/bin/bash", "-c", command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
                output = f"{done.stdout.decode(errors='replace')}\n[exit code {done.returncode}]"
                messages.append(encode({"role": "tool", "tool_call_id": call.id, "content": output}))


if __name__ == "__main__":
    main()
