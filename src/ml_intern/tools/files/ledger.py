"""Which files this session has seen, and how they were then: nobody overwrites what the model has not read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ml_intern.compute.base import FileStat
from ml_intern.errors import ToolError
from ml_intern.protocol.events import FileSeen


class FileLedger:
    """One per session, by resolved path. Seeded from the log when a session is resumed."""

    def __init__(self, seen: Iterable[FileSeen] = ()) -> None:
        self._seen = {file.path: file for file in seen}

    def record(self, path: Path, stat: FileStat) -> FileSeen:
        """The model has now seen (or written) the file as it is."""
        seen = FileSeen(path=str(path), mtime_ns=stat.mtime_ns, size_bytes=stat.size_bytes)
        self._seen[seen.path] = seen
        return seen

    def demand(self, path: Path, stat: FileStat, shown: str) -> None:
        """Raises ``ToolError`` unless the file was seen and is still the same. ``shown`` is the path in the model's words."""
        seen = self._seen.get(str(path))
        if seen is None:
            raise ToolError(
                f"{shown} exists and has not been read in this session.", hint="Read it first, so that nothing in it is lost unseen."
            )
        if (seen.mtime_ns, seen.size_bytes) != (stat.mtime_ns, stat.size_bytes):
            raise ToolError(f"{shown} has changed since it was last read.", hint="Read it again, then repeat the change.")
