"""A session in one of the formats, as bytes: what would be sent, or a training sample."""

from __future__ import annotations

import asyncio

from ml_intern.protocol.codec import Envelope
from ml_intern.session.trace_formats.sft import sft_line, sft_sample
from ml_intern.session.trace_push import documents_of, pages
from ml_intern.session.trace_writer import RowWriter, Scrub, TraceWriter, scrubbed
from ml_intern.stores.base import EventStore
from ml_intern.tools.lazy import read_manifest

SFT, ROW = "sft", "row"


async def export_trace(store: EventStore, session_id: str, format_: str, scrub: Scrub) -> bytes:
    """Empty when there is nothing in it. Raises ``StoreError`` or ``ProtocolError``."""
    if format_ == SFT:
        envelopes = [envelope async for page in pages(store, session_id) for envelope in page]
        return await asyncio.to_thread(_sft, session_id, envelopes, scrub)
    if format_ == ROW:
        source = RowWriter(session_id, scrub, tuple(read_manifest().values()))
    else:
        source = TraceWriter(session_id, scrub)
    async with documents_of(store, session_id, source) as documents:
        return next((document.data for document in documents if document.format == format_), b"")


def _sft(session_id: str, envelopes: list[Envelope], scrub: Scrub) -> bytes:
    clean = [scrubbed(envelope, scrub) for envelope in envelopes]
    sample = sft_sample(session_id, clean, read_manifest().values())
    return sft_line(sample) if sample is not None else b""
