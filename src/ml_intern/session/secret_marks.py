"""What stands where a secret stood, and how text is made ready to be searched."""

from __future__ import annotations

import re

MARK = re.compile(r"\[REDACTED(?:_[A-Z_]+)?\]")
REDACTED = "[REDACTED]"


def contains_redaction(text: str) -> bool:
    """Whether something was taken out of the text."""
    return "[REDACTED" in text and MARK.search(text) is not None


def lower(text: str) -> str:
    """In lower case and just as long: a few letters grow (``İ``), and places would shift."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(char.lower() if char.isascii() else char for char in text)
