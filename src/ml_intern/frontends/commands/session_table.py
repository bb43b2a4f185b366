"""The list of sessions, as a table or as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ml_intern.config.paths import with_tilde
from ml_intern.frontends.commands.open_sessions import open_words
from ml_intern.frontends.headless.text import clip_text, width
from ml_intern.frontends.sanitize import one_line, safe_json
from ml_intern.protocol.amounts import size_text, spent_and_aside
from ml_intern.protocol.session_ids import short_id
from ml_intern.stores.base import SessionRecord

if TYPE_CHECKING:
    from ml_intern.session.control import Welcome

Numbered = Sequence[tuple[int, SessionRecord]]
"""With the number by which a session can be named."""

HEADS = ("#", "open", "id", "age", "turns", "cost", "size", "model", "folder", "title")
_RIGHT = ("#", "turns", "cost", "size", "age")
_WIDEST = {"model": 28, "folder": 28}


def as_json(records: Numbered, live: Mapping[str, Welcome] = {}) -> str:
    """An array of objects, one per session. ``open_in``: where it is open; null where it is not, or where it cannot be joined."""
    rows: list[dict[str, Any]] = [
        {"index": place, **msgspec.to_builtins(record), "open_in": msgspec.to_builtins(_open_in(live.get(record.id)))}
        for place, record in records
    ]
    return safe_json(json.dumps(rows, indent=2, ensure_ascii=False))


class _OpenIn(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    host: str
    kind: str
    busy: bool
    since: datetime


def _open_in(one: Welcome | None) -> _OpenIn | None:
    if one is None:
        return None
    return _OpenIn(pid=one.pid, host=one.host, kind=one.kind, busy=one.busy, since=one.since)


def as_table(records: Numbered, live: Mapping[str, Welcome] = {}, *, now: datetime | None = None) -> str:
    """Aligned columns; on a terminal no wider than it, the title giving way."""
    now = now or datetime.now(UTC)
    rows = [HEADS, *(_cells(place, record, live, now) for place, record in records)]
    if columns := _terminal_columns():
        rows = [tuple(clip_text(cell, _WIDEST.get(head, columns)) for head, cell in zip(HEADS, row, strict=True)) for row in rows]
    widths = [max(width(row[i]) for row in rows) for i in range(len(HEADS))]
    drawn = ["  ".join(_padded(head, cell, w) for head, cell, w in zip(HEADS, row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(clip_text(row, columns) if columns else row for row in drawn)


def _terminal_columns() -> int:
    """0 when nobody looks: a program that reads the table wants it whole."""
    if not sys.stdout.isatty():
        return 0
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def _cells(place: int, record: SessionRecord, live: Mapping[str, Welcome], now: datetime) -> tuple[str, ...]:
    return (
        str(place),
        open_words(record, live.get(record.id)),
        short_id(record.id),
        age((now - record.updated_at).total_seconds(), record.updated_at),
        str(record.turn_count),
        money_words(record),
        size_text(record.size_bytes),
        one_line(record.model),
        folder_words(record.cwd),
        one_line(record.title or record.preview),
    )


def money_words(record: SessionRecord) -> str:
    """What a session has cost, and what runs may cost at most on top."""
    return spent_and_aside(record.cost_usd, record.reserved_usd, record.unpriced_calls)


def _padded(head: str, cell: str, cells: int) -> str:
    space = " " * (cells - width(cell))
    return space + cell if head in _RIGHT else cell + space


def age(seconds: float, at: datetime) -> str:
    """Such as ``now``, ``5 min``, ``3 h``, ``12 d``; the date when it is longer ago than a month."""
    if seconds < 60:
        return "now"
    if seconds < 3_600:
        return f"{int(seconds // 60)} min"
    if seconds < 86_400:
        return f"{int(seconds // 3_600)} h"
    return f"{int(seconds // 86_400)} d" if seconds < 31 * 86_400 else f"{at.astimezone():%Y-%m-%d}"


def folder_words(path: str) -> str:
    """A folder in one line, with ``~`` for the home."""
    return one_line(with_tilde(path, os.path.expanduser("~")))
