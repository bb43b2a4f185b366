"""Secrets that something invisible cuts in two: colours of a terminal, characters of no width. A reader sees them whole.

The text is scrubbed as it stands and as it is seen. Only a line where that makes a difference loses what is invisible in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_SEQUENCE = r"(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b\n\\]{0,500}(?:\x07|\x1b\\|\\u0007|\\x07|\\a))"
_INVISIBLE = re.compile(rf"[\x1b\u00ad\u200b-\u200f\u2060-\u2064\ufeff](?:(?<!\x1b)|{_SEQUENCE})")
_ESCAPED = re.compile(
    rf"\\(?:(?:u001[bB]|x1[bB]|033|e){_SEQUENCE}|u00[aA][dD]|u200[b-fB-F]|u206[0-4]|u[fF][eE][fF][fF])",
)
"""As JSON and programs write them. Both patterns begin with what the engine can skip to: they are asked of most texts."""


def seen_whole(text: str, clean: str, scrub: Callable[[str], str]) -> str:
    """``clean``: the text scrubbed as it stands."""
    if not _differs(text, clean, scrub):
        return clean
    lines = text.split("\n")
    seen = [_seen(line, scrub) for line in lines]
    together = "\n".join(seen)
    return scrub(together if not _differs(together, scrub(together), scrub) else _without(text))


def _seen(line: str, scrub: Callable[[str], str]) -> str:
    clean = scrub(line)
    return scrub(_without(line)) if _differs(line, clean, scrub) else clean


def _differs(text: str, clean: str, scrub: Callable[[str], str]) -> bool:
    bare = _without(text)
    return bare != text and _without(clean) != scrub(bare)


def _without(text: str) -> str:
    return _ESCAPED.sub("", _INVISIBLE.sub("", text))
