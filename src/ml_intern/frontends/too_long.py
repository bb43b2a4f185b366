"""A message that the model's window does not hold: the session would cut it down to its beginning and its end. As a file it is whole."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ml_intern.config.private_file import replace_private
from ml_intern.protocol.amounts import count_text, counted
from ml_intern.protocol.messages import UserMessage
from ml_intern.protocol.operations import UserInput
from ml_intern.session.compaction import GIANT_SHARE
from ml_intern.session.history import estimate_tokens
from ml_intern.session.model_port import COMPACT_AT, UNKNOWN_WINDOW_COMPACT_AT

NEVER_TOO_LONG = 2_000
"""Characters that any model takes."""
INSTRUCTIONS_SHARE, MOST_INSTRUCTIONS = 0.1, 10_000
"""Of the window, and tokens: about what instructions and tools take, before the first request has told."""
NAME, ENDING = "message", ".txt"
SHOWN_HEAD, SHOWN_TAIL = 3_000, 1_000
"""Characters of it that are sent all the same: what is wanted mostly stands at the beginning or at the end."""


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


def as_file(message: UserInput, folder: Path) -> UserInput:
    """The text goes into a new file in ``folder``, and the message says where it is. Blocks; raises ``OSError``."""
    path = _new_file(folder)
    replace_private(path, message.text.encode("utf-8", "replace"))
    lines = counted(message.text.count("\n") + 1, "line")
    words = (
        f"[My message is too long to be sent: {lines}, {len(message.text):,} characters. All of it is in the file {path.name} in the "
        "working folder: read it there, piece by piece. This is how it begins and how it ends.]"
    )
    head, tail = message.text[:SHOWN_HEAD], message.text[-SHOWN_TAIL:]
    return replace(message, text=f"{words}\n\n{head}\n\n[… the rest is in {path.name} …]\n\n{tail}")


def _new_file(folder: Path) -> Path:
    """An empty one of a name that was free: nothing of the user's is replaced."""
    for number in count(1):
        path = folder / f"{NAME}-{number}{ENDING}"
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            continue
        return path
    raise AssertionError("numbers do not end")
