"""A model that tries again: by exception type, honouring ``Retry-After``, and also when a stream breaks midway.

Two refusals are healed instead of retried, each once per call and without counting as an attempt: an effort that the model
does not take is lowered, and reasoning that the provider does not want back is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from ml_intern.errors import (
    ContextOverflow,
    EffortRejected,
    NonsenseReply,
    RateLimited,
    RetryableModelError,
    SignatureRejected,
    Unreachable,
)
from ml_intern.models.base import Delta, EffortNotice, ModelRequest, Reply, RetryNotice
from ml_intern.models.client import ModelClient
from ml_intern.models.effort import LEVELS, lowered_note, next_lower, offered
from ml_intern.protocol.messages import Message

MAX_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Seconds to wait before the n-th retry; the last one repeats. ``cap_s`` bounds what a server may ask for.

    What waiting rarely cures, a wrong address above all, is tried once more and no longer.
    """

    transient_s: tuple[float, ...] = (5.0, 15.0, 30.0)
    rate_limit_s: tuple[float, ...] = (30.0, 60.0)
    unreachable_s: float = 0.5
    cap_s: float = 120.0
    max_retries: int = MAX_RETRIES
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def retries(self, error: RetryableModelError) -> int:
        """How often a request that failed like this is sent again."""
        return min(1, self.max_retries) if isinstance(error, Unreachable | NonsenseReply) else self.max_retries

    def delay_s(self, error: RetryableModelError, retry: int) -> float:
        """How long to wait before retry number ``retry`` (from 1)."""
        if error.retry_after_s is not None:
            return min(error.retry_after_s, self.cap_s)
        if isinstance(error, Unreachable):
            return self.unreachable_s
        schedule = self.rate_limit_s if isinstance(error, RateLimited) else self.transient_s
        return schedule[min(retry, len(schedule)) - 1]


class RetryingModel:
    """Wraps any client. ``on_overflow`` is told the window when an overflow error states it; overflows are never retried here."""

    def __init__(
        self,
        inner: ModelClient,
        *,
        backoff: Backoff | None = None,
        levels: tuple[str, ...] = LEVELS,
        on_overflow: Callable[[int], None] | None = None,
    ) -> None:
        self.inner = inner
        self._backoff = backoff or Backoff()
        self._levels = levels
        self._on_overflow = on_overflow
        self._effective: dict[str, str | None] = {}

    @property
    def model_id(self) -> str:
        return self.inner.model_id

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | Reply, None]:
        """See ``ChatModel``; retries and lowered efforts are announced in the stream."""
        call = _Call(request, self._effective, self._levels)
        retry = 0
        while True:
            streamed = False
            try:
                async with aclosing(self.inner.stream(call.current())) as deltas:
                    async for delta in deltas:
                        yield delta
                        if isinstance(delta, Reply):
                            return
                        streamed = True
                return
            except EffortRejected as refused:
                yield call.lower_effort(refused)
            except SignatureRejected:
                if call.signature_healed or not self.inner.forget_thinking(request.messages):
                    raise
                call.signature_healed = True
            except ContextOverflow as overflow:
                if overflow.limit_tokens and self._on_overflow:
                    self._on_overflow(overflow.limit_tokens)
                raise
            except RetryableModelError as error:
                retry += 1
                if retry > self._backoff.retries(error):
                    raise
                delay_s = self._backoff.delay_s(error, retry)
                yield RetryNotice(retry, delay_s, error.message, streamed)
                await self._backoff.sleep(delay_s)

    def forget_thinking(self, messages: Sequence[Message]) -> bool:
        """See ``ModelClient``."""
        return self.inner.forget_thinking(messages)

    def set_effective_effort(self, preference: str, effective: str | None) -> None:
        """Remember what a probe found, so that no request has to find it again."""
        self._effective[preference] = effective

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Call:
    """One call's request, and what was healed in it."""

    def __init__(self, request: ModelRequest, effective: dict[str, str | None], levels: tuple[str, ...]) -> None:
        self._request = request
        self._effective = effective
        self._levels = levels
        self.signature_healed = False

    def current(self) -> ModelRequest:
        wanted = self._request.effort
        if wanted is None or wanted not in self._effective:
            return self._request
        return msgspec.structs.replace(self._request, effort=self._effective[wanted])

    def lower_effort(self, refused: EffortRejected) -> EffortNotice:
        """Step down; the levels are few, and below the weakest none is sent at all. Raises when none was sent."""
        wanted = self._request.effort
        sent = self.current().effort
        if wanted is None or sent is None:
            raise refused
        lower = None if refused.thinking_unsupported else next_lower(offered(sent, self._levels) or sent, self._levels)
        self._effective[wanted] = lower
        return EffortNotice(lower, lowered_note(wanted, lower))
