"""The server's side of OpenAI's Chat Completions: requests checked as the real ones do, replies in chunks, errors in its form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ml_intern.testing.replies import Call, Fault, FaultKind, Quirk, ServerReply, pieces

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FIELDS = frozenset[str]().union(
    {"model", "messages", "tools", "tool_choice", "stream", "stream_options", "max_tokens", "max_completion_tokens", "reasoning_effort"},
    {"reasoning", "usage", "temperature", "top_p", "n", "stop", "user", "seed", "parallel_tool_calls", "response_format"},
    {"cache_control", "prompt_cache_key", "prompt_cache_retention"},
)
_encode = msgspec.json.encode


class Refused(Exception):
    """The request is not valid; the text is the server's message."""


def check(body: bytes) -> dict[str, Any]:
    """The request, if a real server would take it. Raises ``Refused``."""
    try:
        request: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Refused(f"We could not parse the JSON body of your request: {error}") from error
    if unknown := request.keys() - _FIELDS:
        raise Refused(f"Unrecognized request argument supplied: {', '.join(sorted(unknown))}")
    if not isinstance(request.get("model"), str) or not request["model"]:
        raise Refused("you must provide a model parameter")
    if not isinstance(request.get("messages"), list) or not request["messages"]:
        raise Refused("[] is too short - 'messages'")
    if request.get("stream_options") and not request.get("stream"):
        raise Refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    if "max_tokens" in request and "max_completion_tokens" in request:
        raise Refused("max_tokens and max_completion_tokens cannot both be set")
    for tool in request.get("tools", ()):
        if tool.get("type") != "function" or not _NAME.fullmatch(tool["function"].get("name", "")):
            raise Refused("Invalid 'tools[].function.name'")
    _check_messages(request["messages"])
    return request


def _check_messages(messages: list[dict[str, Any]]) -> None:
    open_ids: set[str] = set()
    for at, message in enumerate(messages):
        role = message.get("role")
        if role != "tool" and open_ids:
            raise Refused(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
                f"The following tool_call_ids did not have response messages: {', '.join(sorted(open_ids))}"
            )
        match role:
            case "tool":
                if message.get("tool_call_id") not in open_ids:
                    raise Refused(
                        f"messages[{at}]: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                    )
                if not isinstance(message.get("content"), str):
                    raise Refused(f"messages[{at}]: tool messages hold text only")
                open_ids.discard(message["tool_call_id"])
            case "assistant":
                open_ids = _check_calls(at, message)
            case "user" | "system" | "developer":
                if not isinstance(message.get("content"), str | list):
                    raise Refused(f"messages[{at}].content: expected a string or an array")
            case _:
                raise Refused(f"messages[{at}].role: {role!r} is not one of system, assistant, user, tool")
    if open_ids:
        raise Refused(f"The following tool_call_ids did not have response messages: {', '.join(sorted(open_ids))}")


def _check_calls(at: int, message: dict[str, Any]) -> set[str]:
    calls: list[dict[str, Any]] = message.get("tool_calls") or []
    if not calls and not isinstance(message.get("content"), str):
        raise Refused(f"messages[{at}].content: expected a string, got null")
    for call in calls:
        function = call.get("function", {})
        if call.get("type") != "function" or not _NAME.fullmatch(function.get("name", "")):
            raise Refused(f"messages[{at}].tool_calls: invalid function name")
        if not isinstance(function.get("arguments"), str) or not call.get("id") or len(call["id"]) > 40:
            raise Refused(f"messages[{at}].tool_calls: invalid id or arguments")
        try:  # vLLM and llama.cpp parse them to fill the chat template
            msgspec.json.decode(function["arguments"], type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise Refused(f"messages[{at}].tool_calls: arguments are not a JSON object") from error
    ids = [call["id"] for call in calls]
    if len(set(ids)) != len(ids):
        raise Refused(f"messages[{at}].tool_calls: duplicate ids")
    return set(ids)


class OpenAIVoice:
    """Says a reply in chunks."""

    def __init__(self, reply: ServerReply, model: str, reply_id: str) -> None:
        self._reply = reply
        self._shell = {"id": f"chatcmpl-{reply_id}", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
        self._ids = [call.id if call.id is not None else f"call_{reply_id}_{n}" for n, call in enumerate(reply.calls)]

    def events(self) -> Iterator[bytes]:
        """The events of the stream, in SSE form."""
        reply = self._reply
        end = self._line_end()
        if Quirk.COMMENTS in reply.quirks:
            yield b": PROCESSING" + end
        for payload in self._payloads():
            yield b"data: " + payload + end
        if Quirk.NO_DONE not in reply.quirks:
            yield b"data: [DONE]" + end

    def document(self) -> bytes:
        """The reply as one document."""
        reply = self._reply
        message: dict[str, Any] = {"role": "assistant", "content": self._text() or None}
        if reply.thinking:
            message[reply.reasoning_field] = reply.thinking
        if reply.reasoning_details:
            message["reasoning_details"] = list(reply.reasoning_details)
        if reply.calls:
            message["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": self._arguments(call)}}
                for call_id, call in zip(self._ids, reply.calls, strict=True)
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._finish()}
        usage = {} if Quirk.NO_USAGE in reply.quirks else {"usage": self._usage()}
        return _encode({**self._shell, "object": "chat.completion", "choices": [choice], **usage})

    def _payloads(self) -> Iterator[bytes]:
        reply = self._reply
        yield self._delta({"role": "assistant", "content": ""})
        for piece in pieces(reply.thinking, reply.piece_chars):
            yield self._delta({reply.reasoning_field: piece})
        for detail in reply.reasoning_details:
            yield self._delta({"reasoning_details": [detail]})
        # Only the content differs: the chunk around it is encoded once.
        before, _, after = self._delta({"content": "@"}).partition(b'"@"')
        for piece in reply.text_pieces or pieces(reply.text, reply.piece_chars):
            yield before + _encode(piece) + after
        yield from self._call_pieces()
        usage = None if Quirk.NO_USAGE in reply.quirks else self._usage()
        if Quirk.NO_FINISH not in reply.quirks:
            early = {"usage": usage} if Quirk.EARLY_USAGE in reply.quirks else {}
            yield _encode({**self._shell, "choices": [{"index": 0, "delta": {}, "finish_reason": self._finish()}], **early})
        if usage is not None and Quirk.EARLY_USAGE not in reply.quirks:
            yield _encode({**self._shell, "choices": [], "usage": usage})

    def _call_pieces(self) -> Iterator[bytes]:
        """Parallel calls piece by piece in turn where the index tells them apart, else one after the other."""
        parts = [self._parts_of(n, call) for n, call in enumerate(self._reply.calls)]
        if self._reply.quirks & {Quirk.NO_INDEX, Quirk.INDEX_ZERO}:
            ordered = [part for call in parts for part in call]
        else:
            longest = max(map(len, parts), default=0)
            ordered = [call[n] for n in range(longest) for call in parts if n < len(call)]
        for part in ordered:
            yield self._delta({"tool_calls": [part]})

    def _parts_of(self, n: int, call: Call) -> list[dict[str, Any]]:
        quirks, call_id = self._reply.quirks, self._ids[n]
        index = {} if Quirk.NO_INDEX in quirks else {"index": 0 if Quirk.INDEX_ZERO in quirks else n}
        if Quirk.OBJECT_ARGUMENTS in quirks:
            return [{**index, "id": call_id, "type": "function", "function": {"name": call.name, "arguments": self._arguments(call)}}]
        head: dict[str, Any] = {**index, "id": call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        if Quirk.LATE_ID in quirks:
            del head["id"]
        parts = [head]
        for at, piece in enumerate(pieces(call.arguments, self._reply.piece_chars)):
            part: dict[str, Any] = {**index, "function": {"arguments": piece}}
            if Quirk.REPEATED_NAMES in quirks:
                part = {**index, "id": call_id, "function": {"name": call.name, "arguments": piece}}
            elif Quirk.FRESH_IDS in quirks:
                part["id"] = f"{call_id}-{at}"
            parts.append(part)
        if Quirk.LATE_ID in quirks:
            parts[-1]["id"] = call_id
        return parts

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _encode({**self._shell, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

    def _arguments(self, call: Call) -> Any:
        return msgspec.json.decode(call.arguments) if Quirk.OBJECT_ARGUMENTS in self._reply.quirks else call.arguments

    def _text(self) -> str:
        return "".join(self._reply.text_pieces) or self._reply.text

    def _finish(self) -> str:
        calls = self._reply.calls and Quirk.STOP_WITH_CALLS not in self._reply.quirks
        return self._reply.model_finish or ("tool_calls" if calls else "stop")

    def _usage(self) -> dict[str, Any]:
        reply = self._reply
        usage: dict[str, Any] = {
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "total_tokens": reply.prompt_tokens + reply.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": reply.cache_read_tokens, "cache_write_tokens": reply.cache_creation_tokens},
        }
        return usage if reply.cost_usd is None else {**usage, "cost": reply.cost_usd}

    def _line_end(self) -> bytes:
        if Quirk.ONE_NEWLINE in self._reply.quirks:
            return b"\n"
        return b"\r\n\r\n" if Quirk.CRLF in self._reply.quirks else b"\n\n"


def error_body(message: str, kind: str, code: str | int | None = None, param: str | None = None, **more: Any) -> bytes:
    """An error in OpenAI's form."""
    return _encode({"error": {"message": message, "type": kind, "param": param, "code": code, **more}})


def fault_answer(fault: Fault) -> tuple[int, bytes] | None:
    """Status and body of a fault that is an answer of its own."""
    limit = fault.limit_tokens
    too_long = f"This model's maximum context length is {limit} tokens. However, your messages resulted in {limit + 17} tokens."
    message = fault.message
    answers: dict[FaultKind, tuple[int, bytes]] = {
        FaultKind.RATE_LIMIT: (429, error_body(message or "Rate limit reached.", "requests", "rate_limit_exceeded")),
        FaultKind.SERVER_ERROR: (500, error_body(message or "The server had an error.", "server_error")),
        FaultKind.OVERLOADED: (503, error_body(message or "The engine is overloaded.", "server_error")),
        FaultKind.UNAUTHORIZED: (401, error_body(message or "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")),
        FaultKind.PAYMENT_REQUIRED: (402, error_body(message or "You have exceeded your monthly included credits.", "billing")),
        FaultKind.INSUFFICIENT_QUOTA: (
            429,
            error_body(message or "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
        ),
        FaultKind.NOT_FOUND: (404, error_body(message or "The model does not exist.", "invalid_request_error", "model_not_found")),
        FaultKind.NOT_BY_PROVIDER: (
            400,
            error_body(message or "The requested model is not supported by provider x.", "invalid_request_error"),
        ),
        FaultKind.OVERFLOW: (400, error_body(message or too_long, "invalid_request_error", "context_length_exceeded", "messages")),
        FaultKind.OVERFLOW_WORDS: (400, error_body(message or too_long, "BadRequestError", 400)),
        FaultKind.BAD_REQUEST: (400, error_body(message or "Something is wrong with item 429 of 500.", "invalid_request_error")),
        FaultKind.EFFORT_REJECTED: (
            400,
            error_body(
                message or "Unsupported value: 'reasoning_effort'.", "invalid_request_error", "unsupported_value", "reasoning_effort"
            ),
        ),
        FaultKind.THINKING_UNSUPPORTED: (
            400,
            error_body(
                message or "Unsupported parameter: 'reasoning_effort'.",
                "invalid_request_error",
                "unsupported_parameter",
                "reasoning_effort",
            ),
        ),
        FaultKind.SIGNATURE_INVALID: (
            400,
            error_body(message or "messages: property 'reasoning_content' is unsupported", "invalid_request_error"),
        ),
    }
    return answers.get(fault.kind)


def stream_error(fault: Fault) -> bytes:
    """An error event in the middle of a stream."""
    return b"data: " + error_body(fault.message or "The provider is overloaded.", "server_error", 503) + b"\n\n"


def nothing(kind: FaultKind, *, stream: bool) -> bytes:
    """An answer without a choice, or with an empty one."""
    shell = {"id": "chatcmpl-none", "object": "chat.completion.chunk", "created": 1, "model": "none"}
    message = {"role": "assistant", "content": ""}
    empty: list[Any] = [{"index": 0, "delta" if stream else "message": message, "finish_reason": "stop"}]
    document = _encode({**shell, "choices": [] if kind is FaultKind.NO_CHOICE else empty})
    return b"data: " + document + b"\n\ndata: [DONE]\n\n" if stream else document
