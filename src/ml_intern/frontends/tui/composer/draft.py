"""What is being written, or was sent and not read, survives a crash: a file for each app that runs in a folder, gone when a log has it.

An app holds a lock beside its file. A draft that nobody holds was left behind by an app that is gone: the next one in that folder
takes it over.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from ml_intern.config.private_file import hold, replace_private

MAX_BYTES = 1_000_000


class Draft:
    """Reading and writing block: call them in a thread."""

    def __init__(self, folder: Path, cwd: Path, scrub: Callable[[str], str] = lambda text: text) -> None:
        import hashlib  # loads OpenSSL

        self._folder = folder
        self._scrub = scrub
        self._stem = hashlib.sha256(str(cwd).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._path: Path | None = None
        self._lock_fd = -1
        self._turn = threading.Lock()

    def load(self) -> str:
        """The newest draft that nobody writes any more, which is ours from now on. Empty when there is none."""
        with self._turn, contextlib.suppress(OSError):
            if self._path is not None:
                return ""  # the user was faster and has written a new one already
            for path in sorted(self._folder.glob(f"{self._stem}*.txt"), key=_written_at, reverse=True):
                if self._take(path):
                    return path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace")
        return ""

    def _take(self, path: Path) -> bool:
        fd = hold(path.with_suffix(".lock"))
        if fd is None:
            return False
        if not path.exists():  # sent meanwhile by the app that had it
            _let_go(path, fd)
            return False
        self._path, self._lock_fd = path, fd
        return True

    def save(self, text: str) -> None:
        """Readable for the user alone; an empty one removes the file."""
        with self._turn, contextlib.suppress(OSError):
            if not text.strip():
                self._forget()
                return
            if self._path is None:
                path = self._folder / f"{self._stem}-{os.urandom(4).hex()}.txt"
                fd = hold(path.with_suffix(".lock"))
                self._lock_fd = fd if fd is not None else -1
                self._path = path
            replace_private(self._path, self._scrub(text[:MAX_BYTES]).encode("utf-8", "replace")[:MAX_BYTES])

    def _forget(self) -> None:
        if self._path is not None:
            path, self._path = self._path, None
            path.unlink(missing_ok=True)
            _let_go(path, self._lock_fd)

    def leave(self) -> None:
        """The app ends: what is not sent is for the next one in this folder."""
        with self._turn:
            if self._path is not None:
                path, self._path = self._path, None
                _let_go(path, self._lock_fd)


def _let_go(path: Path, fd: int) -> None:
    """The lock's file goes while we hold it: who waits for it sees that it is another one."""
    with contextlib.suppress(OSError):
        path.with_suffix(".lock").unlink(missing_ok=True)
    if fd >= 0:
        os.close(fd)


def _written_at(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
