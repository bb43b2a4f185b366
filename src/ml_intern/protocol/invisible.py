"""Characters that nobody sees, shown: a person who judges what will run must see all of it.

Nothing is ever left out: an escape sequence is not what a terminal would make of it, but the characters that it is made of.
"""

from __future__ import annotations

import re

_MAYBE = "[^\n\t -~]"
# letters, marks and signs without ink
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
_PICTOGRAM = "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
_IN_PICTOGRAM = "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff]"
_JOINER, _AS_PICTURE = "\u200d", "\ufe0f"


def marked(text: str) -> str:
    """The text with every character that cannot be seen as ``␛`` or ``<U+202E>``; what joins a pictogram stays."""
    return text if _clean(text) else re.sub(_MAYBE, _mark, text)


def seen(text: str) -> str:
    """The text without them: to be edited, so that what stands there is all that runs."""
    return text if _clean(text) else re.sub(_MAYBE, lambda found: "" if _hidden(found) else found[0], text)


def count(text: str) -> int:
    """How many there are."""
    return 0 if _clean(text) else sum(_hidden(found) for found in re.finditer(_MAYBE, text))


def marks(text: str) -> list[tuple[int, int]]:
    """Where the marks stand in a text that was ``marked``: to be drawn as warnings."""
    return [found.span() for found in re.finditer("<U\\+[0-9A-F]{4,6}>|[\u2400-\u241f\u2421]", text)]


def _clean(text: str) -> bool:
    return text.isascii() and text.replace("\n", "").replace("\t", "").isprintable()


def _mark(found: re.Match[str]) -> str:
    character = found[0]
    if not _hidden(found):
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def _hidden(found: re.Match[str]) -> bool:
    character, text, at = found[0], found.string, found.start()
    if character == _JOINER and re.match(_IN_PICTOGRAM, text[at - 1 : at]) and re.match(_PICTOGRAM, text[at + 1 : at + 2]):
        return False
    if character == _AS_PICTURE and re.match(_PICTOGRAM, text[at - 1 : at]):
        return False
    return not character.isprintable() or re.match(f"[{_BLANK}]", character) is not None
