"""Long pastes stand in the composer as one short mark, and are the whole text again when they are sent."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from itertools import count

from ml_intern.protocol.amounts import counted

FOLD_LINES = 20
FOLD_CHARS = 2_000
MOST_TO_EDIT = 20_000
"""A longer text that is nothing but one's own is folded too, between its first and its last line: a field is slow with it."""
MOST_SEEN = 500
"""Of that first and that last line."""
MOST_REMEMBERED = 20
MOST_REMEMBERED_CHARS = 200_000
"""Of each."""
_MARK = re.compile(r"\[pasted ([\d,]+) lines? #(\d+)\]( ?)(\Z)?")


class Pastes:
    """Those of the text that is being written, and the last ones that were sent."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._sent: deque[str] = deque(maxlen=MOST_REMEMBERED)
        self._quoted: set[int] = set()
        """Numbers of marks that the text quotes as words of its own: none of them is given to a paste."""

    def taken(self, text: str) -> str:
        """What to insert for a pasted text: itself, or its mark and a space to write on behind it."""
        return f"{self._marked(text)} " if _is_long(text) else text

    def shown(self, text: str) -> str:
        """A text that was sent before, or written elsewhere: what was pasted then is a mark again, and what was written is seen."""
        known = {each.strip("\n") for each in (*self._texts.values(), *self._sent)}  # as the history keeps them
        self._quoted = {int(found[2]) for found in _MARK.finditer(text)}
        self._remember(self._texts.pop(number) for number in self._quoted & self._texts.keys())
        for pasted in sorted(known, key=len, reverse=True):
            text = text.replace(pasted, self._marked(pasted)) if pasted in text else text
        if len(text) <= MOST_TO_EDIT:
            return text
        first, _, rest = text.partition("\n")
        middle, _, last = rest.rpartition("\n")
        if not middle or len(first) > MOST_SEEN or len(last) > MOST_SEEN:
            return self.taken(text)
        return f"{first}\n{self._marked(middle)}\n{last}"

    def whole(self, text: str) -> str:
        """The text with every mark replaced by what it stands for; a mark of nothing stays as it is."""
        return _MARK.sub(self._meant, text)

    def forget(self) -> None:
        """The text was sent."""
        self._remember(self._texts.values())
        self._texts.clear()
        self._quoted.clear()

    def _marked(self, text: str) -> str:
        number = next((known for known, each in self._texts.items() if each == text), 0)
        if not number:
            number = next(free for free in count(1) if free not in self._texts and free not in self._quoted)
        self._texts[number] = text
        return f"[pasted {counted(_lines(text), 'line')} #{number}]"

    def _meant(self, mark: re.Match[str]) -> str:
        """Without the space that was put behind it, where that separates nothing."""
        text = self._texts.get(int(mark.group(2)))
        if text is None:
            return mark.group()
        return text if mark.group(4) is not None or text.endswith("\n") else text + mark.group(3)

    def _remember(self, texts: Iterable[str]) -> None:
        for text in texts:
            if text not in self._sent and len(text) <= MOST_REMEMBERED_CHARS:
                self._sent.append(text)


def _is_long(text: str) -> bool:
    return _lines(text) > FOLD_LINES or len(text) > FOLD_CHARS


def _lines(text: str) -> int:
    """What ends in a line break has no line behind it."""
    return text.count("\n") + (not text.endswith("\n"))
