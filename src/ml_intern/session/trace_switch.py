"""Whether the trace of a running session is shared may change: on from the moment of the user's yes, off from the moment of the no."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from ml_intern.protocol.codec import Envelope

if TYPE_CHECKING:
    from ml_intern.session.session_traces import SessionTraces

    Agreed: TypeAlias = Callable[[], Awaitable[Callable[[], SessionTraces | None] | None]]


class TraceSwitch:
    """``current`` is what the session began with. ``agreed`` reads the user's settings anew, and makes a new one where they allow it."""

    def __init__(self, current: SessionTraces | None, agreed: Agreed) -> None:
        self._current = current
        self._agreed = agreed
        self._changing = asyncio.Lock()
        self._closed = False

    def start(self) -> None:
        """With the session."""
        if self._current is not None:
            self._current.start()

    async def review(self) -> None:
        """Do as the user's settings say now. Raises ``ConfigError``; where they cannot be read, nothing goes out any more."""
        async with self._changing:
            make = None
            try:
                make = await self._agreed()
            finally:
                if make is None:
                    await self._stop()
            if make is not None and self._current is None and not self._closed:
                self._current = make()
                self.start()

    async def watch_subagent(self, envelope: Envelope) -> None:
        """See ``SessionTraces``."""
        if self._current is not None:
            await self._current.watch_subagent(envelope)

    async def aclose(self) -> None:
        """Send the rest within a few seconds. The log is closed."""
        async with self._changing:
            self._closed = True
            if self._current is not None:
                await self._current.aclose()

    async def _stop(self) -> None:
        stopped, self._current = self._current, None
        if stopped is not None:
            await stopped.stop()
