"""What was sent before, over all sessions: kept in one file of the user's own, without the secrets that were in it.

Several apps write it: each reads what the others added and puts its own behind it.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import msgspec

from ml_intern.config.private_file import replace_private, taking_turns

MAX_ENTRIES = 1_000
MAX_CHARS = 2_000_000
"""Of all entries together; the newest is kept whatever its length, as long as the app runs."""
MAX_STORED_CHARS = 200_000
"""A longer text is not worth keeping in the file: it is in its session."""


class History:
    """Newest last, each text once. Reading and writing block: call them in a thread. What this app sent is here as it was written; secrets
    are taken out of what goes to the file."""

    def __init__(self, path: Path, scrub: Callable[[str], str] = lambda text: text) -> None:
        self._path = path
        self._scrub = scrub
        self._entries: list[str] = []
        self._unsaved: deque[str] = deque(maxlen=MAX_ENTRIES)
        self._at = 0
        self._unsent = ""

    @property
    def entries(self) -> tuple[str, ...]:
        """Oldest first."""
        return tuple(self._entries)

    def load(self) -> None:
        """A file that is not there, or not ours, is an empty history."""
        with contextlib.suppress(OSError):
            self._entries = _each_once([*self._read(), *self._entries])
            self._at = len(self._entries)

    def _read(self) -> list[str]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        read: list[str] = []
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                read.append(msgspec.json.decode(line, type=str))
        return read

    def add(self, text: str) -> None:
        """Remember what was sent, and be at its end again."""
        text = text.strip("\n")
        if text.strip():
            self._entries = _each_once([*self._entries, text])
            self._unsaved.append(text)
        self._at, self._unsent = len(self._entries), ""

    def save(self) -> None:
        """Put what was added behind what is in the file now, readable for the user alone. Where it cannot be kept, it is not."""
        with contextlib.suppress(OSError), taking_turns(self._path):
            added = list(self._unsaved)
            stored = [self._scrub(text) for text in added if len(text) <= MAX_STORED_CHARS]
            data = b"".join(msgspec.json.encode(entry) + b"\n" for entry in _each_once([*self._read(), *stored]))
            replace_private(self._path, data)
            for _ in added:
                self._unsaved.popleft()

    def back(self, unsent: str) -> str | None:
        """The entry before; what was being written is kept for the way back. None at the beginning."""
        if self._at == 0:
            return None
        if self._at == len(self._entries):
            self._unsent = unsent
        self._at -= 1
        return self._entries[self._at]

    def forward(self) -> str | None:
        """The entry after, at last what was being written. None when that is where we are."""
        if self._at >= len(self._entries):
            return None
        self._at += 1
        return self._unsent if self._at == len(self._entries) else self._entries[self._at]

    def matching(self, query: str, limit: int = 50) -> list[str]:
        """Newest first: those that hold every word of the query."""
        words = query.casefold().split()
        found = [entry for entry in reversed(self._entries) if all(word in entry.casefold() for word in words)]
        return found[:limit]


def _each_once(entries: list[str]) -> list[str]:
    """Each at the place where it came last; of too many or too much, the newest."""
    newest = list(dict.fromkeys(reversed(entries)))[:MAX_ENTRIES]
    sizes = accumulate(len(entry) for entry in newest)
    kept = sum(1 for place, size in enumerate(sizes) if not place or size <= MAX_CHARS)
    return newest[:kept][::-1]
