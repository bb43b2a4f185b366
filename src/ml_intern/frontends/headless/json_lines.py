"""``--json``: every event, one envelope per line, and nothing else on standard output.

The lines are those of ``docs/protocol.md``: ``{"v", "session", "seq", "at", "type", "data"}``. Stored events have a ``seq``;
transient ones (``assistant_chunk``, ``thinking_chunk``, ``assistant_stream_end``, output of running commands) have ``null``.
"""

from __future__ import annotations

from ml_intern.frontends.headless.ending import Ending
from ml_intern.frontends.headless.output import OutputThread
from ml_intern.protocol.codec import Envelope, encode


class JsonLines:
    """Each line is handed to the operating system at once, whole."""

    def __init__(self, out: OutputThread) -> None:
        self._out = out

    async def show(self, envelope: Envelope) -> None:
        self._out.stdout_bytes(encode(envelope) + b"\n")

    def notice(self, text: str) -> None:
        """The events say it."""

    def rejected(self, text: str) -> None:
        """The message that asks again says it."""

    def stopping(self, text: str) -> None:
        self._out.stderr(f"{text}\n")

    waiting = stopping

    async def finish(self, ending: Ending) -> None:
        """The last event says how it ended; what it does not say goes to standard error."""
        for text in filter(None, (ending.trouble, ending.jobs)):
            self._out.stderr(f"{text}\n")

    async def aclose(self) -> None:
        await self._out.flush()
