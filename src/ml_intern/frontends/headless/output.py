"""Standard output and error, written from one thread, in order: a reader that pauses never stops the session."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable

from msgspec import Struct

PENDING_LIMIT_BYTES = 1 << 20


class Console(Struct, frozen=True, kw_only=True):
    """The process's two output descriptors and what they are connected to."""

    stdout: int
    stderr: int
    stdout_is_terminal: bool
    stderr_is_terminal: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of_process(cls) -> Console:
        """What this process was started with."""
        return cls(
            stdout=sys.stdout.fileno(),
            stderr=sys.stderr.fileno(),
            stdout_is_terminal=sys.stdout.isatty(),
            stderr_is_terminal=sys.stderr.isatty(),
            encoding=sys.stdout.encoding,
        )

    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal, asked anew each time because people resize."""
        try:
            columns, rows = os.get_terminal_size(self.stdout)
        except OSError:
            return 80, 24
        return columns or 80, rows or 24


class OutputThread:
    """A queue of writes and the thread that carries them out. ``on_gone(fd, error)`` is called, once, when an ``fd`` takes no more."""

    def __init__(self, console: Console, on_gone: Callable[[int, OSError], None]) -> None:
        self._console = console
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._queue: deque[tuple[int, bytes]] = deque()
        self._pending_bytes = 0
        self._gone: set[int] = set()
        self._closed = False
        self._awaited = False
        self._progress = asyncio.Event()
        threading.Thread(target=self._run, name="output", daemon=True).start()

    def stdout(self, text: str) -> None:
        """Queue text for standard output; never blocks."""
        self._put(self._console.stdout, text.encode(self._console.encoding, errors="replace"))

    def stdout_bytes(self, data: bytes) -> None:
        """Queue bytes for standard output; never blocks."""
        self._put(self._console.stdout, data)

    def stderr(self, text: str) -> None:
        """Queue text for standard error; never blocks."""
        self._put(self._console.stderr, text.encode(self._console.encoding, errors="replace"))

    @property
    def busy(self) -> bool:
        """Something queued is not written yet."""
        return self._pending_bytes > 0

    @property
    def crowded(self) -> bool:
        """So much is unwritten that whoever writes should wait for ``room``."""
        return self._pending_bytes > PENDING_LIMIT_BYTES

    async def room(self) -> None:
        """Wait while much is still unwritten, so that a stopped reader costs no memory."""
        await self._until(PENDING_LIMIT_BYTES)

    async def flush(self) -> None:
        """Wait until everything queued is written (or nobody reads it)."""
        await self._until(0)

    def close(self) -> None:
        """End the thread once the queue is empty. A write that hangs is left to hang: the thread does not keep the process."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _put(self, fd: int, data: bytes) -> None:
        with self._changed:
            if fd in self._gone or not data:
                return
            self._queue.append((fd, data))
            self._pending_bytes += len(data)
            self._changed.notify()

    async def _until(self, limit_bytes: int) -> None:
        while True:
            with self._changed:
                if self._pending_bytes <= limit_bytes:
                    return
                self._awaited = True
                self._progress.clear()
            await self._progress.wait()

    def _run(self) -> None:
        while batch := self._next():
            fd, data = batch
            failure = None if fd in self._gone else _write_all(fd, data)
            with self._changed:
                self._pending_bytes -= len(data)
                if failure is not None:
                    self._gone.add(fd)
                awaited, self._awaited = self._awaited, False
                if self._closed:
                    continue  # nobody waits any more, and the loop may be closed
                if failure is not None:
                    self._loop.call_soon_threadsafe(self._on_gone, fd, failure)
                if awaited:
                    self._loop.call_soon_threadsafe(self._progress.set)

    def _next(self) -> tuple[int, bytes] | None:
        with self._changed:
            while not self._queue:
                if self._closed:
                    return None
                self._changed.wait()
            fd, data = self._queue.popleft()
            if not self._queue or self._queue[0][0] != fd:
                return fd, data
            parts = [data]
            while self._queue and self._queue[0][0] == fd:
                parts.append(self._queue.popleft()[1])
            return fd, b"".join(parts)


def _write_all(fd: int, data: bytes) -> OSError | None:
    """Why it cannot be written, if it cannot: a closed pipe, a terminal that hung up, a full disk."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # somebody who shares the terminal made it non-blocking
            import select

            select.select([], [fd], [], 1.0)
        except OSError as error:
            return error
    return None
