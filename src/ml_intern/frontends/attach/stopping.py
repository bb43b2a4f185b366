"""Ctrl-Z: the terminal is given back as it was found, this program stops as any other would, and ``fg`` makes it ours again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager


@contextmanager
def stoppable(leave: Callable[[], Awaitable[None]], come_back: Callable[[], None]) -> Generator[Callable[[], None]]:
    """Hands out what stops the job: all of it, a script that started this program too, for its shell waits until that is stopped.

    ``leave`` before it stops, ``come_back`` when it goes on: also after a stop that nobody sees coming (``SIGSTOP``), and perhaps twice.
    """
    if signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN:  # whoever started it wants no stops
        yield lambda: None
        return
    loop = asyncio.get_running_loop()
    stopping: set[asyncio.Task[None]] = set()

    def begin() -> None:
        if not stopping:
            task = asyncio.ensure_future(stop())
            stopping.add(task)
            task.add_done_callback(stopping.discard)

    async def stop() -> None:
        await leave()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(0, signal.SIGTSTP)  # returns when it goes on; at once where no shell could bring it back
        loop.add_signal_handler(signal.SIGTSTP, begin)
        come_back()

    loop.add_signal_handler(signal.SIGTSTP, begin)
    loop.add_signal_handler(signal.SIGCONT, come_back)
    try:
        yield begin
    finally:
        for task in stopping:
            task.cancel()
        loop.remove_signal_handler(signal.SIGTSTP)
        loop.remove_signal_handler(signal.SIGCONT)
