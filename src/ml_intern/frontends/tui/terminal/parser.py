"""Keys that Textual's parser reads as others: those of terminals that do not speak the kitty protocol, and what a paste holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

SENT_FOR: Mapping[str, str] = MappingProxyType({
    "\x1b\r": "alt+enter",  # Escape ahead of a key is Alt with it: xterm's metaSendsEscape, tmux, and most others
    "\x1b[27;2;13~": "shift+enter",  # xterm's modifyOtherKeys: CSI 27 ; modifiers ; code point ~
    "\x1b[27;3;13~": "alt+enter",
})  # fmt: skip
PASTE_BEGIN, PASTE_END = "\x1b[200~", "\x1b[201~"
_END_BEGUN = re.compile(r"\x1b(?:\[(?:2(?:0(?:1)?)?)?)?\Z")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class PastedText:
    """Takes the controls out of what is pasted, but tabs and line breaks, however it is split: Textual makes keys of an Esc among it."""

    def __init__(self) -> None:
        self._pasting = False
        self._last = ""
        """What was read last outside of a paste: its beginning may be in two pieces."""
        self._held = ""
        """Of a paste: what may be its end."""

    def cleaned(self, text: str) -> str:
        """What of the text is to be read now."""
        return "".join(self._parts(text))

    def _parts(self, text: str) -> Iterator[str]:
        while text:
            if self._pasting:
                pasted, end, text = (self._held + text).partition(PASTE_END)
                begun = None if end else _END_BEGUN.search(pasted)
                self._held = begun[0] if begun else ""
                yield _CONTROLS.sub("", pasted.removesuffix(self._held)) + end
                self._pasting = not end
                continue
            before, begin, after = (self._last + text).partition(PASTE_BEGIN)
            yield text.removesuffix(after) if begin else text
            self._pasting, text = bool(begin), after
            self._last = "" if begin else before[1 - len(PASTE_BEGIN) :]


class KeyParser(XTermParser):
    """After a pause Esc is a key of its own. Where a slow line brings an Esc and an Enter at once they cannot be told from Alt+Enter, which
    is the milder: it interrupts nothing. What is pasted is no key, whatever it holds."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._pasted = PastedText()

    def feed(self, data: str) -> Iterable[Message]:
        read = self._pasted.cleaned(data)
        return super().feed(read) if read or not data else ()  # nothing at all would be the end

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if (key := SENT_FOR.get(sequence)) is not None:
            return (events.Key(key, None),)
        return super()._sequence_to_key_events(sequence, alt)
