"""How each Claude generation is asked to think.

Up to 4.5 a budget of tokens is given; from 4.6 on thinking is ``adaptive`` and its depth is ``output_config.effort``; the newest
always think. https://docs.anthropic.com/en/docs/build-with-claude/adaptive-thinking and …/effort.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

from msgspec import Struct  # and no dataclass: it stands on the path to the first request

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")
_BUDGETS = MappingProxyType({"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32768})
_MIN_BUDGET = 1024
_UNKNOWN = (99, 0)
ALL_LEVELS = ("low", "medium", "high", "xhigh", "max")


class ThinkingStyle(Struct, frozen=True, kw_only=True):
    """``adaptive``: effort instead of a budget. ``levels``: the efforts it takes. ``max_output``: what one reply may hold."""

    adaptive: bool
    levels: tuple[str, ...]
    max_output_tokens: int

    def fields(self, effort: str | None, max_tokens: int) -> dict[str, Any]:
        """What to add to the request for this effort; nothing when none is asked for, or when there is no room to think."""
        if effort is None:
            return {}
        if self.adaptive:
            # Without "summarized" the newer models send empty thinking blocks.
            return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}
        budget = min(_BUDGETS[effort], max_tokens - _MIN_BUDGET)
        return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _MIN_BUDGET else {}


def thinking_style(wire_model: str) -> ThinkingStyle:
    """The style of a model by its id; an id that says no version is taken for a new one."""
    version = _version(wire_model)
    if version == _UNKNOWN:
        return ThinkingStyle(adaptive=True, levels=ALL_LEVELS, max_output_tokens=32_000)
    if version < (3, 7):
        return ThinkingStyle(adaptive=False, levels=(), max_output_tokens=8192 if version >= (3, 5) else 4096)
    if version < (4, 6):
        opus_4 = "opus" in wire_model and version < (4, 5)
        return ThinkingStyle(adaptive=False, levels=tuple(_BUDGETS), max_output_tokens=32_000 if opus_4 else 64_000)
    if version < (4, 7):
        return ThinkingStyle(adaptive=True, levels=("low", "medium", "high", "max"), max_output_tokens=64_000)
    return ThinkingStyle(adaptive=True, levels=ALL_LEVELS, max_output_tokens=64_000)


def _version(wire_model: str) -> tuple[int, int]:
    # claude-3-7-sonnet-20250219, claude-opus-4-20250514, claude-haiku-4-5, claude-sonnet-5: family before or after the number.
    found = _VERSION.search(wire_model)
    if found is None:
        return (2, 0) if wire_model.startswith(("claude-2", "claude-instant")) else _UNKNOWN
    return int(found[1]), int(found[2] or 0)
