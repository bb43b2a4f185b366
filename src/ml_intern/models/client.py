"""What every client of this package is, beyond the ``ChatModel`` that the session sees."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from ml_intern.models.base import Delta, ModelRequest, Reply
from ml_intern.protocol.messages import Message


class ModelClient(Protocol):
    """A ``ChatModel`` whose streams can be closed, and which can be told to leave reasoning out."""

    @property
    def model_id(self) -> str:
        """See ``ChatModel``."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | Reply, None]:
        """See ``ChatModel``."""
        ...

    def forget_thinking(self, messages: Sequence[Message]) -> bool:
        """Never again send back the reasoning in these messages; False when none was sent."""
        ...

    async def aclose(self) -> None:
        """See ``ChatModel``."""
        ...
