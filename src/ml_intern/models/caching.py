"""Prompt caching, as a property of the request: what is marked, and what is sent along.

Two consecutive requests are byte-identical up to the new tail. Therefore explicit marks stand only where nothing moves (the
system prompt and the last tool), and the mark that follows the tail is one field *after* the messages: a top-level
``cache_control`` caches up to the last block (https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ml_intern.models.resolved import ANTHROPIC, OPENAI, OPENROUTER, ResolvedModel

EPHEMERAL: Mapping[str, str] = MappingProxyType({"type": "ephemeral"})
_MAX_SESSION_HEADER = 256
_MAX_CACHE_KEY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheHints:
    """``marks_prefix``: mark system prompt and last tool. ``tail``: fields for after the messages. ``headers``: to send."""

    marks_prefix: bool = False
    tail: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def cache_hints(model: ResolvedModel, session_id: str) -> CacheHints:
    """What this model's provider wants to be told so that it finds the prefix again."""
    headers = {"X-HF-Session-id": session_id[:_MAX_SESSION_HEADER]} if model.on_router and session_id else {}
    if _marks_like_anthropic(model):
        return CacheHints(marks_prefix=True, tail={"cache_control": dict(EPHEMERAL)}, headers=headers)
    key = session_id[:_MAX_CACHE_KEY]
    if model.on_router and model.wire_model.startswith("openai/gpt-5.5") and ":fal" in model.wire_model and key:
        return CacheHints(tail={"prompt_cache_key": key, "prompt_cache_retention": "24h"}, headers=headers)
    if model.provider == OPENAI and key:
        return CacheHints(tail={"prompt_cache_key": key}, headers=headers)
    return CacheHints(headers=headers)


def _marks_like_anthropic(model: ResolvedModel) -> bool:
    if model.wire == "anthropic":
        return True
    claude = model.wire_model.startswith(f"{ANTHROPIC}/")
    return claude and (model.provider == OPENROUTER or (model.on_router and ":fal" in model.wire_model))
