"""A small MCP server (protocol 2025-11-25, standard input and output) that misbehaves on demand. Run as a program.

``python tiny_mcp.py DIARY [MODE…]``: every call is a line in the file DIARY. Modes: ``banner`` prints lines that are no MCP
first, ``nonsense`` nothing else, ``silent`` never answers, ``ends`` ends at once with words on standard error, ``more`` has one
tool more (as ``grow`` gives it), ``hostile`` one whose description is meant for the terminal,
``much`` one that answers with as many megabytes as it is asked for.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

DIARY, MODES = sys.argv[1], sys.argv[2:]
OBJECT = {"type": "object", "properties": {}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOLS: list[dict[str, Any]] = [
    {"name": "echo", "description": "Says it again.", "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}},
    {"name": "look", "description": "Only reads.", "inputSchema": OBJECT, "annotations": {"readOnlyHint": True}},
    {"name": "die", "description": "Ends the server.", "inputSchema": OBJECT},
    {"name": "die once", "inputSchema": OBJECT, "annotations": {"idempotentHint": True}},
    {"name": "wait", "description": "Answers when it is told to stop, or never.", "inputSchema": OBJECT},
    {"name": "variables", "inputSchema": OBJECT},
    {"name": "everything", "inputSchema": OBJECT},
    {"name": "fail", "inputSchema": OBJECT},
    {"name": "refuse", "inputSchema": OBJECT},
    {"name": "grow", "inputSchema": OBJECT},
]
ONE_MORE = {"name": "another", "inputSchema": OBJECT}
HOSTILE = {"name": "hostile", "description": "\x1b]0;owned\x07\x1b[2J", "inputSchema": OBJECT}
MUCH = {"name": "much", "inputSchema": {"type": "object", "properties": {"megabytes": {"type": "integer"}}}}
writing = threading.Lock()


def send(message: dict[str, Any]) -> None:
    with writing:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def note(line: str) -> int:
    with open(DIARY, "a+", encoding="utf-8") as file:
        file.write(line + "\n")
        file.seek(0)
        return file.read().splitlines().count(line)


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


def everything() -> dict[str, Any]:
    blocks = [
        {"type": "text", "text": "five things"},
        {"type": "image", "mimeType": "image/png", "data": PIXEL},
        {"type": "audio", "mimeType": "audio/wav", "data": "UklGRg=="},
        {"type": "resource", "resource": {"uri": "demo://note", "mimeType": "text/plain", "text": "inside"}},
        {"type": "resource", "resource": {"uri": "demo://blob", "mimeType": "application/pdf", "blob": "JVBERg=="}},
        {"type": "resource_link", "name": "page", "uri": "https://example.com/page"},
    ]
    return {"content": blocks, "structuredContent": {"count": 5}}


def call(number: Any, parameters: dict[str, Any]) -> None:
    name, arguments = parameters["name"], parameters.get("arguments") or {}
    count = note(f"call {name}")
    if name == "die" or (name == "die once" and count == 1):
        os._exit(3)
    if name == "wait":
        send(
            {
                "method": "notifications/progress",
                "params": {"progressToken": parameters["_meta"]["progressToken"], "progress": 1, "total": 2},
            }
        )
        return
    if name == "refuse":
        send({"id": number, "error": {"code": -32000, "message": "not today"}})
        return
    if name == "grow":
        TOOLS.append(ONE_MORE)
        send({"method": "notifications/tools/list_changed"})
    results = {
        "echo": lambda: text(str(arguments.get("text"))),
        "variables": lambda: text(json.dumps(dict(os.environ))),
        "everything": everything,
        "fail": lambda: text("it broke", isError=True),
        "much": lambda: text("x" * (arguments["megabytes"] * 1024 * 1024)),
    }
    send({"id": number, "result": results.get(name, lambda: text("done"))()})


def answer(message: dict[str, Any]) -> None:
    number = message.get("id")
    match message.get("method"):
        case "initialize":
            note("initialize")
            capabilities = {"tools": {"listChanged": True}}
            info = {"name": "tiny", "version": "1"}
            send({"id": number, "result": {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}})
        case "tools/list":
            extra = {"more": ONE_MORE, "hostile": HOSTILE, "much": MUCH}
            send({"id": number, "result": {"tools": [*TOOLS, *(tool for mode, tool in extra.items() if mode in MODES)]}})
        case "tools/call":
            call(number, message["params"])
        case "notifications/cancelled":
            note("cancelled")
        case _ if number is not None:
            send({"id": number, "error": {"code": -32601, "message": "no such method"}})


def main() -> None:
    note("start")
    if "ends" in MODES:
        print("cannot find my configuration", file=sys.stderr)
        sys.exit(1)
    if "banner" in MODES or "nonsense" in MODES:
        print("Welcome to the server!\n{not json", flush=True)
    for line in sys.stdin:
        if "silent" not in MODES and "nonsense" not in MODES:
            answer(json.loads(line))
    note("end")


if __name__ == "__main__":
    main()
