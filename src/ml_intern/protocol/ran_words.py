"""What a message says of the shell lines that its user ran before it: made by a frontend, left out of titles."""

from __future__ import annotations

_BEGIN = "[I ran `"
_END = "[end of the output]"


def ran_words(line: str, how: str, output: str) -> str:
    """``how``: its outcome, such as ``(exit code 0)``. The end is marked: output can hold what looks like a user's words."""
    return f"{_BEGIN}{line}` {how}:]\n{output}\n{_END}"


def without_ran_words(text: str) -> str:
    """What the user said after all that."""
    return text.rpartition(f"\n{_END}\n\n")[2] if text.startswith(_BEGIN) else text
