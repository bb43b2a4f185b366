"""The session's log: an event is scrubbed, stored, folded into the state and only then shown.

Readers subscribe with ``events(after_seq)``: stored events after that number, then live ones, transient ones among them. A
reader that falls behind loses nothing that is stored: it is sent back to the store. Text pieces that wait for it are joined, and
the oldest go when they become too many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from weakref import WeakSet

from msgspec.structs import replace

from ml_intern.compute.to_the_end import to_the_end
from ml_intern.errors import MlInternError, StoreError
from ml_intern.protocol.codec import SCHEMA_VERSION, Envelope, decode_data, encode_data, well_formed
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import (
    AnyEvent,
    AssistantChunk,
    BudgetReserved,
    BudgetSettled,
    ErrorRaised,
    LlmCall,
    ModelSwitched,
    Processing,
    SessionUpdate,
    ThinkingChunk,
    ToolLog,
    UndoComplete,
    UserMessageAdded,
)
from ml_intern.protocol.ran_words import without_ran_words
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.clock import Clock
from ml_intern.session.state import SessionState
from ml_intern.stores.base import EventStore, SessionPatch, StoredEvent

QUEUE_LIMIT = 2_000
PAGE = 500
JOIN_LIMIT = 4_096
"""Characters up to which waiting pieces are joined; joining without end would copy the text once a piece."""
WAITING_CHARS = 4_000_000
"""Characters of text pieces that may wait for one reader: beyond it the oldest go."""
HANDED_OVER_BYTES = 16_000_000
"""How much of the log a reader that is behind is given when the log closes."""
PREVIEW_CHARS = 72
_LISTED = (UserMessageAdded, LlmCall, BudgetReserved, BudgetSettled, Processing, SessionUpdate, ModelSwitched, UndoComplete)
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
        self._readers: WeakSet[_Reader] = WeakSet()  # one that nobody iterates any more is none
        self._closed = False
        self._failure: BaseException | None = None
        self._last_words: Envelope | None = None

    async def load(self) -> int:
        """Fold what the store has. Returns the number of events."""
        rows = await self._store.load(self.session_id)
        for row in rows:
            self.state.apply(row.seq, decode_data(row.type, row.data, row.version))
        return len(rows)

    async def append(self, *events: Event) -> None:
        """Make events durable, in this order, then fold and show them. Never torn by a cancellation. Raises ``StoreError``."""
        await to_the_end(self._append(events))

    async def _append(self, events: tuple[Event, ...]) -> None:
        async with self._lock:
            self.raise_failure()
            at = self._clock.now()
            first = self.state.last_seq + 1
            encoded = [self._encoded(event) for event in events]
            clean = [event for event, _ in encoded]
            rows = [StoredEvent(first + i, at, event.wire, data, SCHEMA_VERSION) for i, (event, data) in enumerate(encoded)]
            before = self.state.first_user_text
            await self._store.append(self.session_id, rows, self._patch(clean, before))
            for row, event in zip(rows, clean, strict=True):
                self.state.apply(row.seq, event)
                self._fan_out(Envelope(session=self.session_id, seq=row.seq, at=at, event=event))

    def _encoded(self, event: Event) -> tuple[AnyEvent, bytes]:
        """Without secrets, and as bytes: nothing that a tool or a file name holds may stop the log."""
        clean = self._scrub(event)  # pyright: ignore[reportArgumentType]  # the union is closed
        try:
            return clean, encode_data(clean)
        except UnicodeEncodeError:
            clean = well_formed(clean)
            return clean, encode_data(clean)

    def show(self, event: Event) -> None:
        """Show a transient event to whoever listens now."""
        if self._readers:
            self._fan_out(self._transient(event))

    def show_text(self, event: AssistantChunk | ThinkingChunk) -> None:
        """Show a piece of text. Not scrubbed: a secret cut in two cannot be found; what is stored of it is scrubbed."""
        if self._readers:
            self._fan_out(Envelope(session=self.session_id, seq=None, at=self._clock.now(), event=event))

    def events(self, *, after_seq: int = 0) -> AsyncGenerator[Envelope]:
        """Stored events after ``after_seq``, then live ones until the log is closed. Nothing is missed from this call on."""
        reader = _Reader(after_seq, behind=after_seq < self.state.last_seq)
        self._readers.add(reader)
        return self._read(reader)

    async def _read(self, reader: _Reader) -> AsyncGenerator[Envelope]:
        try:
            while True:
                if reader.behind:
                    async for envelope in self._catch_up(reader):
                        yield envelope
                elif reader.queue:
                    if envelope := reader.take():
                        yield envelope
                elif self._closed:
                    if self._last_words is not None:
                        yield self._last_words
                    return
                else:
                    reader.wake.clear()
                    await reader.wake.wait()
        finally:
            self._readers.discard(reader)

    async def _catch_up(self, reader: _Reader) -> AsyncIterator[Envelope]:
        while reader.behind and reader.last_seq < self.state.last_seq:
            try:
                rows = await self._load(reader.last_seq)
            except StoreError:
                if reader.behind and self._failure is None:
                    raise
                break  # it was handed the rest meanwhile, or the log's last words tell what happened
            for row in rows:
                reader.last_seq = row.seq
                yield self._envelope(row)
        reader.behind = False  # no await since the comparison: nothing can have been appended in between

    async def _load(self, after_seq: int) -> list[StoredEvent]:
        """A page, never an empty one."""
        if rows := await self._store.load(self.session_id, after_seq=after_seq, limit=PAGE):
            return rows
        raise StoreError(f"Session {self.session_id} was deleted while it was being read.")

    def _envelope(self, row: StoredEvent) -> Envelope:
        return Envelope(session=self.session_id, seq=row.seq, at=row.at, event=decode_data(row.type, row.data, row.version))

    async def page(self, after_seq: int) -> list[Envelope]:
        """The stored events after ``after_seq``, ``PAGE`` of them at most. Raises ``StoreError``."""
        return [self._envelope(row) for row in await self._store.load(self.session_id, after_seq=after_seq, limit=PAGE)]

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._closed

    def close(self) -> None:
        """No more events: readers end once they have read what is left."""
        self._closed = True
        for reader in self._readers:
            reader.wake.set()

    async def hand_over(self) -> None:
        """Give readers that are behind what they have not read yet: the store is about to go."""
        behind = [reader for reader in self._readers if reader.behind]
        if not behind:
            return
        rest, complete = await self._rest(min(reader.last_seq for reader in behind))
        if not complete:
            text = "The session was closed before all of it was shown here."
            rest.append(self._transient(ErrorRaised(error=text, hint=f"See it with: ml-intern sessions show {short_id(self.session_id)}")))
        for reader in behind:
            reader.receive(rest)

    async def _rest(self, seq: int) -> tuple[list[Envelope], bool]:
        """Events after ``seq``, and whether these are all."""
        rest: list[Envelope] = []
        size_bytes = 0
        try:
            while seq < self.state.last_seq and size_bytes < HANDED_OVER_BYTES:
                rows = await self._load(seq)
                rest += map(self._envelope, rows)
                size_bytes += sum(len(row.data) for row in rows)
                seq = rows[-1].seq
        except StoreError as error:
            self.fail(error)
        return rest, seq >= self.state.last_seq or self._failure is not None

    def fail(self, error: BaseException) -> None:
        """Nothing can be written any more: readers are told why and end, later appends raise ``error``. The first failure counts."""
        if self._failure is None:
            self._failure = error
            text, hint = (error.message, error.hint) if isinstance(error, MlInternError) else (str(error), "")
            self._last_words = self._transient(ErrorRaised(error=text, hint=hint, kind=type(error).__name__))
            self.close()

    def raise_failure(self) -> None:
        """What made the log fail, if it did: nothing more is written, and nobody is told of it any more."""
        if self._failure is not None:
            raise self._failure

    def _transient(self, event: Event) -> Envelope:
        clean = self._scrub(event)  # pyright: ignore[reportArgumentType]
        return Envelope(session=self.session_id, seq=None, at=self._clock.now(), event=clean)

    def _fan_out(self, envelope: Envelope) -> None:
        for reader in self._readers:
            reader.offer(envelope)

    def _patch(self, events: list[AnyEvent], first_user_text: str) -> SessionPatch | None:
        listed = [event for event in events if isinstance(event, _LISTED)]
        if not listed:
            return None
        texts = [event.content for event in listed if isinstance(event, UserMessageAdded)]
        titles = [event.title for event in listed if isinstance(event, SessionUpdate) and event.title]
        spending = self.state.spending.after(events)  # a reservation may be made and settled in one batch
        models = [event.model for event in listed if isinstance(event, ModelSwitched)]
        return SessionPatch(
            preview=" ".join(without_ran_words(texts[0]).split())[:PREVIEW_CHARS] if texts and not first_user_text else None,
            title=titles[-1] if titles else None,
            model=models[-1] if models else None,
            turn_count=self._turns_after(listed),
            cost_usd=spending.own_usd,
            unpriced_calls=spending.own_unpriced,
            reserved_usd=sum(amount for amount, _ in spending.reserved.values()),
        )

    def _turns_after(self, events: Sequence[AnyEvent]) -> int | None:
        """How many turns the session has once these are folded; None when they change nothing about it."""
        before = count = self.state.turn_count
        for event in events:
            if isinstance(event, Processing):
                count += 1
            elif isinstance(event, UndoComplete) and event.cut_seq:
                count = sum(seq < event.cut_seq for seq in self.state.turn_seqs)
        return count if count != before else None


class _Reader:
    """One subscriber's queue, bounded."""

    def __init__(self, after_seq: int, *, behind: bool) -> None:
        self.queue: deque[Envelope] = deque()
        self.last_seq = after_seq
        self.behind = behind
        self.wake = asyncio.Event()
        self._waiting_chars = 0

    def offer(self, envelope: Envelope) -> None:
        if self.behind:
            return  # it is reading older things: what is stored it will find there, live text would be out of place
        if len(self.queue) >= QUEUE_LIMIT:
            self.queue.clear()
            self._waiting_chars = 0
            self.behind = True
        else:
            self._add(envelope)
        self.wake.set()

    def take(self) -> Envelope | None:
        """The next one; None for what catching up has shown already: an event is durable before it is offered here."""
        envelope = self.queue.popleft()
        if envelope.seq is None:
            self._waiting_chars -= _text_chars(envelope.event)
            return envelope
        if envelope.seq <= self.last_seq:
            return None
        self.last_seq = envelope.seq
        return envelope

    def receive(self, rest: list[Envelope]) -> None:
        """All that is left to read."""
        self.behind = False
        self.queue.extend(rest)
        self.wake.set()

    def _add(self, envelope: Envelope) -> None:
        joined = self._joined(envelope)
        if joined is None:
            self.queue.append(envelope)
        else:
            self.queue[-1] = Envelope(session=envelope.session, seq=None, at=envelope.at, event=joined)
        if envelope.seq is None:
            self._waiting_chars += _text_chars(envelope.event)
            if self._waiting_chars > WAITING_CHARS:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Keep the newest pieces, half of what may wait, so that this is rarely done."""
        kept: deque[Envelope] = deque()
        chars = kept_chars = 0
        for envelope in reversed(self.queue):
            size = _text_chars(envelope.event) if envelope.seq is None else 0
            chars += size
            if not size or chars <= WAITING_CHARS // 2:
                kept.appendleft(envelope)
                kept_chars += size
        self.queue, self._waiting_chars = kept, kept_chars

    def _joined(self, envelope: Envelope) -> AnyEvent | None:
        """A text piece with the one that still waits, so that a slow reader costs no memory per piece; None for anything else."""
        if envelope.seq is not None or not self.queue or self.queue[-1].seq is not None:
            return None
        last, new = self.queue[-1].event, envelope.event
        if _text_chars(last) > JOIN_LIMIT:
            return None
        match last, new:
            case (AssistantChunk(), AssistantChunk()) | (ThinkingChunk(), ThinkingChunk()):
                return replace(new, content=last.content + new.content)
            case ToolLog(), ToolLog() if replace(last, log="") == replace(new, log=""):
                return replace(new, log=last.log + new.log)
            case _:
                return None


def _text_chars(event: AnyEvent) -> int:
    match event:
        case AssistantChunk() | ThinkingChunk():
            return len(event.content)
        case ToolLog():
            return len(event.log)
        case _:
            return 0
