"""One model call: its deltas are shown as they come, its reply and its cost are stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import cast

import msgspec

from ml_intern.models.base import Delta, EffortNotice, ModelRequest, Reply, RetryNotice, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from ml_intern.protocol.event_base import Event
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
from ml_intern.session.history import CHARS_PER_TOKEN, estimate_all
from ml_intern.session.log import EventLog
from ml_intern.session.model_port import ModelPort
from ml_intern.session.policies.base import Nudge, Verdict


class ModelCaller:
    """Calls the model of a session and writes down what came of it."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    async def ask(self, model: ModelPort, request: ModelRequest, judge: Callable[[Reply], Verdict]) -> tuple[Reply, Verdict]:
        """A step's call, and ``judge``'s verdict on it. The reply is in the history when this returns; interrupted, its text so far is.

        Calls that the verdict drops are not part of the history. Raises ``ModelError``.
        """
        progress = _Progress(self._clock.monotonic())
        try:
            reply, record = await self._call(model, request, "main", progress)
        except BaseException:
            # Whatever ended the call (an interrupt, an error after the last retry): what people read stays said, and was paid for.
            await self._keep_what_came(model, request, progress)
            raise
        verdict = judge(reply)
        if isinstance(verdict, Nudge) and verdict.drop_calls:
            reply = msgspec.structs.replace(reply, message=msgspec.structs.replace(reply.message, tool_calls=()))
        reply = msgspec.structs.replace(reply, message=self._with_own_ids(reply.message))
        await self._store(reply, record, streamed=bool(progress.shown))
        return reply, verdict

    async def _keep_what_came(self, model: ModelPort, request: ModelRequest, progress: _Progress) -> None:
        if progress.first_at is None:
            return
        events: list[Event] = [await self._estimated(model, request, "main", progress, "interrupted")]
        if text := "".join(progress.shown):
            self._log.show(AssistantStreamEnd())
            said = AssistantMessageAdded(content=text, streamed=True, model=model.model_id, finish_reason="interrupted")
            events.insert(0, said)
        await self._log.append(*events)

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
        progress = _Progress(self._clock.monotonic())
        try:
            reply, record = await self._call(model, request, kind, progress)
        except BaseException:
            if progress.first_at is not None:
                await self._log.append(await self._estimated(model, request, kind, progress, "interrupted"))
            raise
        await self._log.append(record)
        return reply

    async def _call(self, model: ModelPort, request: ModelRequest, kind: str, progress: _Progress) -> tuple[Reply, LlmCall]:
        # Closing matters: it is what hangs up on the provider when the call is interrupted.
        stream = cast("AsyncGenerator[Delta | Reply]", model.stream(request))
        async with aclosing(stream):
            async for item in stream:
                if isinstance(item, Reply):
                    return item, await self._record(model, request, kind, progress, item)
                if isinstance(item, RetryNotice):
                    await self._retrying(model, request, kind, progress, item)
                elif isinstance(item, EffortNotice):
                    effort = self._log.state.effort
                    await self._log.append(EffortChanged(effort=effort, effective=item.effective, note=item.note))
                else:
                    progress.first_at = progress.first_at or self._clock.monotonic()
                    self._show(item, progress, kind)
        raise AssertionError("ChatModel.stream ended without a Reply")  # the contract suite holds every client to it

    def _show(self, item: TextDelta | ThinkingDelta | ToolCallDelta, progress: _Progress, kind: str) -> None:
        match item:
            case TextDelta():
                progress.chars += len(item.text)
                if kind == "main":
                    progress.shown.append(item.text)
                    self._log.show_text(AssistantChunk(content=item.text))
            case ThinkingDelta():
                progress.chars += len(item.text)
                if kind == "main":
                    self._log.show_text(ThinkingChunk(content=item.text))
            case ToolCallDelta():
                progress.chars += len(item.arguments)

    async def _retrying(self, model: ModelPort, request: ModelRequest, kind: str, progress: _Progress, notice: RetryNotice) -> None:
        events: list[Event] = []
        if progress.first_at is not None:  # it broke midway: what came was paid for
            events.append(await self._estimated(model, request, kind, progress, "broken"))
            progress.restart()
        events.append(Retrying(attempt=notice.attempt, delay_s=notice.delay_s, reason=notice.reason, discard_text=notice.discard_text))
        await self._log.append(*events)

    async def _record(self, model: ModelPort, request: ModelRequest, kind: str, progress: _Progress, reply: Reply) -> LlmCall:
        """What a whole reply took. A provider that tells no usage does not make the call free: then it is our estimate."""
        usage = reply.usage or _estimated_usage(request, progress.chars or len(reply.message.text))
        call = self._llm_call(
            model.model_id, kind, progress, reply.finish_reason, usage, await model.cost_usd(usage, reply.cost_usd), reply.usage is None
        )
        return msgspec.structs.replace(call, cache_saved_usd=await _cache_saved_usd(model, usage))

    async def _estimated(self, model: ModelPort, request: ModelRequest, kind: str, progress: _Progress, reason: str) -> LlmCall:
        usage = _estimated_usage(request, progress.chars)
        return self._llm_call(model.model_id, kind, progress, reason, usage, await model.cost_usd(usage, None), True)

    def _llm_call(
        self, model_id: str, kind: str, progress: _Progress, reason: str, usage: Usage, cost_usd: float | None, estimated: bool
    ) -> LlmCall:
        first_ms = None if progress.first_at is None else int((progress.first_at - progress.started_at) * 1000)
        return LlmCall(
            model=model_id,
            latency_ms=int((self._clock.monotonic() - progress.started_at) * 1000),
            finish_reason=reason,
            cost_usd=cost_usd,
            kind=kind,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_creation_tokens=usage.cache_creation_tokens,
            first_token_ms=first_ms,
            estimated=estimated,
        )

    def _with_own_ids(self, message: AssistantMessage) -> AssistantMessage:
        """Ids that no other call of the session has: some servers count from zero in every reply."""
        seen = set[str]()
        calls: list[ToolCall] = []
        for call in message.tool_calls:
            call_id, n = call.id, 2
            while call_id in seen or call_id in self._log.state.call_ids:
                call_id, n = f"{call.id}-{n}", n + 1
            seen.add(call_id)
            calls.append(call if call_id == call.id else ToolCall(call_id, call.name, call.arguments))
        return msgspec.structs.replace(message, tool_calls=tuple(calls))


class _Progress:
    """A call on its way: what of it was shown, how much of it came, and when."""

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.first_at: float | None = None
        self.shown: list[str] = []
        self.chars = 0

    def restart(self) -> None:
        """The stream broke: what came is void."""
        self.first_at, self.chars = None, 0
        self.shown.clear()


def _estimated_usage(request: ModelRequest, reply_chars: int) -> Usage:
    prompt = estimate_all(request.messages) + len(request.system) // CHARS_PER_TOKEN
    return Usage(prompt_tokens=prompt, completion_tokens=reply_chars // CHARS_PER_TOKEN + 1)


async def _cache_saved_usd(model: ModelPort, usage: Usage) -> float | None:
    """The same tokens at the prices of nothing cached, less those of what was: also where the provider states what a call cost."""
    if not usage.cache_read_tokens and not usage.cache_creation_tokens:
        return None
    fresh = msgspec.structs.replace(usage, cache_read_tokens=0, cache_creation_tokens=0)
    cost, without = await model.cost_usd(usage, None), await model.cost_usd(fresh, None)
    return None if cost is None or without is None else without - cost
