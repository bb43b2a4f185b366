"""Text from models, tools and logs, made safe to write to a terminal."""

from __future__ import annotations

import re

_SUSPECT = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
_CONTROL = (
    "(?:\x1b\\]|\x9d)[0-9]+(?:;[^\x00-\x1f\x7f-\x9f]*)?(?:\x07|\x1b\\\\|\x9c)"  # OSC with its number and its end: title, clipboard, links
    "|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x1b\\\\|\x9c)"  # DCS, SOS, PM, APC with their end
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, modes
    "|\x1b(?:[()*+#%][0-9A-Za-z@]|[78=>cDEHMNOZ])"  # character sets, cursor, reset
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"  # single controls
    "|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # bidirectional overrides: text that reads otherwise than it is
    "|[\U000e0000-\U000e007f]"  # tag characters: text that nobody sees
)


def plain(text: str) -> str:
    """The text without anything a terminal would obey; line breaks and tabs stay, a lone carriage return breaks the line.

    Only whole sequences go with what is in them: of a broken one the control goes and its words stay. It is for text that is read;
    what is judged before it runs is shown by ``protocol.invisible.marked``, which leaves nothing out.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    if not re.search(_SUSPECT, text):  # compiled at its first use: the patterns are large, and most text is clean
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return re.sub(_CONTROL, "", text)


def safe_json(document: str) -> str:
    """The same JSON, with what a terminal would obey and nobody would see written as escapes."""
    return re.sub(_SUSPECT, lambda found: found[0] if found[0] == "\r" else _escape(found[0]), document)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def one_line(text: str) -> str:
    """A text of somebody else as one line without what a terminal would obey."""
    return " ".join(plain(text).split())
