"""What a turn needs of a model beyond streaming: its window and what a call costs. ``app.py`` makes one from the catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from ml_intern.models.base import Delta, ModelRequest, Reply, Usage

COMPACT_AT = 0.9
UNKNOWN_WINDOW_COMPACT_AT = 170_000
"""Tokens; where no catalogue, profile or error has told the window."""


class ModelPort(Protocol):
    """One open model."""

    @property
    def model_id(self) -> str:
        """The id as the user wrote it."""
        ...

    @property
    def window(self) -> int | None:
        """Tokens of context, or None while unknown."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta | Reply]:
        """As ``ChatModel.stream``."""
        ...

    async def cost_usd(self, usage: Usage | None, stated: float | None) -> float | None:
        """What a call cost; None when nobody knows the price."""
        ...

    def learn_window(self, tokens: int) -> None:
        """The provider refused a request as too long: the window is at most this."""
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...


def compact_at_tokens(model: ModelPort) -> int:
    """The number of context tokens over which history is compacted."""
    return UNKNOWN_WINDOW_COMPACT_AT if model.window is None else int(model.window * COMPACT_AT)
