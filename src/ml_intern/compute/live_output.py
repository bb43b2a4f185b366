"""Live output: decoded, and handed on in a few pieces a second however fast it comes."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable

INTERVAL_S = 0.1
PIECE_CHARS = 8 * 1024


class LiveOutput:
    """Collects for a tenth of a second, then calls the sink once.

    Output of a command that ends within that time reaches the sink only when ``flush`` is called for it: its result says it
    all. Of a torrent, each piece shows the newest part and says how much it left out.
    """

    def __init__(self, sink: Callable[[str], None], loop: asyncio.AbstractEventLoop) -> None:
        self._sink = sink
        self._loop = loop
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""
        self._skipped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._shown = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._pending += self._decoder.decode(data)
        if (excess := len(self._pending) - PIECE_CHARS) > PIECE_CHARS:
            self._skipped += excess
            self._pending = self._pending[excess:]
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL_S, self.flush)

    def flush(self) -> None:
        """Hand on what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pending:
            return
        piece = f"[… {self._skipped:,} characters not shown live …]\n{self._pending}" if self._skipped else self._pending
        self._pending = ""
        self._skipped = 0
        self._shown = True
        self._sink(piece)

    def finish(self) -> None:
        """The command ended: hand on the rest only if the sink has seen a part before."""
        self._pending += self._decoder.decode(b"", final=True)
        if self._shown:
            self.flush()
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None
