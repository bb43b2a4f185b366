"""The client for Anthropic's Messages API, and for every server that speaks it. https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from ml_intern.errors import ContextOverflow
from ml_intern.models.anthropic_encoding import AnthropicEncoder
from ml_intern.models.anthropic_refusals import anthropic_error, output_room
from ml_intern.models.anthropic_reply import AnthropicReply
from ml_intern.models.anthropic_thinking import thinking_style
from ml_intern.models.base import Delta, ModelRequest, Reply, ToolSchema
from ml_intern.models.caching import EPHEMERAL, CacheHints, cache_hints
from ml_intern.models.effort import offered
from ml_intern.models.exchange import PrefixCache, StreamError, call_ids, payload_batches
from ml_intern.models.http import HttpOptions, ModelHttp
from ml_intern.models.refusals import Asked, read_refusal
from ml_intern.models.resolved import ResolvedModel
from ml_intern.protocol.messages import AssistantMessage, Message

API_VERSION = "2023-06-01"
_PATH = "/messages"
_json = msgspec.json.Encoder()


class Anthropic:
    """A model behind the Messages wire. Connects at the first request."""

    def __init__(self, model: ResolvedModel, options: HttpOptions) -> None:
        self._model = model
        self._style = thinking_style(model.wire_model)
        headers = {"anthropic-version": API_VERSION, **model.headers}
        if model.api_key:
            headers.setdefault("x-api-key", model.api_key.reveal())
        self._http = ModelHttp(model.base_url, headers, options)
        self._encoder = AnthropicEncoder(model)
        self._prefix = PrefixCache()

    @property
    def model_id(self) -> str:
        return self._model.model_id

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | Reply, None]:
        """See ``ChatModel``. An answer that would not fit beside the prompt is asked for once more, shorter."""
        try:
            async with aclosing(self._exchange(request)) as deltas:
                async for delta in deltas:
                    yield delta
            return
        except ContextOverflow as error:
            room = output_room(error)
            if room is None or room >= self._max_tokens(request):
                raise
        async with aclosing(self._exchange(msgspec.structs.replace(request, max_output_tokens=room))) as deltas:
            async for delta in deltas:
                yield delta

    async def _exchange(self, request: ModelRequest) -> AsyncGenerator[Delta | Reply, None]:
        hints = cache_hints(self._model, request.session_id)
        body = self._body(request, hints)
        accept = "text/event-stream" if request.stream else "application/json"
        async with self._http.post(_PATH, body, {**hints.headers, "accept": accept}) as answer:
            del body
            if answer.status != 200:
                raise anthropic_error(read_refusal(answer.status, await answer.read(), answer.headers, self._model), self._asked(request))
            builder = AnthropicReply(self.model_id)
            try:
                async for payloads in payload_batches(answer):
                    for delta in builder.absorb(payloads):
                        yield delta
            except StreamError as error:
                raise anthropic_error(read_refusal(None, error.body, answer.headers, self._model), self._asked(request)) from None
            yield builder.finish(call_ids(request.messages))

    def forget_thinking(self, messages: Sequence[Message]) -> bool:
        """Never again send back the reasoning in these messages; False when none was sent."""
        return self._encoder.forget_thinking(messages)

    async def aclose(self) -> None:
        await self._http.aclose()

    def _body(self, request: ModelRequest, hints: CacheHints) -> bytes:
        head = self._prefix.get(request, hints.marks_prefix, self._head)
        return b"".join((head, *self._encoder.encode(request.messages), b"]", self._tail(request, hints)))

    def _head(self, request: ModelRequest, marked: bool) -> bytes:
        """Everything ahead of the first message: the same from step to step."""
        mark = {"cache_control": dict(EPHEMERAL)} if marked else {}
        parts = [b'{"model":', _json.encode(self._model.wire_model)]
        if request.tools:
            parts += [b',"tools":', _json.encode(_tools(request.tools, mark))]
        if request.system:
            parts += [b',"system":', _json.encode([{"type": "text", "text": request.system, **mark}])]
        return b"".join((*parts, b',"messages":['))

    def _tail(self, request: ModelRequest, hints: CacheHints) -> bytes:
        """Everything that may change between two requests, and the cache mark that follows the last block."""
        max_tokens = self._max_tokens(request)
        fields: dict[str, Any] = {"max_tokens": max_tokens, "stream": request.stream}
        if self._may_think(request):
            fields |= self._style.fields(offered(request.effort, self._model.effort_levels), max_tokens)
        return b"," + _json.encode({**fields, **hints.tail})[1:]

    def _max_tokens(self, request: ModelRequest) -> int:
        return request.max_output_tokens or self._style.max_output_tokens

    def _may_think(self, request: ModelRequest) -> bool:
        """With a thinking budget, a turn that goes on after tool calls must have opened with its thinking; other models may differ."""
        if self._style.adaptive:
            return True
        for message in reversed(request.messages):
            if isinstance(message, AssistantMessage):
                own = message.model == self.model_id
                kept = self._encoder.replayable(message.thinking) if own else []
                return not message.tool_calls or any(block.signature or block.redacted for block in kept)
        return True

    def _asked(self, request: ModelRequest) -> Asked:
        return Asked(
            model=self._model,
            effort=offered(request.effort, self._model.effort_levels),
            replays_thinking=any(isinstance(m, AssistantMessage) and m.thinking and m.model == self.model_id for m in request.messages),
        )


def _tools(tools: Sequence[ToolSchema], mark: dict[str, Any]) -> list[dict[str, Any]]:
    wire: list[dict[str, Any]] = [{"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in tools]
    wire[-1] |= mark
    return wire
