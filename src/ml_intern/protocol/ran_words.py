"""What a message says beside its user's own words, made by a frontend: shell lines that were run before it, and what a command asks for.

Both are framed, so that titles and screens can leave them out.
"""

from __future__ import annotations

_BEGIN = "[I ran `"
_END = "[end of the output]"
_ASKED_BEGIN = "[I used "
_ASKED_MID = ", which asks for this:]\n"
_ASKED_END = "\n[end of what it asks for]"


def ran_words(line: str, how: str, output: str) -> str:
    """``how``: its outcome, such as ``(exit code 0)``. The end is marked: output can hold what looks like a user's words."""
    return f"{_BEGIN}{line}` {how}:]\n{output}\n{_END}"


def without_ran_words(text: str) -> str:
    """What the user said after all that, or the command that was used."""
    said = text.rpartition(f"\n{_END}\n\n")[2] if text.startswith(_BEGIN) else text
    if said.startswith(_ASKED_BEGIN) and said.endswith(_ASKED_END):
        return said.removeprefix(_ASKED_BEGIN).partition(_ASKED_MID)[0]
    return said


def asked_words(command: str, prompt: str) -> str:
    """``command``: as it was typed."""
    return f"{_ASKED_BEGIN}{command}{_ASKED_MID}{prompt}{_ASKED_END}"
