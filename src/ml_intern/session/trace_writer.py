"""The traces of one session, written while it goes on: each event is scrubbed once more and becomes lines, once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import IO

from ml_intern.models.base import ToolSchema
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import AnyEvent
from ml_intern.session.trace_formats.claude_code import ClaudeCode
from ml_intern.session.trace_formats.open_trace import OpenTrace
from ml_intern.session.trace_formats.row import row, row_covers
from ml_intern.session.trace_formats.said import TraceFormat
from ml_intern.sinks.trace_progress import SUBAGENT, digests_of
from ml_intern.sinks.trace_transcripts import Transcripts, file_name
from ml_intern.sinks.trace_upload import Document

Scrub = Callable[[AnyEvent], AnyEvent]

CLAUDE_CODE, OPEN = "claude_code", "open"
FOLDERS = {CLAUDE_CODE: "sessions", OPEN: "open_traces"}


class _Spool:
    """Lines on disk: an upload renders nothing a second time. ``fold`` None: nothing is added to them any more."""

    def __init__(self, fold: TraceFormat | None, file: IO[bytes] | None = None) -> None:
        """Without a ``file``, in one without a name."""
        self._fold = fold
        self._file: IO[bytes] = file or tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the session

    def feed(self, envelope: Envelope) -> None:
        for line in self._fold.feed(envelope) if self._fold is not None else ():
            self._file.write(line)

    def read(self) -> bytes:
        """Whole lines: a process that was killed may have left half of one."""
        self._file.seek(0)
        data = self._file.read()
        self._file.seek(0, 2)
        return data[: data.rfind(b"\n") + 1]

    def close(self) -> None:
        self._file.close()


class TraceWriter:
    """For the user's own dataset: Claude Code's format and the open one. Blocks: to be called in a thread, one call at a time."""

    def __init__(self, session_id: str, scrub: Scrub, transcripts: Transcripts | None = None) -> None:
        """``transcripts``: where those of sub-agents are kept until they are sent, some of an earlier process perhaps."""
        self._session_id = session_id
        self._scrub = scrub
        self._transcripts = transcripts
        self._sent_bytes: dict[str, int] = {}
        self._spools = {CLAUDE_CODE: _Spool(ClaudeCode(session_id)), OPEN: _Spool(OpenTrace(session_id))}
        self._seq = 0
        self._begun_at: datetime | None = None

    def feed(self, envelopes: Sequence[Envelope]) -> None:
        """The next stored events."""
        for envelope in envelopes:
            clean = scrubbed(envelope, self._scrub)
            if envelope.session != self._session_id:
                self._transcript(envelope.session).feed(clean)
                continue
            self._begun_at = self._begun_at or envelope.at
            self._seq = envelope.seq or self._seq
            for name in FOLDERS:
                self._spools[name].feed(clean)

    def _transcript(self, agent_id: str) -> _Spool:
        """Of a sub-agent of this process."""
        name = f"{SUBAGENT}{file_name(agent_id)}"
        if name not in self._spools:
            file = self._transcripts.open(file_name(agent_id)) if self._transcripts is not None else None
            self._spools[name] = _Spool(ClaudeCode(self._session_id, agent_id=agent_id), file)
        return self._spools[name]

    def _take_what_is_left(self) -> None:
        """Of sub-agents of a process that ended before it was sent."""
        for name in self._transcripts.names() if self._transcripts is not None else ():
            if self._transcripts is not None and f"{SUBAGENT}{name}" not in self._spools:
                self._spools[f"{SUBAGENT}{name}"] = _Spool(None, self._transcripts.open(name))

    def documents(self) -> list[Document]:
        """What there is so far; none while nobody has said anything."""
        found: list[Document] = []
        self._take_what_is_left()
        for name, spool in self._spools.items():
            if data := spool.read():
                found.append(Document(format=name, path=self._path(name), seq=self._seq, data=data, digests=digests_of(data)))
        return found

    def _path(self, name: str) -> str:
        if name in FOLDERS:
            return trace_path(FOLDERS[name], self._session_id, self._begun_at)
        folder = trace_path(FOLDERS[CLAUDE_CODE], self._session_id, self._begun_at).removesuffix(".jsonl")
        return f"{folder}/{name.removeprefix(SUBAGENT)}"

    def sent(self, documents: Sequence[Document]) -> None:
        """The Hub has these."""
        self._sent_bytes |= {document.format: len(document.data) for document in documents}

    def close(self) -> None:
        """Give the files back. Transcripts that the Hub has whole need not be kept any more."""
        for name, spool in self._spools.items():
            done = name.startswith(SUBAGENT) and self._sent_bytes.get(name) == len(spool.read())
            spool.close()
            if done and self._transcripts is not None:
                self._transcripts.drop(name.removeprefix(SUBAGENT))


class RowWriter:
    """For the shared dataset: one row, made anew each time. Blocks likewise."""

    def __init__(self, session_id: str, scrub: Scrub, schemas: Sequence[ToolSchema]) -> None:
        self._session_id = session_id
        self._scrub = scrub
        self._schemas = schemas
        self._envelopes: list[Envelope] = []

    def feed(self, envelopes: Sequence[Envelope]) -> None:
        """The next stored events."""
        own = (envelope for envelope in envelopes if envelope.session == self._session_id)
        self._envelopes += [scrubbed(envelope, self._scrub) for envelope in own]

    def documents(self) -> list[Document]:
        """The row; none while nobody has said anything. The account's name is not in it."""
        if not any(envelope.event.wire == "user_message" for envelope in self._envelopes):
            return []
        data = row(self._session_id, "", self._envelopes, self._schemas)
        path = trace_path("sessions", self._session_id, self._envelopes[0].at)
        seq = self._envelopes[-1].seq or 0
        return [Document(format="row", path=path, seq=seq, data=data, digests=digests_of(data), covers=row_covers)]

    def sent(self, documents: Sequence[Document]) -> None:
        """Nothing is kept for it."""

    def close(self) -> None:
        """Nothing to give back."""
        self._envelopes.clear()


def scrubbed(envelope: Envelope, scrub: Scrub) -> Envelope:
    """The event without secrets, by what is known to be one today."""
    clean = scrub(envelope.event)
    if clean is envelope.event:
        return envelope
    return Envelope(session=envelope.session, seq=envelope.seq, at=envelope.at, event=clean)


def trace_path(folder: str, session_id: str, begun_at: datetime | None) -> str:
    """``<folder>/<day it began, UTC>/<session>.jsonl``: the same after a resume on another day."""
    day = (begun_at or datetime.fromtimestamp(0, UTC)).astimezone(UTC)
    return f"{folder}/{day:%Y-%m-%d}/{session_id}.jsonl"
