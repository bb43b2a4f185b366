"""The file that ``transcript_path`` names: the session so far in Claude Code's format, for hooks that read it.

It is written when a hook is about to be run, and only what is new since then: a session without hooks never has it, and a moment costs
what happened since the last one. It goes with the session; one that a crash leaves is written anew when the session is opened again, and
is deleted with the session's other files.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from ml_intern.config.paths import make_private
from ml_intern.protocol.codec import Envelope
from ml_intern.session.log import EventLog
from ml_intern.session.trace_formats.claude_code import ClaudeCode

NAME = "transcript.jsonl"


class Transcript:
    """Of one session. ``path`` need not exist before ``catch_up``. The log is scrubbed already."""

    def __init__(self, log: EventLog, folder: Path) -> None:
        self.path = folder / NAME
        self._log = log
        self._fold = ClaudeCode(log.session_id)
        self._seq = 0
        self._begun = False
        self._writing = asyncio.Lock()

    async def catch_up(self) -> str:
        """Everything that is stored by now is in the file when it returns. Where it is; empty when it cannot be written."""
        async with self._writing:
            try:
                while not self._begun or self._seq < self._log.state.last_seq:
                    page = await self._log.page(self._seq)
                    await asyncio.to_thread(self._write, page)
                    if not page:
                        break
                    self._seq = page[-1].seq or self._seq
            except OSError:
                return ""  # a full disk must not stop a hook that guards something
            return str(self.path)

    def _write(self, page: Sequence[Envelope]) -> None:
        if not self._begun:
            make_private(self.path.parent)
            self.path.unlink(missing_ok=True)  # of a process that was killed
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if self._begun else os.O_EXCL)
        with open(os.open(self.path, flags, 0o600), "ab") as file:
            self._begun = True
            for envelope in page:
                file.writelines(self._fold.feed(envelope))

    def remove(self) -> None:
        """The session is over."""
        if self._begun:
            self.path.unlink(missing_ok=True)
