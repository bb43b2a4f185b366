"""OpenRouter's ``reasoning_details``: items that arrive in pieces and must be sent back whole.

https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
"""

from __future__ import annotations

from typing import Any

import msgspec

_GROWING = ("text", "summary", "data")


class DetailsMerger:
    """Joins pieces of one item: same type, same index, one after the other."""

    def __init__(self) -> None:
        self._items: list[dict[str, Any]] = []

    def add(self, pieces: list[dict[str, Any]]) -> None:
        """The ``reasoning_details`` of one chunk."""
        for piece in pieces:
            last = self._items[-1] if self._items else None
            if last is not None and last.get("type") == piece.get("type") and last.get("index") == piece.get("index") is not None:
                _merge(last, piece)
            else:
                self._items.append(dict(piece))

    def text(self) -> str:
        """All items as the text of a JSON array; empty when there were none."""
        return msgspec.json.encode(self._items).decode() if self._items else ""


def _merge(item: dict[str, Any], piece: dict[str, Any]) -> None:
    for key, value in piece.items():
        if key in _GROWING and isinstance(value, str) and isinstance(item.get(key), str):
            item[key] += value
        elif value is not None:
            item[key] = value
