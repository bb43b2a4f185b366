"""Transcripts of sub-agents on this machine, from their first line until the Hub has them.

A sub-agent's log is in the memory of its process alone. What a trace says of it is therefore kept here as it comes, in a file for each
sub-agent beside the note of what was sent; a process that dies leaves it, and the next upload of the session takes it along.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import IO

from ml_intern.config.paths import private_dir

PREFIX, SUFFIX = "agent-", ".jsonl"
LONGEST_NAME = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def file_name(agent_id: str) -> str:
    """What its transcript is called, here and on the Hub."""
    return f"{PREFIX}{_UNSAFE.sub('-', agent_id)[:LONGEST_NAME]}{SUFFIX}"


class Transcripts:
    """Of one session. ``folder`` is the session's, and goes with it. Methods block, and raise ``OSError`` or ``ConfigError``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Of the files that are there."""
        try:
            return sorted(path.name for path in self._folder.glob(f"{PREFIX}*{SUFFIX}"))
        except FileNotFoundError:
            return []

    def open(self, name: str) -> IO[bytes]:
        """To be read, and written at its end: unbuffered, so that a process that is killed loses no line that it wrote."""
        private_dir(self._folder)
        return open(os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", buffering=0)

    def drop(self, name: str) -> None:
        """The Hub has it."""
        (self._folder / name).unlink(missing_ok=True)
