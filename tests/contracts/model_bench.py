"""Every client behind ``ChatModel``, wired to the model server: what the contract suite runs over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from ml_intern.config.secret import SecretStr
from ml_intern.models.anthropic import Anthropic
from ml_intern.models.base import Delta, ModelRequest, Reply, TextDelta, ThinkingDelta, ToolCallDelta, ToolSchema
from ml_intern.models.client import ModelClient
from ml_intern.models.http import HttpOptions
from ml_intern.models.litellm import LiteLLM
from ml_intern.models.openai_compatible import OpenAICompatible
from ml_intern.models.resolved import ResolvedModel
from ml_intern.protocol.messages import Message, UserMessage
from ml_intern.testing.model_server import ModelServer

KEY = "sk-a-key-that-must-not-be-shown-anywhere"
LEVELS = ("low", "medium", "high", "xhigh", "max")
TOOLS = (
    ToolSchema("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}),
    ToolSchema("read", "Read a file.", {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
)


def resolved(wire: str, base_url: str, wire_model: str, **more: Any) -> ResolvedModel:
    known: dict[str, Any] = {"provider": "test", "api_key_env": "TEST_KEY", "api_key": SecretStr(KEY), "effort_levels": LEVELS}
    known |= more
    return ResolvedModel(model_id=f"test/{wire_model}", wire=wire, base_url=base_url, wire_model=wire_model, **known)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Wired:
    """A way to make a client for a server. ``exact`` ones stream the very pieces and report every failure by its own type."""

    name: str
    wire: str
    make: Callable[[ModelServer, HttpOptions], ModelClient]
    exact: bool = True

    def __str__(self) -> str:
        return self.name


WIRED = (
    Wired("openai", "openai", lambda s, o: OpenAICompatible(resolved("openai", s.v1, "some-model"), o)),
    Wired("anthropic", "anthropic", lambda s, o: Anthropic(resolved("anthropic", s.v1, "claude-opus-4-8"), o)),
    Wired("litellm-openai", "openai", lambda s, o: LiteLLM(resolved("litellm", s.v1, "openai/gpt-5"), o), exact=False),
    Wired("litellm-anthropic", "anthropic", lambda s, o: LiteLLM(resolved("litellm", s.url, "anthropic/claude-opus-4-8"), o), exact=False),
)


def request(*messages: Message, **more: Any) -> ModelRequest:
    known: dict[str, Any] = {"system": "You are a test.", "tools": TOOLS, "session_id": "session-1"}
    return ModelRequest(messages=messages or (UserMessage(text="go"),), **(known | more))


@dataclass
class Heard:
    """What one stream gave."""

    deltas: list[Delta] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    @property
    def reply(self) -> Reply:
        assert len(self.replies) == 1
        return self.replies[0]

    @property
    def text(self) -> str:
        return "".join(d.text for d in self.deltas if isinstance(d, TextDelta))

    @property
    def thinking(self) -> str:
        return "".join(d.text for d in self.deltas if isinstance(d, ThinkingDelta))

    def arguments(self, index: int) -> str:
        return "".join(d.arguments for d in self.deltas if isinstance(d, ToolCallDelta) and d.index == index)

    def names(self) -> list[str]:
        return [d.name for d in self.deltas if isinstance(d, ToolCallDelta) and d.name]


async def hear(model: Any, asked: ModelRequest) -> Heard:
    heard = Heard()
    async with aclosing(model.stream(asked)) as deltas:
        async for delta in deltas:
            if isinstance(delta, Reply):
                heard.replies.append(delta)
            else:
                assert not heard.replies, "nothing comes after the reply"
                heard.deltas.append(delta)
    return heard


async def say(model: Any, *messages: Message, **more: Any) -> Reply:
    return (await hear(model, request(*messages, **more))).reply


async def opened(wired: Wired, server: ModelServer, **options: Any) -> AsyncIterator[ModelClient]:
    client = wired.make(server, HttpOptions(**options))
    try:
        yield client
    finally:
        await client.aclose()


def ids(values: Sequence[Wired]) -> list[str]:
    return [str(value) for value in values]
