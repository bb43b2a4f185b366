"""A model that is in use: its stream, its window and its prices, whatever the knowledge about them comes from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from ml_intern.models.base import Delta, ModelRequest, Reply, Usage
from ml_intern.models.prices import cost_usd
from ml_intern.models.resolved import ResolvedModel
from ml_intern.models.retry import RetryingModel
from ml_intern.models.router_catalogue import RouterModel

PRICES_TIMEOUT_S = 2.0


class Knowledge(Protocol):
    """What the catalogue knows, and goes on learning while the model works."""

    def window(self, model: ResolvedModel) -> int | None:
        """Tokens, or None while unknown. Never waits."""
        ...

    def learn_window(self, model_id: str, tokens: int) -> None:
        """An overflow error told the window."""
        ...

    def served(self, model: ResolvedModel) -> RouterModel | None:
        """The router's entry of the model. Never waits."""
        ...

    def refresh_soon(self, model: ResolvedModel) -> None:
        """Look things up in the background, if they are not known or old."""
        ...

    async def settled(self, timeout_s: float) -> None:
        """Wait for what runs in the background, but not for ever."""
        ...


class OpenModel:
    """A ``ChatModel`` with its window and its prices. Made by ``ModelCatalog.open``."""

    def __init__(self, resolved: ResolvedModel, client: RetryingModel, knowledge: Knowledge, served_by: Callable[[], str]) -> None:
        self.resolved = resolved
        self._client = client
        self._knowledge = knowledge
        self._served_by = served_by

    @property
    def model_id(self) -> str:
        return self.resolved.model_id

    @property
    def window(self) -> int | None:
        """Tokens of context, or None while unknown."""
        return self._knowledge.window(self.resolved)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | Reply, None]:
        """See ``ChatModel``. Once the answer comes there is time to look up window and prices."""
        first = True
        async with aclosing(self._client.stream(request)) as deltas:
            async for delta in deltas:
                if first:
                    self._knowledge.refresh_soon(self.resolved)
                    first = False
                yield delta

    async def cost_usd(self, usage: Usage | None, stated: float | None) -> float | None:
        """What a call cost; None when nobody knows the price."""
        if stated is not None or usage is None or self.resolved.prices is not None or self.resolved.local:
            return cost_usd(self.resolved, usage, stated)
        if self.resolved.on_router:
            await self._knowledge.settled(PRICES_TIMEOUT_S)
            served, tag = self._knowledge.served(self.resolved), self.resolved.wire_model.partition(":")[2]
            if served and (prices := served.prices(tag, self._served_by())):
                return cost_usd(self.resolved, usage, None, prices)
        return await asyncio.to_thread(cost_usd, self.resolved, usage)

    def learn_window(self, tokens: int) -> None:
        """The provider refused a request as too long: the window is at most this."""
        self._knowledge.learn_window(self.model_id, tokens)

    def set_effective_effort(self, preference: str, effective: str | None) -> None:
        """Remember what a probe found."""
        self._client.set_effective_effort(preference, effective)

    async def aclose(self) -> None:
        await self._client.aclose()
