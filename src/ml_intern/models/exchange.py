"""What both wires share: the kept head of the body, the events of an answer, and call ids that are really ids."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncGenerator, Callable, Iterable

from msgspec.structs import astuple

from ml_intern.errors import NonsenseReply
from ml_intern.models.base import ModelRequest, ToolSchema, Usage
from ml_intern.models.http import HttpAnswer
from ml_intern.models.sse import SseParser
from ml_intern.protocol.messages import AssistantMessage, Message, ToolCall

MOST_TOKENS = 1_000_000_000
"""No call has more: a count above it is nonsense."""


class StreamError(Exception):
    """The stream carried an error object; ``body`` is the chunk."""

    def __init__(self, body: bytes) -> None:
        super().__init__("error in stream")
        self.body = body


class PrefixCache:
    """The encoded head of the last request, kept while system prompt, tools and marks stay the same."""

    def __init__(self) -> None:
        self._key: tuple[str, tuple[ToolSchema, ...], bool] | None = None
        self._head = b""

    def get(self, request: ModelRequest, marked: bool, encode: Callable[[ModelRequest, bool], bytes]) -> bytes:
        """The head for this request."""
        key = (request.system, request.tools, marked)
        if self._key is None or not (key[0] is self._key[0] and key[1] is self._key[1] and key[2] == self._key[2]):
            self._key = key
            self._head = encode(request, marked)
        return self._head


async def payload_batches(answer: HttpAnswer) -> AsyncGenerator[list[bytes], None]:
    """The events of a stream, read by read; a server that answers with one JSON document all the same gives one."""
    if answer.content_type == "application/json":
        yield [await answer.read()]
        return
    if answer.content_type in ("text/html", "application/xhtml+xml"):
        raise NonsenseReply("The server answered with a web page: is the address right?", status=answer.status)
    parser = SseParser()
    async for read in answer.reads():
        if payloads := parser.feed(read):
            yield payloads
    if payloads := parser.finish():
        yield payloads


def call_ids(messages: Iterable[Message]) -> set[str]:
    """Every call id in the history."""
    return {call.id for message in messages if isinstance(message, AssistantMessage) for call in message.tool_calls}


def stated_usage(usage: Usage) -> Usage | None:
    """None for counts that cannot be: what a provider says of money is checked, for a negative count would give money back."""
    return usage if all(0 <= count <= MOST_TOKENS for count in astuple(usage)) else None


def stated_cost(cost_usd: float | None) -> float | None:
    """None for what is no amount of money: negative, infinite or not a number."""
    return cost_usd if cost_usd is not None and 0 <= cost_usd < math.inf else None


def unique_ids(calls: Iterable[ToolCall], taken: set[str]) -> tuple[ToolCall, ...]:
    """The calls with ids that are there and differ, from one another and from ``taken``: servers count from 0 in every reply."""
    seen = set(taken)
    result: list[ToolCall] = []
    for call in calls:
        call_id = call.id
        if not call_id or call_id in seen:
            call_id = f"call_{os.urandom(12).hex()}"
        seen.add(call_id)
        result.append(call if call_id == call.id else ToolCall(call_id, call.name, call.arguments))
    return tuple(result)
