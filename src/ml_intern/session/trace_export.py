"""Sessions in one of the formats, as bytes: what would be sent, or a training sample; and what was taken out of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import AnyEvent
from ml_intern.session.secret_marks import MARK
from ml_intern.session.trace_formats.said import LEFT_OUT
from ml_intern.session.trace_formats.sft import sft_line, sft_sample
from ml_intern.session.trace_push import documents_of, pages
from ml_intern.session.trace_writer import CLAUDE_CODE, OPEN, RowWriter, Scrub, TraceWriter, scrubbed
from ml_intern.stores.base import EventStore, SessionRecord
from ml_intern.tools.lazy import read_manifest

SFT, ROW = "sft", "row"
FILE_EACH = frozenset({CLAUDE_CODE, OPEN})
"""Formats in which a file is one session: its readers take two in one for one."""


class Exported(Struct, frozen=True, kw_only=True):
    """``data`` is empty when there is nothing in it. ``secrets``: how many marks of each kind stand in it, whenever they were taken out.

    ``found_now``: events in which something was found that was stored unseen.
    """

    session: str
    data: bytes
    secrets: dict[str, int]
    found_now: int
    pictures: int


class Wanted(Struct, frozen=True, kw_only=True):
    """Which of all sessions: those of a folder and below, and those that were last used at a time or after it."""

    folder: Path | None = None
    since: datetime | None = None

    def covers(self, record: SessionRecord) -> bool:
        """Whether this is one of them."""
        if self.since is not None and record.updated_at < self.since:
            return False
        return self.folder is None or Path(record.cwd).is_relative_to(self.folder)


async def export_trace(store: EventStore, session_id: str, format_: str, scrub: Scrub) -> Exported:
    """One session. Raises ``StoreError`` or ``ProtocolError``."""
    found_now = 0

    def counting(event: AnyEvent) -> AnyEvent:
        nonlocal found_now
        clean = scrub(event)
        found_now += clean is not event
        return clean

    data = await _data(store, session_id, format_, counting)
    secrets, pictures = await asyncio.to_thread(_taken_out, data)
    return Exported(session=session_id, data=data, secrets=secrets, found_now=found_now, pictures=pictures)


async def _data(store: EventStore, session_id: str, format_: str, scrub: Scrub) -> bytes:
    if format_ == SFT:
        envelopes = [envelope async for page in pages(store, session_id) for envelope in page]
        return await asyncio.to_thread(_sft, session_id, envelopes, scrub)
    if format_ == ROW:
        source = RowWriter(session_id, scrub, tuple(read_manifest().values()))
    else:
        source = TraceWriter(session_id, scrub)
    async with documents_of(store, session_id, source) as documents:
        return next((document.data for document in documents if document.format == format_), b"")


def _sft(session_id: str, envelopes: Sequence[Envelope], scrub: Scrub) -> bytes:
    clean = [scrubbed(envelope, scrub) for envelope in envelopes]
    sample = sft_sample(session_id, clean, read_manifest().values())
    return sft_line(sample) if sample is not None else b""


def _taken_out(data: bytes) -> tuple[dict[str, int], int]:
    text = data.decode()
    return dict(Counter(mark.group() for mark in MARK.finditer(text))), text.count(LEFT_OUT)
