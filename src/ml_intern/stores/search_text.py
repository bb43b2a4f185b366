"""What a search looks for, the same for every store: all words must occur, ``"words in quotes"`` one after the other.

Letters match whatever their case, the last word may be the beginning of one, and everything but letters and digits separates.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TEXT_FIELDS = {"user_message": "content", "assistant_message": "content", "tool_output": "output"}
"""The events that are searched, and the key of their text."""
MAX_TEXT_CHARS = 20_000
"""How much of one event is searched: the index must not grow with a tool that prints megabytes."""
SNIPPET_WORDS = 16
_TERM = re.compile(r'"([^"]*)"?|(\S+)')


class Term(NamedTuple):
    """Words in a row; ``is_prefix``: the last of them may go on."""

    text: str
    is_prefix: bool


def terms(query: str) -> list[Term]:
    """The query's terms, without those that hold no letter and no digit."""
    found = [(match[1] if match[1] is not None else match[2], match[1] is None) for match in _TERM.finditer(query)]
    kept = [(text, bare) for text, bare in found if any(char.isalnum() for char in text)]
    return [Term(text, bare and place == len(kept) - 1) for place, (text, bare) in enumerate(kept)]


def one_line(snippet: str) -> str:
    """White space of every kind as single spaces."""
    return " ".join(snippet.split())
