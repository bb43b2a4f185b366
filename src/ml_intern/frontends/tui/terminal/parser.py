"""Keys that Textual's parser reads as others: those of terminals that do not speak the kitty protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from textual import events
from textual._xterm_parser import XTermParser

SENT_FOR: Mapping[str, str] = MappingProxyType({
    "\x1b\r": "alt+enter",  # Escape ahead of a key is Alt with it: xterm's metaSendsEscape, tmux, and most others
    "\x1b[27;2;13~": "shift+enter",  # xterm's modifyOtherKeys: CSI 27 ; modifiers ; code point ~
    "\x1b[27;3;13~": "alt+enter",
})  # fmt: skip


class KeyParser(XTermParser):
    """Textual asks for keys only outside of a bracketed paste, and after a pause Esc is a key of its own. Where a slow line brings an Esc
    and an Enter at once they cannot be told from Alt+Enter, which is the milder: it interrupts nothing."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if (key := SENT_FOR.get(sequence)) is not None:
            return (events.Key(key, None),)
        return super()._sequence_to_key_events(sequence, alt)
