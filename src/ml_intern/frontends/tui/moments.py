"""When an event happened, in the event loop's time: who opens a session while it runs counts from its beginning, not from its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from ml_intern.protocol.codec import Envelope


def moment(envelope: Envelope, *, live: bool) -> float:
    """Now; what lies behind, as long ago as its time says. A clock that is ahead of this one makes nothing begin later than now."""
    now = asyncio.get_running_loop().time()
    return now if live else now - max((datetime.now(UTC) - envelope.at).total_seconds(), 0.0)
