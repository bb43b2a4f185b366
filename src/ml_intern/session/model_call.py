"""One model call: its deltas are shown as they come, its reply and its cost are stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import cast

import msgspec

from ml_intern.models.base import Delta, EffortNotice, ModelRequest, Reply, RetryNotice, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from ml_intern.protocol.events import (
    AssistantChunk,
    AssistantMessageAdded,
    AssistantStreamEnd,
    EffortChanged,
    LlmCall,
    Retrying,
    ThinkingChunk,
)
from ml_intern.protocol.messages import AssistantMessage, ToolCall
from ml_intern.session.clock import Clock
from ml_intern.session.log import EventLog
from ml_intern.session.model_port import ModelPort
from ml_intern.session.policies.base import Nudge, Verdict


class ModelCaller:
    """Calls the model of a session and writes down what came of it."""

    def __init__(self, log: EventLog, clock: Clock, on_first_answer: Callable[[], None] | None = None) -> None:
        """``on_first_answer`` is called once, when the first bytes of the first answer are there: a good moment for slow imports."""
        self._log = log
        self._clock = clock
        self._on_first_answer = on_first_answer

    async def ask(self, model: ModelPort, request: ModelRequest, judge: Callable[[Reply], Verdict]) -> tuple[Reply, Verdict]:
        """A step's call, and ``judge``'s verdict on it. The reply is in the history when this returns; interrupted, its text so far is.

        Calls that the verdict drops are not part of the history. Raises ``ModelError``.
        """
        shown: list[str] = []
        try:
            reply, record = await self._call(model, request, kind="main", shown=shown)
        except BaseException:
            # Whatever ended the call (an interrupt, an error after the last retry): what people read stays said.
            if text := "".join(shown):
                self._log.show(AssistantStreamEnd())
                await self._log.append(
                    AssistantMessageAdded(content=text, streamed=True, model=model.model_id, finish_reason="interrupted")
                )
            raise
        verdict = judge(reply)
        if isinstance(verdict, Nudge) and verdict.drop_calls:
            reply = msgspec.structs.replace(reply, message=msgspec.structs.replace(reply.message, tool_calls=()))
        reply = msgspec.structs.replace(reply, message=self._with_own_ids(reply.message))
        await self._store(reply, record, streamed=bool(shown))
        return reply, verdict

    async def _store(self, reply: Reply, record: LlmCall, *, streamed: bool) -> None:
        message = reply.message
        if streamed:
            self._log.show(AssistantStreamEnd())
        if not message.text and not message.tool_calls:
            await self._log.append(record)  # an empty message would be refused when it is sent back
            return
        added = AssistantMessageAdded(
            content=message.text,
            streamed=streamed,
            tool_calls=message.tool_calls,
            thinking=message.thinking,
            model=message.model or record.model,
            finish_reason=reply.finish_reason,
        )
        await self._log.append(added, record)

    async def ask_aside(self, model: ModelPort, request: ModelRequest, *, kind: str) -> Reply:
        """A call beside the conversation (a summary, a probe): only its cost is stored. Raises ``ModelError``."""
        reply, record = await self._call(model, request, kind=kind, shown=None)
        await self._log.append(record)
        return reply

    async def _call(self, model: ModelPort, request: ModelRequest, *, kind: str, shown: list[str] | None) -> tuple[Reply, LlmCall]:
        started, first_at = self._clock.monotonic(), None
        # Closing matters: it is what hangs up on the provider when the call is interrupted.
        stream = cast("AsyncGenerator[Delta | Reply]", model.stream(request))
        async with aclosing(stream):
            async for item in stream:
                if self._on_first_answer is not None:
                    self._on_first_answer()
                    self._on_first_answer = None
                if isinstance(item, Reply):
                    cost = await model.cost_usd(item.usage, item.cost_usd)
                    first_ms = None if first_at is None else int((first_at - started) * 1000)
                    return item, _record(model, item, kind, int((self._clock.monotonic() - started) * 1000), first_ms, cost)
                if first_at is None and not isinstance(item, RetryNotice):
                    first_at = self._clock.monotonic()
                await self._show(item, shown)
        raise AssertionError("ChatModel.stream ended without a Reply")  # the contract suite holds every client to it

    async def _show(self, item: Delta, shown: list[str] | None) -> None:
        match item:
            case TextDelta():
                if shown is not None:
                    shown.append(item.text)
                    self._log.show_text(AssistantChunk(content=item.text))
            case ThinkingDelta():
                if shown is not None:
                    self._log.show_text(ThinkingChunk(content=item.text))
            case ToolCallDelta():
                pass
            case RetryNotice():
                if shown is not None and item.discard_text:
                    shown.clear()
                await self._log.append(
                    Retrying(attempt=item.attempt, delay_s=item.delay_s, reason=item.reason, discard_text=item.discard_text)
                )
            case EffortNotice():
                state = self._log.state
                await self._log.append(EffortChanged(effort=state.effort, effective=item.effective, note=item.note))

    def _with_own_ids(self, message: AssistantMessage) -> AssistantMessage:
        """Ids that no earlier call of the session has: some servers count from zero in every reply."""
        seen = self._log.state.call_ids
        if not any(call.id in seen for call in message.tool_calls):
            return message
        calls: list[ToolCall] = []
        for call in message.tool_calls:
            call_id, n = call.id, 2
            while call_id in seen:
                call_id, n = f"{call.id}-{n}", n + 1
            calls.append(ToolCall(call_id, call.name, call.arguments))
        return msgspec.structs.replace(message, tool_calls=tuple(calls))


def _record(model: ModelPort, reply: Reply, kind: str, latency_ms: int, first_token_ms: int | None, cost_usd: float | None) -> LlmCall:
    usage = reply.usage or Usage()
    return LlmCall(
        model=model.model_id,
        latency_ms=latency_ms,
        finish_reason=reply.finish_reason,
        cost_usd=cost_usd,
        kind=kind,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_creation_tokens=usage.cache_creation_tokens,
        first_token_ms=first_token_ms,
    )
