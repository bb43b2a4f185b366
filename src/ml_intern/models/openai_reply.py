"""One reply of the Chat Completions wire, put together from its chunks.

Servers differ in every detail that the reference leaves open; what is tolerated here is named where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from ml_intern.errors import NonsenseReply, StreamBroken
from ml_intern.models.base import Delta, Reply, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from ml_intern.models.exchange import StreamError, stated_cost, stated_usage, unique_ids
from ml_intern.models.reasoning_details import DetailsMerger
from ml_intern.protocol.messages import AssistantMessage, Thinking, ToolCall


class FunctionPiece(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CallPiece(Struct):
    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None


class ContentPart(Struct):
    """Mistral streams content as a list of parts; a ``thinking`` part holds parts itself."""

    type: str = "text"
    text: str = ""
    thinking: list[ContentPart] | None = None


class MessagePiece(Struct):
    content: str | list[ContentPart] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    tool_calls: list[CallPiece] | None = None
    refusal: str | None = None


class Choice(Struct):
    index: int = 0
    delta: MessagePiece | None = None
    message: MessagePiece | None = None
    finish_reason: str | None = None


class PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None


class UsageReport(Struct):
    """Every spelling of the cached tokens that is out there."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    cost: float | None = None

    def usage(self) -> Usage:
        """As our type: the prompt includes what was cached."""
        details = self.prompt_tokens_details or PromptDetails()
        read = details.cached_tokens or self.cache_read_input_tokens or self.prompt_cache_hit_tokens or self.cached_tokens or 0
        written = details.cache_write_tokens or details.cache_creation_tokens or self.cache_creation_input_tokens or 0
        prompt = self.prompt_tokens or 0
        if 0 <= prompt < read + written:  # counted apart, as Anthropic does
            prompt += read + written
        return Usage(
            prompt_tokens=prompt, completion_tokens=self.completion_tokens or 0, cache_read_tokens=read, cache_creation_tokens=written
        )


class Chunk(Struct):
    choices: list[Choice] | None = None
    usage: UsageReport | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(Chunk, strict=False)
_FINISH = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
_object = msgspec.json.Decoder(dict[str, Any])
_Calls: TypeAlias = list["_Call"]


class _Call:
    """A call that is being written."""

    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    @property
    def complete(self) -> bool:
        try:
            _object.decode("".join(self.arguments))
        except msgspec.MsgspecError:
            return False
        return True


class OpenAIReply:
    """Feed it chunks; it gives deltas, and at the end the reply."""

    def __init__(self, model_id: str) -> None:
        self._model_id = model_id
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._run_kind = self._text  # which of the two the run belongs to
        self._run: list[str] = []  # text that is not in a delta yet
        self._deltas: list[Delta] = []
        self._details = DetailsMerger()
        self._calls: _Calls = []
        self._finish: str | None = None
        self._usage: UsageReport | None = None
        self._saw_choice = False
        self._done = False

    def absorb(self, payloads: Iterable[bytes]) -> list[Delta]:
        """The deltas in these chunks, neighbours of one kind joined. Raises ``StreamError`` and ``NonsenseReply``."""
        for payload in payloads:
            if payload == b"[DONE]":
                self._done = True
                continue
            for chunk in decode_chunks(payload):
                if chunk.error is not None:
                    raise StreamError(payload)
                self.absorb_chunk(chunk)
        return self.drain()

    def absorb_chunk(self, chunk: Chunk) -> None:
        """Take in one chunk; ``drain`` gives its deltas."""
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.choices:
            self._absorb_choice(chunk.choices[0])

    def drain(self) -> list[Delta]:
        """The deltas since the last time."""
        self._flush()
        deltas, self._deltas = self._deltas, []
        return deltas

    def finish(self, taken_ids: set[str]) -> Reply:
        """The reply. ``taken_ids`` are the call ids of the history. Raises ``StreamBroken`` and ``NonsenseReply``."""
        if not self._saw_choice:
            raise NonsenseReply("The server's answer holds no choice.")
        if self._finish is None and not self._done:
            raise StreamBroken("The stream ended before the reply did.")
        if self._finish == "error":
            raise StreamBroken("The provider broke off the reply.")
        text = "".join(self._text)
        thinking = self.thinking_blocks()
        usage = stated_usage(self._usage.usage()) if self._usage else None
        if not text and not thinking and not self._calls and not (usage and usage.completion_tokens):
            raise NonsenseReply("The server's answer is empty.")
        message = AssistantMessage(text=text, tool_calls=unique_ids(self._tool_calls(), taken_ids), thinking=thinking, model=self._model_id)
        return Reply(message, self._finish_reason(), usage, stated_cost(self._usage.cost) if self._usage else None)

    def _finish_reason(self) -> str:
        reason = _FINISH.get(self._finish or "stop", "other")
        return "tool_calls" if self._calls and reason in ("stop", "other") else reason

    def _absorb_choice(self, choice: Choice) -> None:
        self._saw_choice = True
        if choice.finish_reason:
            self._finish = choice.finish_reason
        piece = choice.delta or choice.message
        if piece is None:
            return
        if reasoning := piece.reasoning_content or piece.reasoning:
            self._say(self._thinking, reasoning)
        if content := piece.content:
            if isinstance(content, str):
                self._say(self._text, content)
            else:
                self._say_parts(content)
        if piece.refusal:
            self._say(self._text, piece.refusal)
        if piece.reasoning_details:
            self._details.add(piece.reasoning_details)
        if piece.tool_calls:
            self._flush()
            several = len(piece.tool_calls) > 1
            self._deltas.extend(self._absorb_call(call, at if several else None) for at, call in enumerate(piece.tool_calls))

    def _say_parts(self, parts: list[ContentPart]) -> None:
        for part in parts:
            for inner in part.thinking or ():
                self._say(self._thinking, inner.text)
            if part.text:
                self._say(self._text, part.text)

    def _say(self, kind: list[str], text: str) -> None:
        if kind is not self._run_kind:
            self._flush()
            self._run_kind = kind
        self._run.append(text)

    def _flush(self) -> None:
        if self._run:
            text = "".join(self._run)
            self._run.clear()
            self._run_kind.append(text)
            self._deltas.append(TextDelta(text) if self._run_kind is self._text else ThinkingDelta(text))

    def _absorb_call(self, piece: CallPiece, position: int | None) -> ToolCallDelta:
        function = piece.function or FunctionPiece()
        name = function.name or ""
        arguments = function.arguments
        if isinstance(arguments, dict):  # Ollama's native form, leaking through
            arguments = msgspec.json.encode(arguments).decode()
        call = self._call_of(piece.index if piece.index is not None else position, piece.id or "", name)
        call.id = call.id or piece.id or ""
        fresh_name = ""
        if name and name != call.name:
            # Whole names are the rule; a server that streams them in pieces does so before any argument.
            call.name = name if call.arguments and call.name else call.name + name
            fresh_name = call.name
        if arguments:
            call.arguments.append(arguments)
        return ToolCallDelta(self._calls.index(call), fresh_name, arguments or "")

    def _call_of(self, index: int | None, call_id: str, name: str) -> _Call:
        """The call that a piece belongs to, by index, else by id, else the last one."""
        if index is None:
            known = next((c for c in self._calls if c.id == call_id), None) if call_id else (self._calls[-1] if self._calls else None)
            starts_anew = known is not None and not call_id and name and known.name and known.complete
        else:
            known = next((c for c in reversed(self._calls) if c.index == index), None)
            # Parallel calls that all say index 0, told apart by id and name alone. A new id with nothing new to it is noise.
            other_id = known is not None and bool(call_id) and bool(known.id) and call_id != known.id
            starts_anew = other_id and bool(name) and known is not None and (name != known.name or known.complete)
        if known is not None and not starts_anew:
            return known
        call = _Call(index)
        self._calls.append(call)
        return call

    def thinking_blocks(self) -> tuple[Thinking, ...]:
        """The reasoning, as it has to be sent back."""
        text = "".join(self._thinking)
        details = self._details.text()
        return (Thinking(text=text, details=details),) if text or details else ()

    def _tool_calls(self) -> list[ToolCall]:
        return [ToolCall(call.id, call.name, "".join(call.arguments)) for call in self._calls]


def decode_chunks(payload: bytes) -> list[Chunk]:
    """The chunk in one event; several when the server forgot the blank line between events."""
    try:
        return [_decoder.decode(payload)]
    except msgspec.MsgspecError as error:
        if b"\n" in payload:
            return [chunk for line in payload.split(b"\n") if line and line != b"[DONE]" for chunk in decode_chunks(line)]
        raise NonsenseReply(
            f"The server sent a chunk that is not the protocol ({error}): {payload[:200].decode('utf-8', 'replace')}"
        ) from error
