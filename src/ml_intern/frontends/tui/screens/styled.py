"""Styled lines as Textual draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from textual.content import Content

from ml_intern.frontends.headless.table import table
from ml_intern.frontends.headless.text import Line, Style

__all__ = ["content", "table"]

_STYLES: Mapping[Style, str] = MappingProxyType({
    "dim": "dim",
    "bold": "bold",
    "tool": "bold $primary",
    "good": "$success",
    "bad": "$error",
    "warn": "$warning",
    "added": "$success",
    "removed": "$error",
    "accent": "$accent",
})  # fmt: skip


def content(rows: Sequence[Line]) -> Content:
    """What a widget takes; no markup is read in it."""
    parts: list[str | tuple[str, str]] = []
    for i, row in enumerate(rows):
        if i:
            parts.append("\n")
        parts += [(text, _STYLES[style]) if style else text for style, text in row]
    return Content.assemble(*parts)
