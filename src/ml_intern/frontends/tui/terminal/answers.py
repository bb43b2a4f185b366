"""Answers of the terminal, taken out of what is typed: they come on the same wire as the keys, whole, in pieces, late or never.

Forms: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html (DA1, XTVERSION, window operations 14 and 16, OSC 11) and
https://sw.kovidgoyal.net/kitty/graphics-protocol/#querying-support-and-available-transmission-mediums.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

AMBIGUOUS_S = 0.1
"""How long a lone escape is held: it may be the Escape key."""
BROKEN_S = 3.0
"""After this long the rest of an answer is not waited for."""
SILENT_S = 5.0
"""After this long without DA1 the terminal hardly answers any more: what may be a key is not held for it."""
MAX_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the terminal can, as numbers (DA1): 4 is sixel. Every terminal answers this; it is asked last."""

    codes: frozenset[int]


@dataclass(frozen=True, slots=True)
class KittyGraphics:
    """Whether it took a picture by kitty's protocol."""

    works: bool


@dataclass(frozen=True, slots=True)
class CellPixels:
    """The size of a cell, in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Background:
    """Its colour, each part from 0 to 255."""

    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Program:
    """The terminal's name and version, such as ``kitty(0.42.1)``."""

    name: str


Answer: TypeAlias = Attributes | KittyGraphics | CellPixels | Background | Program

_TOKEN = re.compile(
    r"\x1b(?:"
    r"\[\?(?P<attributes>[\d;]*)c"
    r"|_Gi=31[^;\x1b]*;(?P<kitty>[^\x1b]*)\x1b\\"
    r"|\[6;(?P<cell>\d+;\d+)t"
    r"|\]11;(?P<background>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|P>\|(?P<program>[^\x1b]*)\x1b\\"
    r"|(?P<paste>\[200~)"
    r")"
)
_BEGUN = re.compile(
    r"\x1b(?:"
    r"\[(?:\?[\d;]*|6(?:;\d*){0,2}|2|20|200)?"
    r"|_(?:G[^\x1b]*\x1b?)?"
    r"|\](?:1(?:1(?:;[^\x07\x1b]*\x1b?)?)?)?"
    r"|P(?:>(?:\|[^\x1b]*\x1b?)?)?"
    r")?\Z"
)
_OURS = re.compile(r"\x1b(?:\[\?|\[6;|_G|\]1|P>)")
"""What no key begins with, or hardly any."""
_PASTE_END_BEGUN = re.compile(r"\x1b(?:\[(?:2(?:0(?:1)?)?)?)?\Z")
_PASTE_END = "\x1b[201~"
_COLOUR = re.compile(r"rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")


class AnswerFilter:
    """Lets keys through and keeps answers, from when something is asked until DA1 comes: terminals answer in order."""

    def __init__(self) -> None:
        self._waiting = True
        self._since: float | None = None
        self._patient = True
        self._held = ""
        self._held_at = 0.0
        self._pasting = False
        self.answers: list[Answer] = []
        """What came and has not been taken."""

    def take(self) -> list[Answer]:
        """The answers that came since this was last called."""
        answers, self.answers = self.answers, []
        return answers

    def feed(self, text: str, now: float) -> str:
        """What of the text was typed. What may become an answer is held back until more comes or ``late`` gives it up."""
        if self._since is None:
            self._since = now
        self._patient = now - self._since < SILENT_S
        if not self._waiting or not text:
            return text
        text, self._held = self._held + text, ""
        keys = "".join(self._keys(text))
        self._held_at = now if self._held else 0.0
        return keys

    def late(self, now: float) -> str:
        """Call about every 0.1 s: a lone escape was a key after all. The beginning of an answer is dropped when its end never comes."""
        held, ours = self._held, not self._pasting and _OURS.match(self._held)
        if not held or now - self._held_at < (BROKEN_S if ours else AMBIGUOUS_S):
            return ""
        self._held = ""
        return "" if ours else held

    def _keys(self, text: str) -> Iterator[str]:
        while text:
            if self._pasting:
                pasted, end, text = text.partition(_PASTE_END)
                self._pasting = not end
                yield pasted + end if end else self._hold(pasted, _PASTE_END_BEGUN)
                continue
            found = _TOKEN.search(text) if self._waiting else None
            if found is None:
                yield self._hold(text, _BEGUN) if self._waiting else text
                return
            yield text[: found.start()]
            text = text[found.end() :]
            if found["paste"]:
                self._pasting = True
                yield found[0]
            elif (answer := _read(found)) is not None:
                self.answers.append(answer)
                self._waiting = not isinstance(answer, Attributes)

    def _hold(self, text: str, begun: re.Pattern[str]) -> str:
        found = begun.search(text)
        if found is None or len(found[0]) > MAX_CHARS:
            return text
        if not (self._patient or self._pasting or _OURS.match(found[0])):
            return text
        self._held = found[0]
        return text[: found.start()]


def _read(found: re.Match[str]) -> Answer | None:
    """None for an answer that says nothing."""
    match found.lastgroup, found[found.lastgroup or 0]:
        case "attributes", codes:
            return Attributes(frozenset(int(code) for code in codes.split(";") if code))
        case "kitty", said:
            return KittyGraphics(said == "OK")
        case "cell", size:
            height, width = map(int, size.split(";"))
            return CellPixels(width, height) if width and height else None
        case "background", said:
            colour = _COLOUR.match(said)
            return Background(_eight_bits(colour)) if colour else None
        case _, name:
            return Program(name)


def _eight_bits(colour: re.Match[str]) -> tuple[int, int, int]:
    """Each part has one to four digits, and ``f`` is as much as ``ffff``."""
    red, green, blue = (round(int(part, 16) * 255 / (16 ** len(part) - 1)) for part in colour.groups())
    return red, green, blue
