"""A program's answers, one message a line: cut from what its pipe gives, in a time that grows with their length and no faster.

The SDK's own reader joins what it has of a line with every piece that comes, which took half a minute for 50 MB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, jsonrpc_message_adapter

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
TOO_LONG = -32098
"""Ours: the code of the error that stands for an answer that was not kept. In the range that JSON-RPC leaves to implementations."""
_KEPT_END_BYTES = 512
_ID = rb'"id"\s*:\s*(\d{1,18}|"[^"\\]{1,200}")'
_VERSION = rb'"jsonrpc"\s*:\s*"2\.0"'
_ID_FIRST = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb"\s*,\s*)?" + _ID + rb"\s*,(?!\s*\"method\")")
_ID_LAST = re.compile(_ID + rb"\s*(?:,\s*" + _VERSION + rb"\s*)?\}\s*\Z")
"""Where the SDKs in Python and in TypeScript write whom a message answers: ahead of the result, or behind it."""


class TooLong(Exception):
    """A line that was not kept, and who waited for it was not to be seen."""


class Lines:
    """Takes bytes, gives lines. Of a line that is too long only its two ends are kept."""

    def __init__(self, most_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """The lines that end in ``data``, and whether each is whole."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._take(end)
            line, whole = b"".join(self._parts), self._size_bytes <= self._most_bytes
            self._parts, self._size_bytes = [], 0
            yield line, whole
        self._take(rest)

    def _take(self, part: bytes) -> None:
        self._parts.append(part)
        self._size_bytes += len(part)
        if self._size_bytes > self._most_bytes:
            both = b"".join(self._parts)
            self._parts = [both[:_KEPT_END_BYTES], both[_KEPT_END_BYTES:][-_KEPT_END_BYTES:]]


def message(line: bytes) -> SessionMessage | Exception:
    """What a line says; what is no message of the protocol comes back as the error."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line.decode("utf-8", "replace"), by_name=False))
    except ValueError as error:
        return error


def refused_message(ends: bytes, most_bytes: int) -> SessionMessage | Exception:
    """An error for whoever waits for an answer that was too long, so that the call ends and the connection does not."""
    words = f"more than {most_bytes:,} bytes in one message"
    found = _ID_FIRST.match(ends) or _ID_LAST.search(ends)
    if found is None:
        return TooLong(words)
    told = found.group(1).decode("utf-8", "replace")
    number = told.strip('"') if told.startswith('"') else int(told)
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=TOO_LONG, message=words)))
