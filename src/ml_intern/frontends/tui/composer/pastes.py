"""Long pastes stand in the composer as one short mark, and are the whole text again when they are sent."""

from __future__ import annotations

import re

from ml_intern.protocol.amounts import counted

FOLD_LINES = 20
FOLD_CHARS = 2_000
_MARK = re.compile(r"\[pasted (\d+) lines? #(\d+)\]")


class Pastes:
    """Those of the text that is being written."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def taken(self, text: str) -> str:
        """What to insert for a pasted text: itself, or its mark."""
        lines = text.count("\n") + 1
        if lines <= FOLD_LINES and len(text) <= FOLD_CHARS:
            return text
        number = len(self._texts) + 1
        self._texts[number] = text
        return f"[pasted {counted(lines, 'line')} #{number}]"

    def whole(self, text: str) -> str:
        """The text with every mark replaced by what it stands for; a mark of nothing stays as it is."""
        return _MARK.sub(lambda mark: self._texts.get(int(mark.group(2)), mark.group()), text)

    def forget(self) -> None:
        """The text was sent."""
        self._texts.clear()
