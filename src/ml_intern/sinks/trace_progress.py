"""What was sent of each session's trace, and up to which event: one small file for each session and dataset.

Written whole beside its place, flushed to the disk and then moved there, so that a crash leaves the old state or the new one. It says
"sent" only after the Hub has said so. The lock is a file of its own that is never replaced: two processes cannot both hold it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha1, sha256
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ml_intern.config.paths import private_dir
from ml_intern.config.private_file import replace_private
from ml_intern.errors import StoreError, StoreLocked
from ml_intern.protocol.session_ids import short_id
from ml_intern.sinks.trace_transcripts import Transcripts

FOLDER = "traces"
"""Below the folder of our data."""
SUBAGENT = "agent:"
"""Begins the format's name of a sub-agent's transcript: it is over when the sub-agent is, and the session goes on."""


class SentFile(Struct, frozen=True, kw_only=True):
    """A file as the Hub has it: everything up to event ``seq``. ``digests``: git's name of the content, and its SHA-256."""

    path: str
    seq: int
    lines: int
    size_bytes: int
    digests: tuple[str, str]


class TraceProgress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One session, one dataset. ``files`` by format; ``error`` is why the last attempt failed, ``final`` that trying again is in vain."""

    repo_id: str = ""
    files: dict[str, SentFile] = {}
    error: str = ""
    final: bool = False
    attempts: int = 0
    tried_at: datetime | None = None
    note: str = ""
    """What the user should know of it: a trace that went to another file."""

    def state(self, last_seq: int) -> Literal["sent", "pending", "failed"]:
        """Where a session with so many events stands. What is newer than the last upload is pending, whatever became of that."""
        if self.error and self.final:
            return "failed"
        return "sent" if self.files and self.sent_seq >= last_seq else "pending"

    @property
    def sent_seq(self) -> int:
        """The event up to which the Hub has everything."""
        return min((file.seq for name, file in self.files.items() if not name.startswith(SUBAGENT)), default=0)


def digests_of(data: bytes) -> tuple[str, str]:
    """How the Hub names this content: as a git blob, and in large file storage."""
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest(), sha256(data).hexdigest()


class ProgressFiles:
    """Below ``folder``: ``<session>/<destination>.json``. Every method raises ``StoreError``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, session_id: str, destination: str) -> TraceProgress:
        """An empty one when nothing was ever sent. A file that cannot be read counts as that: what the Hub has is then compared."""
        try:
            return msgspec.json.decode(self._path(session_id, destination).read_bytes(), type=TraceProgress)
        except FileNotFoundError:
            return TraceProgress()
        except msgspec.MsgspecError:
            return TraceProgress()
        except OSError as error:
            raise StoreError(f"What was sent of session {short_id(session_id)} cannot be read: {error.strerror}.") from error

    def known(self, session_id: str, destination: str) -> bool:
        """Whether it was ever to be sent there."""
        return self._path(session_id, destination).exists()

    def save(self, session_id: str, destination: str, progress: TraceProgress) -> None:
        """Durable when it returns."""
        path = self._path(session_id, destination)
        try:
            replace_private(path, msgspec.json.encode(progress))
        except OSError as error:
            raise StoreError(f"What was sent of session {short_id(session_id)} cannot be kept: {error.strerror}.") from error

    def transcripts(self, session_id: str) -> Transcripts:
        """Where those of its sub-agents are kept until they are sent."""
        return Transcripts(self._path(session_id, "any").parent)

    @contextmanager
    def locked(self, session_id: str, destination: str) -> Generator[None]:
        """Nobody else sends this session meanwhile, in this process or another. Raises ``StoreLocked``."""
        path = self._path(session_id, destination).with_suffix(".lock")
        try:
            private_dir(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}.") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreLocked(
                    f"Session {short_id(session_id)} is being uploaded by another process.", hint="It will be done."
                ) from error
            yield
        finally:
            os.close(descriptor)

    def forget(self, session_id: str) -> list[str]:
        """For a session that is deleted. Returns the files on the Hub that are left of it, as ``<dataset>/<path>``."""
        folder = self._path(session_id, "any").parent
        left: list[str] = []
        try:
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path.suffix == ".json":
                    progress = self.load(session_id, path.stem)
                    left += sorted(f"{progress.repo_id}/{file.path}" for file in progress.files.values())
                path.unlink(missing_ok=True)
            if folder.is_dir():
                folder.rmdir()
        except OSError as error:
            raise StoreError(f"What was kept of the trace of {short_id(session_id)} cannot be deleted: {error.strerror}.") from error
        return left

    def _path(self, session_id: str, destination: str) -> Path:
        if "/" in session_id or session_id.startswith("."):
            raise StoreError(f"'{session_id}' is no session's name.")
        return self._folder / session_id / f"{destination}.json"
