"""The server's side of Anthropic's Messages API: requests checked as the real one does, replies in events, errors in its form."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from ml_intern.testing.openai_wire import Refused
from ml_intern.testing.replies import Fault, FaultKind, ServerReply, pieces

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_FIELDS = frozenset[str]().union(
    {"model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream", "thinking", "output_config", "cache_control"},
    {"temperature", "top_p", "top_k", "stop_sequences", "metadata"},
)
_MAX_MARKS = 4
_encode = msgspec.json.encode


def signature_of(thinking: str) -> str:
    """The signature that this server gives, and accepts, for a text."""
    return f"sig-{zlib.crc32(thinking.encode()):08x}"


def check(body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """The request, if the real server would take it. Raises ``Refused``."""
    if not headers.get("anthropic-version"):
        raise Refused("anthropic-version: header is required")
    try:
        request: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Refused(f"The request body is not valid JSON: {error}") from error
    if unknown := request.keys() - _FIELDS:
        raise Refused(f"{min(unknown)}: Extra inputs are not permitted")
    if not isinstance(request.get("max_tokens"), int) or request["max_tokens"] < 1:
        raise Refused("max_tokens: Field required")
    for tool in request.get("tools", ()):
        if not _NAME.fullmatch(tool.get("name", "")) or not isinstance(tool.get("input_schema"), dict):
            raise Refused("tools.0: Input should have a name and an input_schema")
    if body.count(b'"cache_control"') > _MAX_MARKS:
        raise Refused(f"A maximum of {_MAX_MARKS} blocks with cache_control may be provided.")
    _check_messages(request.get("messages") or [])
    _check_thinking(request)
    return request


def _check_messages(messages: list[dict[str, Any]]) -> None:
    if not messages or messages[0].get("role") != "user":
        raise Refused('messages: first message must use the "user" role')
    open_ids: set[str] = set()
    before = ""
    for at, message in enumerate(messages):
        role, content = message.get("role", ""), message.get("content")
        if role not in ("user", "assistant") or role == before:
            raise Refused(f'messages.{at}: roles must alternate between "user" and "assistant"')
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list) or not content:
            raise Refused(f"messages.{at}: all messages must have non-empty content")
        before = role
        if role == "user":
            _check_results(at, content, open_ids)  # pyright: ignore[reportUnknownArgumentType]
            open_ids = set()
        else:
            open_ids = _check_said(at, content)  # pyright: ignore[reportUnknownArgumentType]
    if open_ids:
        raise Refused(f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(sorted(open_ids))}")


def _check_results(at: int, content: list[dict[str, Any]], open_ids: set[str]) -> None:
    answered: list[str] = []
    for position, block in enumerate(content):
        match block.get("type"):
            case "tool_result":
                if block["tool_use_id"] not in open_ids:
                    raise Refused(
                        f"messages.{at}.content.{position}: unexpected `tool_use_id` found in `tool_result` blocks: {block['tool_use_id']}"
                    )
                if position != len(answered):
                    raise Refused(f"messages.{at}: `tool_result` blocks must come first")
                answered.append(block["tool_use_id"])
            case "text":
                _check_text(at, block)
            case "image":
                if block.get("source", {}).get("type") != "base64":
                    raise Refused(f"messages.{at}: image source")
            case other:
                raise Refused(f"messages.{at}.content.{position}: {other} blocks are not permitted in a user message")
    if missing := open_ids - set(answered):
        raise Refused(
            f"messages.{at - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(sorted(missing))}. "
            "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        )
    if len(answered) != len(set(answered)):
        raise Refused(f"messages.{at}: each tool_use must have a single result")


def _check_said(at: int, content: list[dict[str, Any]]) -> set[str]:
    ids: set[str] = set()
    for position, block in enumerate(content):
        match block.get("type"):
            case "text":
                _check_text(at, block)
            case "tool_use":
                if (
                    not _ID.fullmatch(block.get("id", ""))
                    or not isinstance(block.get("input"), dict)
                    or not _NAME.fullmatch(block.get("name", ""))
                ):
                    raise Refused(f"messages.{at}.content.{position}.tool_use: id, name or input is not valid")
                if block["id"] in ids:
                    raise Refused("`tool_use` ids must be unique")
                ids.add(block["id"])
            case "thinking":
                if block.get("signature") != signature_of(block.get("thinking", "")):
                    raise Refused(f"messages.{at}.content.{position}: Invalid `signature` in `thinking` block")
            case "redacted_thinking":
                if not block.get("data", "").startswith("redacted-"):
                    raise Refused(f"messages.{at}.content.{position}: Invalid `data` in `redacted_thinking` block")
            case other:
                raise Refused(f"messages.{at}.content.{position}: {other} blocks are not permitted in an assistant message")
    return ids


def _check_text(at: int, block: dict[str, Any]) -> None:
    if not block.get("text", "").strip():
        raise Refused(f"messages.{at}: text content blocks must be non-empty")


def _check_thinking(request: dict[str, Any]) -> None:
    thinking: dict[str, Any] = request.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return
    if not 1024 <= thinking.get("budget_tokens", 0) < request["max_tokens"]:
        raise Refused("thinking.budget_tokens: must be at least 1024, and `max_tokens` must be greater than it")
    said = next((m for m in reversed(request["messages"]) if m["role"] == "assistant"), None)
    calls = said is not None and any(block["type"] == "tool_use" for block in said["content"])
    if said is not None and calls and said["content"][0]["type"] not in ("thinking", "redacted_thinking"):
        raise Refused(
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`. "
            "When `thinking` is enabled, a final `assistant` message must start with a thinking block."
        )


class AnthropicVoice:
    """Says a reply in events."""

    def __init__(self, reply: ServerReply, model: str, reply_id: str) -> None:
        self._reply = reply
        self._model = model
        self._id = f"msg_{reply_id}"
        self._call_ids = [call.id if call.id is not None else f"toolu_{reply_id}_{n}" for n, call in enumerate(reply.calls)]

    def events(self) -> Iterator[bytes]:
        """The events of the stream, in SSE form."""
        reply = self._reply
        opening: dict[str, Any] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
        }
        yield _event({"type": "message_start", "message": {**opening, "usage": {**self._prompt_usage(), "output_tokens": 1}}})
        yield _event({"type": "ping"})
        for index, block in enumerate(self._blocks()):
            yield from self._block_events(index, block)
        delta = {"stop_reason": self._stop_reason(), "stop_sequence": None}
        yield _event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": reply.completion_tokens}})
        yield _event({"type": "message_stop"})

    def document(self) -> bytes:
        """The reply as one document."""
        usage = {**self._prompt_usage(), "output_tokens": self._reply.completion_tokens}
        shell = {"id": self._id, "type": "message", "role": "assistant", "model": self._model}
        return _encode({**shell, "content": self._blocks(), "stop_reason": self._stop_reason(), "usage": usage})

    def _blocks(self) -> list[dict[str, Any]]:
        reply = self._reply
        blocks: list[dict[str, Any]] = []
        if reply.text_before_thinking:
            blocks.append({"type": "text", "text": reply.text_before_thinking})
        if reply.thinking:
            blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": signature_of(reply.thinking)})
        if reply.redacted:
            blocks.append({"type": "redacted_thinking", "data": reply.redacted})
        if text := "".join(reply.text_pieces) or reply.text:
            blocks.append({"type": "text", "text": text})
        for call_id, call in zip(self._call_ids, reply.calls, strict=True):
            blocks.append({"type": "tool_use", "id": call_id, "name": call.name, "input": msgspec.Raw(call.arguments.encode())})
        return blocks

    def _block_events(self, index: int, block: dict[str, Any]) -> Iterator[bytes]:
        chars = self._reply.piece_chars
        deltas: list[dict[str, Any]] = []
        opening: dict[str, Any]
        match block["type"]:
            case "text":
                opening = {**block, "text": ""}
                said = self._reply.text_pieces if self._reply.text_pieces else pieces(block["text"], chars)
                deltas += [{"type": "text_delta", "text": piece} for piece in said]
            case "thinking":
                opening = {**block, "thinking": "", "signature": ""}
                deltas += [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"], chars)]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "tool_use":
                opening = {**block, "input": {}}
                text = bytes(block["input"]).decode()
                deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces(text, chars)]]
            case _:
                opening = block
        yield _event({"type": "content_block_start", "index": index, "content_block": opening})
        for delta in deltas:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})

    def _stop_reason(self) -> str:
        return self._reply.model_finish or ("tool_use" if self._reply.calls else "end_turn")

    def _prompt_usage(self) -> dict[str, Any]:
        reply = self._reply
        return {
            "input_tokens": reply.prompt_tokens - reply.cache_read_tokens - reply.cache_creation_tokens,
            "cache_read_input_tokens": reply.cache_read_tokens,
            "cache_creation_input_tokens": reply.cache_creation_tokens,
        }


def _event(data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (data["type"].encode(), _encode(data))


def error_body(message: str, kind: str) -> bytes:
    """An error in Anthropic's form."""
    return _encode({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})


def fault_answer(fault: Fault) -> tuple[int, bytes] | None:
    """Status and body of a fault that is an answer of its own."""
    message, limit = fault.message, fault.limit_tokens
    too_long = f"prompt is too long: {limit + 17} tokens > {limit} maximum"
    answers: dict[FaultKind, tuple[int, bytes]] = {
        FaultKind.RATE_LIMIT: (429, error_body(message or "This request would exceed your rate limit.", "rate_limit_error")),
        FaultKind.SERVER_ERROR: (500, error_body(message or "Internal server error", "api_error")),
        FaultKind.OVERLOADED: (529, error_body(message or "Overloaded", "overloaded_error")),
        FaultKind.UNAUTHORIZED: (401, error_body(message or "invalid x-api-key", "authentication_error")),
        FaultKind.PAYMENT_REQUIRED: (402, error_body(message or "Your account has a billing problem.", "billing_error")),
        FaultKind.INSUFFICIENT_QUOTA: (
            400,
            error_body(message or "Your credit balance is too low to access the API.", "invalid_request_error"),
        ),
        FaultKind.NOT_FOUND: (404, error_body(message or "model: no-such-model", "not_found_error")),
        FaultKind.NOT_BY_PROVIDER: (
            400,
            error_body(message or "The requested model is not supported by provider x.", "invalid_request_error"),
        ),
        FaultKind.OVERFLOW: (400, error_body(message or too_long, "invalid_request_error")),
        FaultKind.OVERFLOW_WORDS: (400, error_body(message or too_long, "invalid_request_error")),
        FaultKind.BAD_REQUEST: (400, error_body(message or "Something is wrong with item 429 of 500.", "invalid_request_error")),
        FaultKind.EFFORT_REJECTED: (
            400,
            error_body(message or "output_config.effort: Input should be 'low', 'medium' or 'high'", "invalid_request_error"),
        ),
        FaultKind.THINKING_UNSUPPORTED: (400, error_body(message or "thinking is not supported by this model", "invalid_request_error")),
        FaultKind.SIGNATURE_INVALID: (
            400,
            error_body(message or "messages.1.content.0: Invalid `signature` in `thinking` block", "invalid_request_error"),
        ),
    }
    return answers.get(fault.kind)


def stream_error(fault: Fault) -> bytes:
    """An error event in the middle of a stream."""
    return b"event: error\ndata: " + error_body(fault.message or "Overloaded", "overloaded_error") + b"\n\n"


def nothing(kind: FaultKind, *, stream: bool) -> bytes:
    """An answer without a message, or with an empty one."""
    if kind is FaultKind.NO_CHOICE:
        return _event({"type": "ping"}) if stream else _encode({"type": "ping"})
    voice = AnthropicVoice(ServerReply(completion_tokens=0), "none", "none")
    return b"".join(voice.events()).replace(b'"output_tokens":1', b'"output_tokens":0') if stream else voice.document()
