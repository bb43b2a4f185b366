"""What was sent before, over all sessions: kept in one file of the user's own, without the secrets that were in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from ml_intern.config.private_file import replace_private

MAX_ENTRIES = 1_000
MAX_CHARS = 20_000
"""A longer text is not worth keeping here: it is in its session."""


class History:
    """Newest last, each text once. Reading and writing block: call them in a thread."""

    def __init__(self, path: Path, scrub: Callable[[str], str] = lambda text: text) -> None:
        self._path = path
        self._scrub = scrub
        self._entries: list[str] = []
        self._at = 0
        self._unsent = ""

    @property
    def entries(self) -> tuple[str, ...]:
        """Oldest first."""
        return tuple(self._entries)

    def load(self) -> None:
        """A file that is not there, or not ours, is an empty history."""
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return
        read: list[str] = []
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                read.append(msgspec.json.decode(line, type=str))
        self._entries = [*_each_once(read), *self._entries][-MAX_ENTRIES:]
        self._at = len(self._entries)

    def add(self, text: str) -> None:
        """Remember what was sent, and be at its end again."""
        text = self._scrub(text).strip("\n")
        if text.strip() and len(text) <= MAX_CHARS:
            self._entries = [*_each_once([*self._entries, text])][-MAX_ENTRIES:]
        self._at, self._unsent = len(self._entries), ""

    def save(self) -> None:
        """In one step, readable for the user alone. Where it cannot be kept, it is not."""
        data = b"".join(msgspec.json.encode(entry) + b"\n" for entry in self._entries)
        with contextlib.suppress(OSError):
            replace_private(self._path, data)

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
    """Each at the place where it came last."""
    return list(dict.fromkeys(reversed(entries)))[::-1]
