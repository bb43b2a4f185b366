"""One reply of the Messages wire, put together from its events. https://docs.anthropic.com/en/docs/build-with-claude/streaming"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from ml_intern.errors import NonsenseReply, StreamBroken
from ml_intern.models.anthropic_encoding import ThinkingPlace
from ml_intern.models.base import Delta, Reply, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from ml_intern.models.exchange import StreamError, stated_usage, unique_ids
from ml_intern.protocol.messages import AssistantMessage, Thinking, ToolCall


class UsageReport(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class Block(Struct):
    """A content block: as it opens in a stream, or whole in an answer that is not streamed."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"{}"))


class Piece(Struct):
    """A ``content_block_delta``'s delta, or a ``message_delta``'s."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class Opening(Struct):
    usage: UsageReport | None = None


class StreamEvent(Struct):
    """Any event; a whole message, which has ``content``, is read with the same type."""

    type: str
    index: int = 0
    delta: Piece | None = None
    content_block: Block | None = None
    message: Opening | None = None
    usage: UsageReport | None = None
    error: Any = None
    content: list[Block] | None = None
    stop_reason: str | None = None


_decoder = msgspec.json.Decoder(StreamEvent)
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class _Open:
    """A block that is being written."""

    __slots__ = ("block", "parts", "place", "signature")

    def __init__(self, block: Block, place: ThinkingPlace) -> None:
        self.block = block
        self.place = place
        self.parts: list[str] = []
        self.signature = block.signature


class AnthropicReply:
    """Feed it events; it gives deltas, and at the end the reply."""

    def __init__(self, model_id: str) -> None:
        self._model_id = model_id
        self._blocks: dict[int, _Open] = {}
        self._usage = UsageReport()
        self._saw_usage = False
        self._stop_reason: str | None = None
        self._started = self._stopped = False
        self._deltas: list[Delta] = []
        self._run: list[str] = []  # pieces of one block that are not in a delta yet
        self._run_of: _Open | None = None

    def absorb(self, payloads: Iterable[bytes]) -> list[Delta]:
        """The deltas in these events, neighbours of one block joined. Raises ``StreamError`` and ``NonsenseReply``."""
        for payload in payloads:
            try:
                event = _decoder.decode(payload)
            except msgspec.MsgspecError as error:
                said = payload[:200].decode("utf-8", "replace")
                raise NonsenseReply(f"The server sent an event that is not the protocol ({error}): {said}") from error
            if event.type == "content_block_delta":  # nearly all of them
                self._grow(event)
            elif event.type == "error" or event.error is not None:
                raise StreamError(payload)
            else:
                self._note(event)
        self._flush()
        deltas, self._deltas = self._deltas, []
        return deltas

    def finish(self, taken_ids: set[str]) -> Reply:
        """The reply. Raises ``StreamBroken`` when the end never came, ``NonsenseReply`` when nothing did."""
        if not self._started:
            raise NonsenseReply("The server's answer holds no message.")
        if not self._stopped:
            raise StreamBroken("The stream ended before the reply did.")
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        text = "".join(part for open_ in blocks if open_.block.type == "text" for part in open_.parts)
        calls = [ToolCall(o.block.id, o.block.name, "".join(o.parts) or "{}") for o in blocks if o.block.type == "tool_use"]
        thinking = tuple(_thinking(open_) for open_ in blocks if open_.block.type in ("thinking", "redacted_thinking"))
        if not text and not calls and not thinking and not self._usage.output_tokens:
            raise NonsenseReply("The server's answer is empty.")
        reason = _FINISH.get(self._stop_reason or "", "tool_calls" if calls else "stop" if self._stop_reason is None else "other")
        message = AssistantMessage(text=text, tool_calls=unique_ids(calls, taken_ids), thinking=thinking, model=self._model_id)
        return Reply(message, reason, stated_usage(self._counted()) if self._saw_usage else None)

    def _note(self, event: StreamEvent) -> None:
        """Everything but the pieces. Types that are not known yet are skipped, as the API asks of its clients."""
        match event.type:
            case "message_start":
                self._started = True
                self._count(event.message.usage if event.message else None)
            case "content_block_start" if event.content_block is not None:
                self._open(event.index, event.content_block)
            case "message_delta":
                self._stop_reason = (event.delta.stop_reason if event.delta else None) or self._stop_reason
                self._count(event.usage)
            case "message_stop":
                self._stopped = True
            case "message" if event.content is not None:  # not streamed
                self._started = self._stopped = True
                self._stop_reason = event.stop_reason
                self._count(event.usage)
                for index, block in enumerate(event.content):
                    self._open(index, block)
            case _:
                pass

    def _open(self, index: int, block: Block) -> None:
        self._flush()
        opened = _Open(block, self._place())
        self._blocks[index] = opened
        match block.type:
            case "text" | "thinking":
                self._say(opened, block.text or block.thinking)
            case "tool_use":
                whole = bytes(block.input).decode()
                arguments = "" if whole.replace(" ", "") == "{}" else whole  # streamed, it opens empty and comes in pieces
                if arguments:
                    opened.parts.append(arguments)
                self._deltas.append(ToolCallDelta(self._call_index(opened), block.name, arguments))
            case _:
                pass

    def _grow(self, event: StreamEvent) -> None:
        opened, piece = self._blocks.get(event.index), event.delta
        if opened is None or piece is None:
            raise NonsenseReply("The server sent a piece of a block that it had not opened.")
        if text := piece.text or piece.thinking:
            self._say(opened, text)
        elif piece.partial_json:
            self._say(opened, piece.partial_json)
        elif piece.signature:
            opened.signature += piece.signature

    def _say(self, opened: _Open, text: str) -> None:
        if opened is not self._run_of:
            self._flush()
            self._run_of = opened
        if text:
            self._run.append(text)

    def _flush(self) -> None:
        if not self._run or self._run_of is None:
            return
        text = "".join(self._run)
        self._run.clear()
        self._run_of.parts.append(text)
        match self._run_of.block.type:
            case "text":
                self._deltas.append(TextDelta(text))
            case "thinking":
                self._deltas.append(ThinkingDelta(text))
            case "tool_use":
                self._deltas.append(ToolCallDelta(self._call_index(self._run_of), "", text))
            case _:
                pass

    def _place(self) -> ThinkingPlace:
        opened = self._blocks.values()
        chars = sum(len(part) for o in opened if o.block.type == "text" for part in o.parts)
        return ThinkingPlace(chars, sum(o.block.type == "tool_use" for o in opened))

    def _call_index(self, opened: _Open) -> int:
        return [o for o in self._blocks.values() if o.block.type == "tool_use"].index(opened)

    def _count(self, usage: UsageReport | None) -> None:
        """Later reports are cumulative: each figure that is given replaces the one before."""
        if usage is None:
            return
        self._saw_usage = True
        for name in UsageReport.__struct_fields__:
            if (value := getattr(usage, name)) is not None:
                setattr(self._usage, name, value)

    def _counted(self) -> Usage:
        read, written = self._usage.cache_read_input_tokens or 0, self._usage.cache_creation_input_tokens or 0
        fresh = self._usage.input_tokens or 0
        return Usage(
            prompt_tokens=fresh + read + written if fresh >= 0 else fresh,  # this API counts the cached ones apart
            completion_tokens=self._usage.output_tokens or 0,
            cache_read_tokens=read,
            cache_creation_tokens=written,
        )


def _thinking(opened: _Open) -> Thinking:
    details = "" if opened.place == ThinkingPlace() else msgspec.json.encode(opened.place).decode()
    if opened.block.type == "redacted_thinking":
        return Thinking(redacted=opened.block.data, details=details)
    return Thinking(text="".join(opened.parts), signature=opened.signature, details=details)
