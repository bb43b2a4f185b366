"""A message that the model's window does not hold: the session would cut it down to its beginning and its end. As a file it is whole."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from ml_intern.config.private_file import replace_private
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.operations import UserInput

NAME, ENDING = "message", ".txt"
SHOWN_HEAD, SHOWN_TAIL = 3_000, 1_000
"""Characters of it that are sent all the same: what is wanted mostly stands at the beginning or at the end."""


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
