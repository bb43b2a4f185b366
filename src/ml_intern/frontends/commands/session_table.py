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
from ml_intern.protocol.amounts import cost, size_text, spent_and_aside
from ml_intern.protocol.session_ids import short_id
from ml_intern.stores.base import SessionRecord

if TYPE_CHECKING:
    from ml_intern.session.control import Welcome

Numbered = Sequence[tuple[int, SessionRecord]]
"""With the number by which a session can be named."""

HEADS = ("#", "open", "id", "age", "turns", "cost", "size", "model", "folder", "title")
_RIGHT = ("#", "turns", "cost", "size", "age")
_WIDEST = {"model": 28, "folder": 28}
_NARROWER = {"model": 16, "folder": 16}
TITLE_ROOM = 24
"""Cells by which people tell one session from another: the title has so many before anything else is told in full."""


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


_Column = tuple[str, ...]


def as_table(records: Numbered, live: Mapping[str, Welcome] = {}, *, now: datetime | None = None, columns: int | None = None) -> str:
    """Aligned columns; on a terminal no wider than it. ``columns``: the terminal's; 0 for a reader that wants all."""
    now = now or datetime.now(UTC)
    columns = _terminal_columns() if columns is None else columns
    rows = [_cells(place, record, live, now) for place, record in records]
    table: dict[str, _Column] = {head: tuple(row[i] for row in rows) for i, head in enumerate(HEADS)}
    if columns:
        table = _fitted(table, columns, spent=tuple(cost(record.cost_usd, record.unpriced_calls) for _, record in records))
    widths = {head: _width(head, cells) for head, cells in table.items()}
    drawn = [
        "  ".join(_padded(head, cell, widths[head]) for head, cell in zip(table, row, strict=True)).rstrip()
        for row in (tuple(table), *zip(*table.values(), strict=True))
    ]
    return "\n".join(clip_text(row, columns) if columns else row for row in drawn)


def _fitted(table: dict[str, _Column], columns: int, spent: _Column) -> dict[str, _Column]:
    """What says least gives way first, until there is room for the title. ``spent``: the cost without what is set aside."""
    table = {head: _clipped(cells, _WIDEST.get(head, columns)) for head, cells in table.items()}
    ways: tuple[dict[str, _Column], ...] = (
        {"size": ()},
        {head: _clipped(table[head], most) for head, most in _NARROWER.items()},
        {"model": ()},
        {"cost": spent},
        {"turns": ()},
        {"folder": ()},
        {"open": _clipped(table["open"], 8)},
    )
    for less in ways:
        others = sum(_width(head, cells) + 2 for head, cells in table.items() if head != "title")
        if others + min(TITLE_ROOM, _width("title", table["title"])) <= columns:
            break
        table = {head: less.get(head, cells) for head, cells in table.items() if less.get(head) != ()}
    return table


def _width(head: str, cells: _Column) -> int:
    return max(map(width, (head, *cells)))


def _clipped(cells: _Column, most: int) -> _Column:
    return tuple(clip_text(cell, most) for cell in cells)


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
