"""Output that outlives its terminal.

Textual's writer thread ends with the first write that fails. The queue before it fills up then, and the event loop waits for ever.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class LastingDriver(LinuxDriver):
    """Textual's own, but a terminal that was closed does not stop it. The app is told by ``terminal_gone``."""

    def __init__(self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)  # pyright: ignore[reportUnknownMemberType] - App[Unknown]
        self._gone: Callable[[], None] | None = getattr(app, "terminal_gone", None)
        out = _Terminal(sys.__stderr__.fileno() if sys.__stderr__ else 2, self.tell_gone)
        self._file = io.TextIOWrapper(io.BufferedWriter(out), encoding="utf-8", errors="replace", write_through=False)

    def tell_gone(self) -> None:
        """The terminal was closed. From any thread; a loop that has ended needs no word."""
        if self._gone is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._gone)


class _Terminal(io.FileIO):
    """Bytes for a terminal. When it is gone they are dropped, here and for all that writes to the standard streams later."""

    def __init__(self, fd: int, on_gone: Callable[[], object]) -> None:
        super().__init__(fd, "w", closefd=False)
        self._on_gone = on_gone

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            drop_output()
            self._on_gone()
            return memoryview(data).nbytes


def drop_output() -> None:
    """Send the standard streams nowhere: what is left in their buffers would fail the process at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
