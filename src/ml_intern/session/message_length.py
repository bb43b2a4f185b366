"""Whether the model's window holds a message: one that is larger, the session would cut down to its beginning and its end."""

from __future__ import annotations

from msgspec import Struct

from ml_intern.protocol.amounts import count_text
from ml_intern.protocol.messages import UserMessage
from ml_intern.protocol.operations import UserInput
from ml_intern.session.compaction import GIANT_SHARE
from ml_intern.session.history import estimate_tokens
from ml_intern.session.model_port import COMPACT_AT, UNKNOWN_WINDOW_COMPACT_AT

NEVER_TOO_LONG = 2_000
"""Characters that any model takes."""
INSTRUCTIONS_SHARE, MOST_INSTRUCTIONS = 0.1, 10_000
"""Of the window, and tokens: about what instructions and tools take, before the first request has told."""


class TooLong(Struct, frozen=True):
    """``window`` None: nobody knows it, and ``limit`` is a guess. All in tokens."""

    tokens: int
    used: int
    window: int | None
    limit: int

    @property
    def words(self) -> str:
        """How long it is, and what the model takes."""
        takes = f"{count_text(self.window)}" if self.window else f"perhaps {count_text(self.limit)}"
        used = f", of which {count_text(self.used)} are in use" if self.used else ""
        return f"The message has about {count_text(self.tokens)} tokens; the model takes {takes}{used}."


def too_long(message: UserInput, *, window: int | None, used: int) -> TooLong | None:
    """Whether the session would have to cut the message itself to make room for it. ``used``: tokens of the context so far."""
    if len(message.text) <= NEVER_TOO_LONG:
        return None
    limit = int(window * COMPACT_AT) if window else UNKNOWN_WINDOW_COMPACT_AT
    tokens = estimate_tokens(UserMessage(text=message.text, images=message.images))
    before = used or min(MOST_INSTRUCTIONS, int(limit * INSTRUCTIONS_SHARE))
    if tokens <= limit * GIANT_SHARE or before + tokens <= limit:
        return None
    return TooLong(tokens, used, window, limit)
