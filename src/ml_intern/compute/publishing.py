"""Whether code means to put something on the Hub: the one answer for hooks, warnings, events and tags."""

from __future__ import annotations

import re
import tokenize

_OFF = r"(?![\"']?\s*[=:]?\s*(?:false|none|null|0)\b)"
"""Not where it is turned off, in Python, JSON, YAML or on a command line."""
_WAYS = (
    rf"(?<![^\W_])(?<!no_)push_to_hub\w*\b{_OFF}"  # an argument, a flag, a method, also push_to_hub_merged and its like
    r"|\bupload_(?:file|folder|large_folder)\b|\bcreate_commit\b"
    r"|\b(?:hf|huggingface-cli)[\"']?[\s,]+[\"']?upload(?:-large-folder)?\b"  # a command line, or the list that it is made of
)
_GIT_PUSH = r"\bgit\b[^\n;&|]*\bpush\b"
_HUB = r"\b(?:hf\.co|huggingface\.co)\b"


def publishes(code: str) -> bool:
    """Of a script, or a command line, by what stands in it: what a library of its own does in silence is not seen.

    Comments of Python do not count. Strings do, because a command line may stand in one.
    """
    return _says(code) and _says(_without_comments(code))


def _says(code: str) -> bool:
    if re.search(_WAYS, code, re.IGNORECASE):
        return True
    return bool(re.search(_GIT_PUSH, code) and re.search(_HUB, code))


def _without_comments(code: str) -> str:
    """Whole, where it is no Python. A ``#`` within a word is left too: to a shell it is none."""
    lines = code.splitlines(keepends=True)
    try:
        tokens = list(tokenize.generate_tokens(iter([*lines, ""]).__next__))
    except (tokenize.TokenError, SyntaxError):
        return code
    if any(token.type == tokenize.ERRORTOKEN for token in tokens):
        return code
    for row, column in (token.start for token in tokens if token.type == tokenize.COMMENT):
        before = lines[row - 1][:column]
        if not before.strip() or before[-1].isspace():
            lines[row - 1] = f"{before}\n"
    return "".join(lines)
