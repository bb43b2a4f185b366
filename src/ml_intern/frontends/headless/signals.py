"""Signals, for as long as a run lasts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def handled(on_signal: Callable[[signal.Signals], None]) -> Generator[None]:
    """Call ``on_signal`` in the event loop. A signal that the parent has switched off (``nohup``, ``&``) stays off."""
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            continue
        loop.add_signal_handler(number, on_signal, number)
        taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
