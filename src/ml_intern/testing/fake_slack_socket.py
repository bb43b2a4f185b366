"""Slack's Socket Mode on loopback: ``apps.connections.open`` and a WebSocket (RFC 6455) that sends envelopes and wants them acknowledged.

https://docs.slack.dev/apis/events-api/using-socket-mode. Also the methods that change a message, show one to one member, or open a form
(https://docs.slack.dev/reference/methods/views.open): a trigger is good once, and only for as long as ``forget_triggers`` is not called.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import struct
import threading
from typing import Any

from ml_intern.testing.fake_service import Answer, Call
from ml_intern.testing.fake_slack import FakeSlack

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_PATIENCE_S = 20.0


class FakeSlackSocket(FakeSlack):
    """``click`` presses a button of a posted card as some member, ``write`` fills a form that was opened in and sends it;
    ``acknowledged`` are the envelopes that the app has confirmed, ``opened`` the forms.
    """

    APP_TOKEN = "xapp-fakeTokenForTestsOnly"

    def __init__(self, *channels: str, port: int = 0) -> None:
        super().__init__(*channels, port=port)
        self.updated: list[dict[str, Any]] = []
        self.ephemeral: list[dict[str, Any]] = []
        self.acknowledged: list[str] = []
        self.opened: list[dict[str, Any]] = []
        self._triggers: set[str] = set()
        self.connections = 0
        self._numbers = itertools.count(1)
        self._sockets: list[_Socket] = []
        self._changed = threading.Condition()
        self.route("POST", "/apps.connections.open", self._open)
        self.route("GET", "/link", self._link)
        self.route("POST", "/chat.update", lambda call: self._keep(call, self.updated))
        self.route("POST", "/views.open", self._open_view)
        self.route("POST", "/chat.postEphemeral", lambda call: self._keep(call, self.ephemeral))

    async def until(self, count: int, of: list[Any]) -> None:
        """Wait until so many have arrived in ``posted``, ``updated``, ``ephemeral`` or ``acknowledged``."""

        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: len(of) >= count, _PATIENCE_S)

        assert await asyncio.to_thread(wait), f"{len(of)} of {count} arrived"

    async def connected(self, count: int = 1) -> None:
        """Wait until so many connections were made, ever."""

        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: self.connections >= count, _PATIENCE_S)

        assert await asyncio.to_thread(wait), f"{self.connections} of {count} connections"

    def click(self, card: dict[str, Any], label: str, *, user: str, **changed: str) -> None:
        """Press the button of that label on a message that was posted. ``changed``: what the button sends instead."""
        block = next(block for block in card["blocks"] if block["type"] == "actions")
        button = next(one for one in block["elements"] if one["text"]["text"] == label)
        trigger = f"{next(self._numbers)}.1.fake"
        self._triggers.add(trigger)
        action = {"type": "button", "action_id": button["action_id"], "block_id": block["block_id"], "value": button["value"], **changed}
        self.send(
            {
                "type": "block_actions",
                "trigger_id": trigger,
                "user": {"id": user, "username": user.lower(), "team_id": "T1"},
                "channel": {"id": card["channel"], "name": "general"},
                "container": {"type": "message", "message_ts": "1", "channel_id": card["channel"]},
                "actions": [action],
            }
        )

    def forget_triggers(self) -> None:
        """More than three seconds have passed since the last click."""
        self._triggers.clear()

    def write(self, view: dict[str, Any], words: str, *, user: str) -> None:
        """Fill the one field of a form that was opened, and send it."""
        block = next(block for block in view["blocks"] if block["type"] == "input")
        element = block["element"]
        value = {"type": element["type"], "value": words[: element.get("max_length", 3_000)]}
        state = {"values": {block["block_id"]: {element["action_id"]: value}}}
        person = {"id": user, "username": user.lower(), "name": user.lower(), "team_id": "T1"}
        shown = {"id": "V1", "type": "modal", "private_metadata": view["private_metadata"], "state": state}
        self.send({"type": "view_submission", "team": {"id": "T1"}, "user": person, "view": shown, "response_urls": []})

    def send(self, payload: dict[str, Any]) -> None:
        """An interactive envelope with any payload, to the newest connection."""
        envelope = {
            "envelope_id": f"envelope-{next(self._numbers)}",
            "type": "interactive",
            "accepts_response_payload": False,
            "payload": payload,
        }
        self._sockets[-1].send_soon(json.dumps(envelope))

    def drop(self) -> None:
        """Ask every client to come back by a new connection, as Slack does every few hours."""
        for socket in self._sockets:
            socket.send_soon(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))

    def note(self, what: list[Any], item: Any) -> None:
        """Something arrived."""
        with self._changed:
            what.append(item)
            self._changed.notify_all()

    def _post(self, call: Call) -> Answer:
        answer = super()._post(call)
        with self._changed:
            self._changed.notify_all()
        return answer

    def _open(self, call: Call) -> Answer:
        if call.token != self.APP_TOKEN:
            return Answer(body={"ok": False, "error": "invalid_auth" if call.token else "not_authed"})
        return Answer(body={"ok": True, "url": f"ws://127.0.0.1:{self.port}/link?ticket={next(self._numbers)}"})

    def _open_view(self, call: Call) -> Answer:
        if error := self._refusal(call) or self._wrong_view(call.json):
            return Answer(body={"ok": False, "error": error})
        self._triggers.discard(call.json["trigger_id"])
        self.note(self.opened, call.json["view"])
        return Answer(body={"ok": True, "view": {"id": "V1", **call.json["view"]}})

    def _wrong_view(self, asked: dict[str, Any]) -> str:
        view = asked.get("view", {})
        if asked.get("trigger_id") not in self._triggers:
            return "expired_trigger_id"
        well_formed = view.get("type") == "modal" and 0 < len(view["title"]["text"]) <= 24 and view.get("blocks") and view.get("submit")
        return "" if well_formed and len(view.get("private_metadata", "")) <= 3_000 else "invalid_arguments"

    def _keep(self, call: Call, what: list[dict[str, Any]]) -> Answer:
        if error := self._refusal(call):
            return Answer(body={"ok": False, "error": error})
        self.note(what, call.json)
        return Answer(body={"ok": True, "channel": call.json["channel"], "ts": call.json.get("ts", "1")})

    async def _link(self, call: Call) -> None:
        accept = base64.b64encode(hashlib.sha1((call.headers["sec-websocket-key"] + _GUID).encode(), usedforsecurity=False).digest())
        reader, writer = await call.connection.upgrade("websocket", {"Sec-WebSocket-Accept": accept.decode()})
        socket = _Socket(self, reader, writer)
        self._sockets.append(socket)
        await socket.send(json.dumps({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}}))
        with self._changed:
            self.connections += 1
            self._changed.notify_all()
        await socket.serve()


class _Socket:
    """The server's side of one WebSocket."""

    def __init__(self, slack: FakeSlackSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._slack = slack
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()

    def send_soon(self, text: str) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._writer.write, _frame(_TEXT, text.encode()))

    async def send(self, text: str) -> None:
        """In the server's thread."""
        self._writer.write(_frame(_TEXT, text.encode()))
        await self._writer.drain()

    async def serve(self) -> None:
        """Until the client closes."""
        while True:
            opcode, data = await self._read()
            if opcode == _CLOSE:
                self._writer.write(_frame(_CLOSE, data))
                return
            if opcode == _PING:
                self._writer.write(_frame(_PONG, data))
            elif opcode == _TEXT:
                self._slack.note(self._slack.acknowledged, json.loads(data)["envelope_id"])

    async def _read(self) -> tuple[int, bytes]:
        first, second = await self._reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", await self._reader.readexactly(8))
        mask = await self._reader.readexactly(4)  # a client masks always
        data = await self._reader.readexactly(length)
        return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))


def _frame(opcode: int, data: bytes) -> bytes:
    if len(data) < 126:
        head = struct.pack(">BB", 0x80 | opcode, len(data))
    elif len(data) < 65_536:
        head = struct.pack(">BBH", 0x80 | opcode, 126, len(data))
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 127, len(data))
    return head + data
