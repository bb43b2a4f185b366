"""``EventStore`` without a file: for sessions that are not to be kept, and for tests."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ml_intern.errors import StoreError
from ml_intern.stores.base import SearchHit, SessionPatch, SessionRecord, StoredEvent
from ml_intern.stores.lease import Lease, Owner, busy, current_owner, not_owned, seq_taken
from ml_intern.stores.names import ambiguous, matching_ids, not_found
from ml_intern.stores.search_text import MAX_TEXT_CHARS, SNIPPET_WORDS, TEXT_FIELDS, Term, one_line, terms
from ml_intern.stores.spill import remove_spill

_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class _Log:
    record: SessionRecord
    events: list[StoredEvent] = field(default_factory=list[StoredEvent])
    lease: Lease | None = None

    @property
    def last_seq(self) -> int:
        return self.events[-1].seq if self.events else 0


class MemoryStore:
    """Logs in a dictionary, gone with the last store that shares it. Each store is an owner of its own."""

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), spill_dir: Path | None = None) -> None:
        self._logs: dict[str, _Log] = {}
        self._owner: Owner = current_owner()
        self._clock = clock
        self._spill_dir = spill_dir
        self._closed = False

    def beside(self) -> MemoryStore:
        """A second store over the same logs, as a second process has one over the same file."""
        other = MemoryStore(clock=self._clock, spill_dir=self._spill_dir)
        other._logs = self._logs
        return other

    def _log(self, session_id: str) -> _Log:
        self._refuse_when_closed()
        if session_id not in self._logs:
            raise not_found(session_id)
        return self._logs[session_id]

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StoreError("The session store is closed.")

    async def create(self, record: SessionRecord) -> None:
        self._refuse_when_closed()
        if record.id in self._logs:
            raise StoreError(f"There already is a session {record.id}.")
        self._logs[record.id] = _Log(msgspec.structs.replace(record, event_count=0, size_bytes=0, owner=""))

    async def append(self, session_id: str, events: Sequence[StoredEvent], patch: SessionPatch | None = None) -> None:
        log = self._log(session_id)
        if log.lease is None or log.lease.owner != self._owner:
            raise not_owned(session_id) if log.lease is None else busy(session_id, log.lease, self._owner)
        top = log.last_seq
        for event in events:
            if event.seq <= top:
                raise seq_taken(session_id, event.seq, top)
            top = event.seq
        log.events.extend(events)
        record = log.record
        log.record = msgspec.structs.replace(
            record,
            event_count=record.event_count + len(events),
            size_bytes=record.size_bytes + sum(len(event.data) for event in events),
            updated_at=max(record.updated_at, events[-1].at) if events else record.updated_at,
            **_changes(patch),
        )

    async def load(self, session_id: str, *, after_seq: int = 0, limit: int | None = None) -> list[StoredEvent]:
        return [event for event in self._log(session_id).events if event.seq > after_seq][:limit]

    async def last_seq(self, session_id: str) -> int:
        return self._log(session_id).last_seq

    async def record(self, session_id: str) -> SessionRecord:
        log = self._log(session_id)
        return msgspec.structs.replace(log.record, owner=log.lease.describe() if log.lease else "")

    async def sessions(self, *, limit: int | None = None) -> list[SessionRecord]:
        self._refuse_when_closed()
        return [await self.record(session_id) for session_id in self._newest_first()[:limit]]

    def _newest_first(self) -> list[str]:
        places = {session_id: place for place, session_id in enumerate(self._logs)}
        return sorted(places, key=lambda name: (self._logs[name].record.updated_at, places[name]), reverse=True)

    async def find(self, name: str) -> SessionRecord:
        self._refuse_when_closed()
        match matching_ids(name, self._newest_first()):
            case []:
                raise not_found(name)
            case [only]:
                return await self.record(only)
            case several:
                raise ambiguous(name, [await self.record(session_id) for session_id in several])

    async def search(self, text: str, *, limit: int = 20) -> list[SearchHit]:
        self._refuse_when_closed()
        wanted = terms(text)
        if not wanted:
            return []
        hits = (self._first_hit(session_id, wanted) for session_id in self._newest_first())
        return [hit for hit in hits if hit is not None][:limit]

    def _first_hit(self, session_id: str, wanted: list[Term]) -> SearchHit | None:
        for event in self._logs[session_id].events:
            text = _searched_text(event)
            if text and all(_occurs(term, text) for term in wanted):
                return SearchHit(session_id, event.seq, _snippet(text, wanted[0]))
        return None

    async def delete(self, session_id: str) -> None:
        log = self._log(session_id)
        if log.lease is not None:
            raise busy(session_id, log.lease, self._owner)
        del self._logs[session_id]
        if self._spill_dir is not None:
            remove_spill(self._spill_dir, session_id)

    async def acquire(self, session_id: str) -> None:
        log = self._log(session_id)
        if log.lease is not None and log.lease.owner != self._owner:
            raise busy(session_id, log.lease, self._owner)
        now = self._clock()
        log.lease = log.lease or Lease(self._owner, now, now)

    async def release(self, session_id: str) -> None:
        self._refuse_when_closed()
        log = self._logs.get(session_id)
        if log is not None and log.lease is not None and log.lease.owner == self._owner:
            log.lease = None

    async def events_named(self, names: Sequence[str]) -> list[tuple[str, StoredEvent]]:
        return [(session_id, event) for session_id, log in self._logs.items() for event in log.events if event.type in names]

    async def aclose(self) -> None:
        for session_id in [] if self._closed else list(self._logs):
            await self.release(session_id)
        self._closed = True


def _changes(patch: SessionPatch | None) -> dict[str, object]:
    values = {} if patch is None else msgspec.structs.asdict(patch)
    return {name: value for name, value in values.items() if value is not None}


def _searched_text(event: StoredEvent) -> str:
    key = TEXT_FIELDS.get(event.type)
    if key is None:
        return ""
    return str(msgspec.json.decode(event.data).get(key, ""))[:MAX_TEXT_CHARS]


def _occurs(term: Term, text: str) -> bool:
    end = "" if term.is_prefix else " "
    return f" {_folded(term.text)}{end}" in f" {_folded(text)} "


def _folded(text: str) -> str:
    """Words in lower case without accents, single spaces between them."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join(_WORD.findall(bare.lower()))


def _snippet(text: str, term: Term) -> str:
    words = text.split()
    near = next((place for place, word in enumerate(words) if _occurs(Term(term.text.split()[0], True), word)), 0)
    start = max(0, near - SNIPPET_WORDS // 2)
    cut = words[start : start + SNIPPET_WORDS]
    return one_line(("…" if start else "") + " ".join(cut) + ("…" if start + len(cut) < len(words) else ""))
