"""The client for everything that speaks OpenAI's Chat Completions: the Hugging Face router, OpenAI, OpenRouter, local servers.

Protocol: https://platform.openai.com/docs/api-reference/chat. Our own on httpx2, because this is the hot path: the body grows
by the bytes of the new messages, and every network read is parsed as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from ml_intern.models.base import Delta, ModelRequest, Reply, ToolSchema
from ml_intern.models.caching import EPHEMERAL, CacheHints, cache_hints
from ml_intern.models.effort import offered
from ml_intern.models.exchange import PrefixCache, StreamError, call_ids, payload_batches
from ml_intern.models.http import HttpOptions, ModelHttp
from ml_intern.models.openai_encoding import OpenAIEncoder
from ml_intern.models.openai_refusals import openai_error
from ml_intern.models.openai_reply import OpenAIReply
from ml_intern.models.refusals import Asked, read_refusal
from ml_intern.models.resolved import OPENAI, OPENROUTER, ResolvedModel
from ml_intern.protocol.messages import AssistantMessage, Message

_PATH = "/chat/completions"
_json = msgspec.json.Encoder()


class OpenAICompatible:
    """A model behind the Chat Completions wire. Connects at the first request."""

    def __init__(self, model: ResolvedModel, options: HttpOptions) -> None:
        self._model = model
        headers = dict(model.headers)
        if model.api_key:
            headers.setdefault("authorization", f"Bearer {model.api_key.reveal()}")
        self._http = ModelHttp(model.base_url, headers, options)
        self._encoder = OpenAIEncoder(model)
        self._prefix = PrefixCache()
        self.served_by = ""
        """The provider that the router chose for the last answer."""

    @property
    def model_id(self) -> str:
        return self._model.model_id

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | Reply, None]:
        """See ``ChatModel``."""
        hints = cache_hints(self._model, request.session_id)
        body = self._body(request, hints)
        async with self._http.post(
            _PATH, body, {**hints.headers, "accept": "text/event-stream" if request.stream else "application/json"}
        ) as answer:
            del body
            self.served_by = answer.headers.get("x-inference-provider", "")
            if answer.status != 200:
                raise openai_error(read_refusal(answer.status, await answer.read(), answer.headers, self._model), self._asked(request))
            builder = OpenAIReply(self.model_id)
            try:
                async for payloads in payload_batches(answer):
                    for delta in builder.absorb(payloads):
                        yield delta
            except StreamError as error:
                raise openai_error(read_refusal(None, error.body, answer.headers, self._model), self._asked(request)) from None
            yield builder.finish(call_ids(request.messages))

    def forget_thinking(self, messages: Sequence[Message]) -> bool:
        """Never again send back the reasoning in these messages; False when none was sent."""
        return self._encoder.forget_thinking(messages)

    async def aclose(self) -> None:
        await self._http.aclose()

    def _body(self, request: ModelRequest, hints: CacheHints) -> bytes:
        segments = self._encoder.encode(request.messages)
        head = self._prefix.get(request, hints.marks_prefix, self._head)
        if not request.system:
            first = next((i for i, segment in enumerate(segments) if segment), 0)
            segments[first] = segments[first][1:]  # no system message stands ahead of the comma
        return b"".join((head, *segments, b"]", self._tail(request, hints)))

    def _head(self, request: ModelRequest, marked: bool) -> bytes:
        """Everything ahead of the first message: the same from step to step."""
        parts = [b'{"model":', _json.encode(self._model.wire_model)]
        if request.tools:
            parts += [b',"tools":', _json.encode(_tools(request.tools, marked))]
        parts.append(b',"messages":[')
        if request.system:
            text = {"type": "text", "text": request.system, "cache_control": dict(EPHEMERAL)}
            parts.append(_json.encode({"role": "system", "content": [text] if marked else request.system}))
        return b"".join(parts)

    def _tail(self, request: ModelRequest, hints: CacheHints) -> bytes:
        """Everything that may change between two requests, and the cache mark that follows the last message."""
        fields: dict[str, Any] = {"stream": request.stream}
        if request.stream:
            fields["stream_options"] = {"include_usage": True}
        if request.max_output_tokens is not None:
            fields[self._limit_field()] = request.max_output_tokens
        if effort := offered(request.effort, self._model.effort_levels):
            fields |= {"reasoning": {"effort": effort}} if self._model.provider == OPENROUTER else {"reasoning_effort": effort}
        if self._model.provider == OPENROUTER:
            fields["usage"] = {"include": True}
        return b"," + _json.encode({**fields, **hints.tail})[1:]

    def _limit_field(self) -> str:
        # OpenAI's reasoning models refuse the old name; the open servers often know only that one.
        is_openai = self._model.provider == OPENAI or (self._model.on_router and self._model.wire_model.startswith("openai/gpt-5"))
        return "max_completion_tokens" if is_openai else "max_tokens"

    def _asked(self, request: ModelRequest) -> Asked:
        return Asked(
            model=self._model,
            effort=offered(request.effort, self._model.effort_levels),
            replays_thinking=any(isinstance(m, AssistantMessage) and m.thinking and m.model == self.model_id for m in request.messages),
        )


def _tools(tools: Sequence[ToolSchema], marked: bool) -> list[dict[str, Any]]:
    wire: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters}}
        for tool in tools
    ]
    if marked:
        wire[-1]["cache_control"] = dict(EPHEMERAL)
    return wire
