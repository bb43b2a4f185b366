"""Whether code means to put something on the Hub: the one answer for hooks, warnings, events and tags."""

from __future__ import annotations

import re
import tokenize
from itertools import islice

_OFF = r"(?![\"']?\s*(?:[=:]\s*)?(?:false|none|null|0)\b)"
"""Not where it is turned off, in Python, JSON, YAML or on a command line."""
_GAP = r"[\"']?[\s,\\]+[\"']?"
"""Between two words of a command line, or of the list that it is made of."""
_OPTIONS = rf"(?:{_GAP}-[^\s\"',]+(?:{_GAP}[^\s\"',;&|-][^\s\"',;&|]*)?){{0,8}}?"
_WAYS = (
    rf"(?<![^\W_])(?<!no[_-])push[_-]to[_-]hub\w*\b{_OFF}"  # an argument, a flag, a method, also push_to_hub_merged and its like
    r"|\bupload_(?:file|folder|large_folder)\b|\bcreate_commit\b|\bCommitScheduler\s*\("
    rf"|\b(?:hf|huggingface-cli){_OPTIONS}{_GAP}upload(?:-large-folder)?\b"
    r"|\bto\s+\\?[\"']hf://"  # COPY … TO
)
_COMMAND_ENDS = r"[\n;&|]"
_HUB = r"\b(?:hf\.co|huggingface\.co)\b"

_HUB_FILES = r"HfFileSystem\b|\bfilesystem\(\s*[\"']hf[\"']"
_HUB_PATH = r"hf://"
_NAMED = (
    r"^[ \t]*(?:\w+;[ \t]*)?([A-Za-z_]\w*)(?:[ \t]*:[ \t]*\w+)?[ \t]*=[ \t]*\(?[rfRF]{0,2}[\"']hf://[^\"'\n]*[\"'][ \t]*(?:[;#)+/%.]|$)"
    rf"|\b([A-Za-z_]\w*)\s*=\s*(?:\w+\.)*(?:{_HUB_FILES})"
)
"""A name for a place on the Hub, or for its file system."""
_WRITES = r"\b(?:to_|write|save|sink|dump|put|pipe|upload)\w{0,40}\s*\(|\.write\.(?:\w+\([^()]*\)\.)*\w+\("
_OPENS = r"open\w{0,40}\s*\("
_CHANGES = r"\.(?:cp|copy|mv|move|touch|rename)\w{0,40}\s*\("
_WRITE_MODE = r"[\"'](?:[bt]*[wax][bt+]*|r[bt]*\+[bt]*)[\"']"
_OWNER_MAX, _CALL_MAX, _NAMES_MAX = 200, 1_000, 50
"""Characters before a call and within it that are looked at, and names: a script that is made to be slow to read is none the slower."""


def publishes(code: str) -> bool:
    """Of a script, or a command line, by what stands in it: what a library of its own does in silence is not seen.

    Comments of Python do not count. Strings do, because a command line may stand in one.
    """
    return _says(code) and _says(_without_comments(code))


def _says(code: str) -> bool:
    if re.search(_WAYS, code, re.IGNORECASE):
        return True
    return bool(re.search(_HUB, code) and _git_pushes(code)) or _writes_to_hub(code)


def _git_pushes(code: str) -> bool:
    """One search for each word in each command: a pattern of both would look again from each ``git`` of a long line."""
    for command in re.split(_COMMAND_ENDS, code):
        git = re.search(r"\bgit\b", command)
        if git and re.search(r"\bpush\b", command[git.end() :]):
            return True
    return False


def _writes_to_hub(code: str) -> bool:
    """Through the Hub's file system, or to a path on it. Where a call both reads and writes it counts: which is the Hub is not clear."""
    if not re.search(f"{_HUB_PATH}|{_HUB_FILES}", code):
        return False
    found = (name for match in re.finditer(_NAMED, code, re.MULTILINE) for name in match.groups() if name)
    names = islice(dict.fromkeys(found), _NAMES_MAX)
    files = "|".join([_HUB_FILES, *(rf"\b{name}\b" for name in names)])
    owner = re.compile(rf"(?:{files})(?:\([^()]*\))?\s*$")
    hub = re.compile(f"{_HUB_PATH}|{files}")
    for call in re.finditer(f"{_WRITES}|{_OPENS}|{_CHANGES}", code):
        inside = _inside(code, call.end())
        on_hub = bool(owner.search(code[max(0, call.start() - _OWNER_MAX) : call.start()].removesuffix(".")))
        if not on_hub and (re.fullmatch(_CHANGES, call.group()) or not hub.search(inside)):
            continue
        if not re.fullmatch(_OPENS, call.group()) or re.search(_WRITE_MODE, inside):
            return True
    return False


def _inside(code: str, start: int) -> str:
    """What stands between the brackets of a call, which open before ``start``."""
    depth, most = 1, start + _CALL_MAX
    for bracket in re.compile(r"[()]").finditer(code, start, most):
        depth += 1 if bracket.group() == "(" else -1
        if not depth:
            return code[start : bracket.start()]
    return code[start:most]


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
