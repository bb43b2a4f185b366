"""What permission rules see of a shell line: each command it runs, also behind ``env``, ``sudo``, ``bash -c`` and their like."""

from __future__ import annotations

import re

from ml_intern.tools.base import PermissionSubject
from ml_intern.tools.bash.shell_syntax import SimpleCommand, Word, parse

_ASSIGNMENT = r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^]]*\])?\+?="
_SYSTEM_FOLDERS = r"^/(?:usr/(?:local/)?)?s?bin/"
_RESERVED = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{", "time", "coproc"})
"""Words before a command that are no command."""
_CLOSING = frozenset({"fi", "done", "esac", "}", "for", "case", "select", "function", "[["})

_WRAPPERS = {
    "env": ("-u", "--unset", "-C", "--chdir"), "sudo": ("-u", "-g", "-h", "-p", "-C", "-T"),
    "doas": ("-u", "-C"), "nohup": (), "setsid": (),
    "nice": ("-n",), "ionice": ("-c", "-n", "-p"), "timeout": ("-s", "-k", "--signal", "--kill-after"), "stdbuf": ("-i", "-o", "-e"),
    "time": ("-f", "-o"), "command": (), "builtin": (), "exec": ("-a",), "xargs": ("-I", "-n", "-P", "-L", "-d", "-a", "-E", "-s"),
    "watch": ("-n", "--interval"), "chroot": (), "unbuffer": (), "strace": ("-o", "-e", "-p", "-s"),
    "flock": ("-w", "-E"), "caffeinate": ("-t", "-w"),
}  # fmt: skip
"""Programs that run the program named after them, with their options that take a value."""
_FIRST_IS_THEIRS = frozenset({"timeout", "chroot", "flock"})
_SHELLS = frozenset({"bash", "sh", "dash", "zsh", "ksh", "ash"})
_HIDING = frozenset({
    "eval", "source", ".", "xargs", "parallel", "ssh", "su", "watch", "trap", "alias", "enable", "script", "busybox", "chroot",
    "find", "fd",
    "sudo", "doas",
})  # fmt: skip
"""Programs that run what their arguments say; ``find`` and ``fd`` only with ``-exec`` and the like."""
_HARMLESS_VARIABLES = (
    r"(?:CUDA_VISIBLE_DEVICES|CUDA_LAUNCH_BLOCKING|[A-Z]+_NUM_THREADS|PYTHONUNBUFFERED|PYTHONHASHSEED|TOKENIZERS_PARALLELISM|NO_COLOR"
    r"|LC_[A-Z]+|LANG|TZ|WANDB_MODE|HF_HUB_OFFLINE|TRANSFORMERS_VERBOSITY|TF_CPP_MIN_LOG_LEVEL|PYTORCH_[A-Z_]+|NCCL_DEBUG)="
)
_MAX_DEPTH = 4


def subject(line: str) -> PermissionSubject:
    """Each command of the line as normalised text: quotes removed, ``/usr/bin/rm`` as ``rm``, assignments apart."""
    parts, hidden = _parts(line, 0)
    return PermissionSubject(parts=tuple(dict.fromkeys(parts)) or ("",), simple=not hidden)


def _parts(line: str, depth: int) -> tuple[list[str], bool]:
    syntax = parse(line)
    parts: list[str] = []
    hidden = syntax.hidden
    for command in syntax.commands:
        found, hides = _of_command(command, depth)
        parts += found
        hidden = hidden or hides
    return parts, hidden


def _of_command(command: SimpleCommand, depth: int) -> tuple[list[str], bool]:
    words = list(command.words)
    parts: list[str] = []
    hidden = False
    while words and words[0].bare and words[0].text in _RESERVED:
        hidden = hidden or words[0].text not in ("!", "time")
        words.pop(0)
    while words and words[0].bare and re.match(_ASSIGNMENT, words[0].text):
        text = words.pop(0).text
        if not re.match(_HARMLESS_VARIABLES, text):
            parts.append(text)
    if not words:
        return parts, hidden
    if words[0].bare and words[0].text in _CLOSING:
        return [*parts, _text(words)], True
    first = words[0]
    hidden = hidden or first.expands or first.globs
    found, hides = _behind(words, depth)
    return [*parts, _text(words), *found], hidden or hides


def _behind(words: list[Word], depth: int) -> tuple[list[str], bool]:
    """The commands that a command runs in its turn, and whether there may be more."""
    name, rest = program(words[0].text), words[1:]
    hidden = name in _HIDING and (name not in ("find", "fd") or any(_executes(word) for word in rest))
    if depth >= _MAX_DEPTH:
        return [], hidden or name in _WRAPPERS or name in _SHELLS
    if name in _SHELLS:
        script = _script_of(rest)
        if script is None:
            return [], not (len(rest) == 1 and rest[0].text == "--version")
        found, _ = _parts(script.text, depth + 1)
        return found, True
    if name == "eval":
        found, _ = _parts(" ".join(word.text for word in rest), depth + 1)
        return found, True
    if name in _WRAPPERS:
        inner = _inner_words(name, rest)
        if inner:
            found, hides = _of_command(SimpleCommand(words=inner), depth + 1)
            return found, hidden or hides
    return [], hidden


def _executes(word: Word) -> bool:
    return word.text in ("-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch")


def _script_of(words: list[Word]) -> Word | None:
    """What follows ``-c`` (also ``-lc``)."""
    for index, word in enumerate(words):
        if word.text.startswith("-") and not word.text.startswith("--") and "c" in word.text:
            return words[index + 1] if index + 1 < len(words) else None
    return None


def _inner_words(wrapper: str, words: list[Word]) -> list[Word]:
    with_value = _WRAPPERS[wrapper]
    index = 0
    while index < len(words) and words[index].text.startswith("-"):
        index += 2 if words[index].text in with_value else 1
    if wrapper in _FIRST_IS_THEIRS:
        index += 1
    return words[index:]


def program(word: str) -> str:
    """The program's name, whichever system folder it was taken from."""
    return re.sub(_SYSTEM_FOLDERS, "", word)


def _text(words: list[Word]) -> str:
    return " ".join([program(words[0].text), *(word.text for word in words[1:])])
