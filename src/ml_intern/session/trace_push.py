"""A stored session's trace, made and sent apart from the session: for the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from ml_intern.errors import StoreError
from ml_intern.protocol.codec import Envelope
from ml_intern.session.export import opened
from ml_intern.session.trace_writer import RowWriter, Scrub, TraceWriter
from ml_intern.sinks.hub_traces import TraceSource
from ml_intern.sinks.trace_upload import Document, TraceUploader
from ml_intern.stores.base import EventStore, SessionRecord
from ml_intern.tools.lazy import read_manifest

PAGE = 500


class TraceState(Struct, frozen=True, kw_only=True):
    """Where a session stands with one dataset. ``state``: sent, pending, failed or unsent (nobody has asked for it)."""

    session: str
    destination: str
    state: str
    events: int
    sent_events: int
    dataset: str = ""
    files: tuple[str, ...] = ()
    error: str = ""
    note: str = ""


async def pages(store: EventStore, session_id: str) -> AsyncIterator[list[Envelope]]:
    """The log in pieces, so that a long one is never held whole. Raises ``StoreError`` or ``ProtocolError``."""
    seq = 0
    while rows := await store.load(session_id, after_seq=seq, limit=PAGE):
        yield [opened(session_id, row) for row in rows]
        seq = rows[-1].seq


@asynccontextmanager
async def documents_of(store: EventStore, session_id: str, source: TraceSource) -> AsyncGenerator[list[Document]]:
    """Everything that is stored, written by ``source``, which is closed at the end."""
    try:
        async for page in pages(store, session_id):
            await asyncio.to_thread(source.feed, page)
        yield await asyncio.to_thread(source.documents)
    finally:
        await asyncio.to_thread(source.close)


def source_for(uploader: TraceUploader, session_id: str, scrub: Scrub) -> TraceSource:
    """What its destination gets."""
    if uploader.destination.name == "personal":
        return TraceWriter(session_id, scrub, uploader.transcripts(session_id))
    return RowWriter(session_id, scrub, tuple(read_manifest().values()))


async def state_of(store: EventStore, record: SessionRecord, uploader: TraceUploader) -> TraceState:
    """By what was kept of earlier uploads; nobody is asked."""
    session_id, last = record.id, await store.last_seq(record.id)
    progress = uploader.progress(session_id)
    state = progress.state(last) if uploader.wanted(session_id) else "unsent"
    left = uploader.transcripts(session_id)
    if state == "sent" and left is not None and await asyncio.to_thread(left.names):
        state = "pending"  # a process ended before it had sent all of its sub-agents
    return TraceState(
        session=session_id,
        destination=uploader.destination.name,
        state=state,
        events=last,
        sent_events=min(progress.sent_seq, last),
        dataset=progress.repo_id,
        files=tuple(sorted(file.path for file in progress.files.values())),
        error=progress.error,
        note=progress.note,
    )


async def push(store: EventStore, record: SessionRecord, uploader: TraceUploader, scrub: Scrub) -> TraceState:
    """Send what is new of a session. One that is in use is sent by its own process. Failures are told in the result."""
    if record.owner:
        return _told(await state_of(store, record, uploader), f"In use by {record.owner}, which sends it itself.")
    try:
        source = source_for(uploader, record.id, scrub)
        async with documents_of(store, record.id, source) as documents:
            if documents and not (await uploader.send(record.id, documents)).error:
                source.sent(documents)
    except StoreError as error:
        return _told(await state_of(store, record, uploader), str(error))
    return await state_of(store, record, uploader)


def _told(state: TraceState, note: str) -> TraceState:
    return replace(state, note=note)
