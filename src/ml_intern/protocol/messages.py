"""What the model sees. History is a list of these; each model client turns them into its own wire."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object whose shape belongs to somebody else (a tool's arguments before they are parsed, a JSON Schema)."""


class Image(Struct, frozen=True, forbid_unknown_fields=True):
    """A picture for a model that sees. ``data`` is base64, ``media_type`` such as ``image/png``."""

    media_type: str
    data: str


class UnreadMessage(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a user said and no turn has read. ``sent_by``: see ``Operation``."""

    content: str
    images: tuple[Image, ...] = ()
    sent_by: str = ""


class ToolCall(Struct, frozen=True, forbid_unknown_fields=True):
    """One call as the model wrote it. ``arguments`` is its JSON text, untouched: it may be malformed."""

    id: str
    name: str
    arguments: str


class Thinking(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A block of reasoning, kept to be sent back to the provider that wants it back.

    ``signature`` and ``redacted`` are Anthropic's (``thinking`` / ``redacted_thinking`` blocks); ``details`` is the JSON
    text of an OpenAI-style provider's own reasoning items (OpenRouter's ``reasoning_details``).
    """

    text: str = ""
    signature: str = ""
    redacted: str = ""
    details: str = ""


class UserMessage(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="role", tag="user"):
    """Words for the model. ``internal`` marks those that a policy or a compaction wrote, not the user."""

    text: str
    images: tuple[Image, ...] = ()
    internal: bool = False


class AssistantMessage(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="role", tag="assistant"):
    """What the model said. ``model`` is the id that produced it: thinking is replayed to that model only."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: tuple[Thinking, ...] = ()
    model: str = ""


class ToolMessage(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="role", tag="tool"):
    """The one answer to one call."""

    tool_call_id: str
    name: str
    text: str
    success: bool = True
    images: tuple[Image, ...] = ()


Message: TypeAlias = UserMessage | AssistantMessage | ToolMessage
