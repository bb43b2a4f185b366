"""The session's log: an event is scrubbed, stored, folded into the state and only then shown.

Readers subscribe with ``events(after_seq)``: stored events after that number, then live ones, transient ones among them. A
reader that falls behind loses nothing that is stored: it is sent back to the store, and text pieces that wait for it are joined.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from ml_intern.errors import StoreError
from ml_intern.protocol.codec import SCHEMA_VERSION, Envelope, decode_data, encode_data
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import (
    AnyEvent,
    AssistantChunk,
    LlmCall,
    Processing,
    SessionUpdate,
    ThinkingChunk,
    ToolLog,
    UndoComplete,
    UserMessageAdded,
)
from ml_intern.session.clock import Clock
from ml_intern.session.state import SessionState
from ml_intern.session.uninterrupted import uninterrupted
from ml_intern.stores.base import EventStore, SessionPatch, StoredEvent

QUEUE_LIMIT = 2_000
PAGE = 500
JOIN_LIMIT = 4_096
"""Characters up to which waiting pieces are joined; joining without end would copy the text once a piece."""
PREVIEW_CHARS = 72
_LISTED = (UserMessageAdded, LlmCall, Processing, SessionUpdate, UndoComplete)
"""Events that change what a list of sessions shows."""


class EventLog:
    """One session's log, owned by this process. ``state`` is the fold of everything stored so far."""

    def __init__(
        self,
        store: EventStore,
        session_id: str,
        *,
        clock: Clock,
        scrub: Callable[[AnyEvent], AnyEvent] = lambda event: event,
        state: SessionState | None = None,
    ) -> None:
        self.session_id = session_id
        self.state = state or SessionState()
        self._store = store
        self._clock = clock
        self._scrub = scrub
        self._lock = asyncio.Lock()
        self._readers: set[_Reader] = set()
        self._closed = False

    async def load(self) -> int:
        """Fold what the store has. Returns the number of events."""
        rows = await self._store.load(self.session_id)
        for row in rows:
            self.state.apply(row.seq, decode_data(row.type, row.data, row.version))
        return len(rows)

    async def append(self, *events: Event) -> None:
        """Make events durable, in this order, then fold and show them. Never torn by a cancellation."""
        await uninterrupted(self._append(events))

    async def _append(self, events: tuple[Event, ...]) -> None:
        async with self._lock:
            at = self._clock.now()
            first = self.state.last_seq + 1
            clean: list[AnyEvent] = [self._scrub(event) for event in events]  # pyright: ignore[reportArgumentType]  # the union is closed
            rows = [StoredEvent(first + i, at, event.wire, encode_data(event), SCHEMA_VERSION) for i, event in enumerate(clean)]
            before = self.state.first_user_text
            await self._store.append(self.session_id, rows, self._patch(clean, before))
            for row, event in zip(rows, clean, strict=True):
                self.state.apply(row.seq, event)
                self._fan_out(Envelope(session=self.session_id, seq=row.seq, at=at, event=event))

    def show(self, event: Event) -> None:
        """Show a transient event to whoever listens now."""
        if self._readers:
            clean = self._scrub(event)  # pyright: ignore[reportArgumentType]
            self._fan_out(Envelope(session=self.session_id, seq=None, at=self._clock.now(), event=clean))

    def show_text(self, event: AssistantChunk | ThinkingChunk) -> None:
        """Show a piece of text. Not scrubbed: a secret cut in two cannot be found; what is stored of it is scrubbed."""
        if self._readers:
            self._fan_out(Envelope(session=self.session_id, seq=None, at=self._clock.now(), event=event))

    async def events(self, *, after_seq: int = 0) -> AsyncIterator[Envelope]:
        """Stored events after ``after_seq``, then live ones until the log is closed."""
        reader = _Reader(after_seq)
        self._readers.add(reader)
        try:
            while True:
                if reader.behind:
                    async for envelope in self._catch_up(reader):
                        yield envelope
                elif reader.queue:
                    envelope = reader.queue.popleft()
                    reader.last_seq = envelope.seq or reader.last_seq
                    yield envelope
                elif self._closed:
                    return
                else:
                    reader.wake.clear()
                    await reader.wake.wait()
        finally:
            self._readers.discard(reader)

    async def _catch_up(self, reader: _Reader) -> AsyncIterator[Envelope]:
        while reader.last_seq < self.state.last_seq:
            rows = await self._store.load(self.session_id, after_seq=reader.last_seq, limit=PAGE)
            if not rows:
                raise StoreError(f"Session {self.session_id} was deleted while it was being read.")
            for row in rows:
                reader.last_seq = row.seq
                event = decode_data(row.type, row.data, row.version)
                yield Envelope(session=self.session_id, seq=row.seq, at=row.at, event=event)
        reader.behind = False  # no await since the comparison: nothing can have been appended in between

    def close(self) -> None:
        """No more events: readers end once they have read what is left."""
        self._closed = True
        for reader in self._readers:
            reader.wake.set()

    def _fan_out(self, envelope: Envelope) -> None:
        for reader in self._readers:
            reader.offer(envelope)

    def _patch(self, events: list[AnyEvent], first_user_text: str) -> SessionPatch | None:
        listed = [event for event in events if isinstance(event, _LISTED)]
        if not listed:
            return None
        texts = [event.content for event in listed if isinstance(event, UserMessageAdded)]
        titles = [event.title for event in listed if isinstance(event, SessionUpdate) and event.title]
        cost = sum(event.cost_usd or 0.0 for event in listed if isinstance(event, LlmCall))
        turns = sum(isinstance(event, Processing) for event in listed)
        return SessionPatch(
            preview=" ".join(texts[0].split())[:PREVIEW_CHARS] if texts and not first_user_text else None,
            title=titles[-1] if titles else None,
            turn_count=self.state.turn_count + turns if turns else None,
            cost_usd=self.state.spending.spent_usd + cost if cost else None,
        )


class _Reader:
    """One subscriber's queue, bounded."""

    def __init__(self, after_seq: int) -> None:
        self.queue: deque[Envelope] = deque()
        self.last_seq = after_seq
        self.behind = True
        self.wake = asyncio.Event()

    def offer(self, envelope: Envelope) -> None:
        if self.behind:
            if envelope.seq is None:
                return  # it is reading older things; live text would be out of place
        elif len(self.queue) >= QUEUE_LIMIT:
            self.queue.clear()
            self.behind = True
        elif not self._join(envelope):
            self.queue.append(envelope)
        self.wake.set()

    def _join(self, envelope: Envelope) -> bool:
        """Join a text piece to the one that still waits, so that a slow reader costs no memory per piece."""
        if envelope.seq is not None or not self.queue or self.queue[-1].seq is not None:
            return False
        last, new = self.queue[-1].event, envelope.event
        if isinstance(last, (AssistantChunk, ThinkingChunk)) and len(last.content) > JOIN_LIMIT:
            return False
        joined: AnyEvent
        match last, new:
            case AssistantChunk(), AssistantChunk():
                joined = AssistantChunk(content=last.content + new.content)
            case ThinkingChunk(), ThinkingChunk():
                joined = ThinkingChunk(content=last.content + new.content)
            case ToolLog(), ToolLog() if last.tool_call_id == new.tool_call_id and last.agent_id == new.agent_id:
                joined = ToolLog(tool=new.tool, log=last.log + new.log, tool_call_id=new.tool_call_id, agent_id=new.agent_id)
            case _:
                return False
        self.queue[-1] = Envelope(session=envelope.session, seq=None, at=envelope.at, event=joined)
        return True
