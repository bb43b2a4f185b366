"""The seam between the loop and any model: a request goes in, deltas come out, and one ``Reply`` ends them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from ml_intern.protocol.messages import AssistantMessage, JsonObject, Message


class ToolSchema(Struct, frozen=True):
    """A tool as the model sees it; ``parameters`` is a JSON Schema object."""

    name: str
    description: str
    parameters: JsonObject


class ModelRequest(Struct, frozen=True, kw_only=True):
    """One request. Everything ahead of ``messages`` is the same from step to step, so that the prefix caches.

    ``messages`` grows at its end only: a client may recognise by identity the messages that it has already encoded.
    ``effort`` is None, or a level of ``models.effort.LEVELS``. ``stream`` False asks for the whole reply at once.
    """

    system: str
    tools: tuple[ToolSchema, ...]
    messages: Sequence[Message]
    session_id: str
    effort: str | None = None
    max_output_tokens: int | None = None
    stream: bool = True


class TextDelta(Struct, frozen=True):
    """A piece of the answer."""

    text: str


class ThinkingDelta(Struct, frozen=True):
    """A piece of the reasoning."""

    text: str


class ToolCallDelta(Struct, frozen=True):
    """A piece of the ``index``-th tool call; ``name`` is whole when it comes, ``arguments`` is a fragment."""

    index: int
    name: str
    arguments: str


class RetryNotice(Struct, frozen=True):
    """The call failed and will be sent again; ``discard_text``: what was streamed so far is void."""

    attempt: int
    delay_s: float
    reason: str
    discard_text: bool


class EffortNotice(Struct, frozen=True):
    """The provider refused the effort; ``effective`` is used from now on (None: none is sent)."""

    effective: str | None
    note: str


class Usage(Struct, frozen=True):
    """Tokens of one call. ``prompt_tokens`` includes the cached ones; ``completion_tokens`` includes reasoning."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Reply(Struct, frozen=True):
    """The whole answer. ``finish_reason``: stop, tool_calls, length, content_filter or other.

    ``usage`` None: the provider said nothing. ``cost_usd`` is what the provider itself stated, else None.
    """

    message: AssistantMessage
    finish_reason: str
    usage: Usage | None = None
    cost_usd: float | None = None


Delta: TypeAlias = TextDelta | ThinkingDelta | ToolCallDelta | RetryNotice | EffortNotice


class ChatModel(Protocol):
    """A model behind one wire. Instances are used by one session at a time."""

    @property
    def model_id(self) -> str:
        """The id as the user wrote it, profile included."""
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta | Reply]:
        """Deltas, then exactly one ``Reply``. Raises ``ModelError``; closing the iterator closes the connection."""
        ...

    async def aclose(self) -> None:
        """Give back connections."""
        ...
