"""What permission rules see of a shell line: each command it runs, also behind ``env``, ``sudo``, ``bash -c`` and their like."""

from __future__ import annotations

import re

from msgspec import Struct

from ml_intern.tools.base import PermissionSubject
from ml_intern.tools.bash.families import family
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
_SHOWING = frozenset({"sudo", "doas", "eval", "xargs", "watch", "chroot"})
"""Those of them whose command is looked at all the same."""
_MAX_DEPTH = 4
_GIT_WITH_VALUE = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--config-env", "--attr-source"})
_GIT_REDEFINES = r"alias\.|--config-env|--exec-path="
_UNKNOWN_CHARACTERS = r"[$`{*?\[]"


class _Seen(Struct):
    """What is found in a line. ``hidden``: allow rules cannot cover it. ``unknown``: see ``PermissionSubject``."""

    parts: list[str] = []
    unknown: list[str] = []
    hidden: bool = False

    def add(self, other: _Seen) -> None:
        self.parts += other.parts
        self.unknown += other.unknown
        self.hidden = self.hidden or other.hidden

    def hide_all(self) -> None:
        """More commands may run, of which nothing is known."""
        self.hidden = True
        self.unknown.append("")


def subject(line: str) -> PermissionSubject:
    """Each command of the line as normalised text: quotes removed, ``/usr/bin/rm`` as ``rm``, assignments apart."""
    seen = _in_line(line, 0)
    parts = tuple(dict.fromkeys(seen.parts)) or ("",)
    return PermissionSubject(
        parts=parts,
        simple=not seen.hidden and bool(seen.parts),
        unknown=tuple(dict.fromkeys(seen.unknown)),
        families=tuple(map(family, parts)),
    )


def _in_line(line: str, depth: int) -> _Seen:
    syntax = parse(line)
    seen = _Seen(hidden=syntax.hidden)
    if syntax.obscure:
        seen.hide_all()
    for command in syntax.commands:
        seen.add(_of_command(command, depth))
    return seen


def _of_command(command: SimpleCommand, depth: int) -> _Seen:
    words = list(command.words)
    seen = _Seen()
    while words and words[0].bare and words[0].text in _RESERVED:
        seen.hidden = seen.hidden or words[0].text not in ("!", "time")
        del words[: 2 if [word.text for word in words[:2]] == ["time", "-p"] else 1]
    while words and words[0].bare and re.match(_ASSIGNMENT, words[0].text):
        text = words.pop(0).text
        if not re.match(_HARMLESS_VARIABLES, text):
            seen.parts.append(text)
    if not words:
        return seen
    if words[0].bare and words[0].text in _CLOSING:
        seen.parts.append(_text(words))
        seen.hidden = True
        if words[0].text == "function":
            seen.hide_all()
        return seen
    seen.add(_of_words(words))
    if program(words[0].text) == "git":
        seen.add(_git_proper(words))
    seen.add(_behind(words, depth))
    return seen


def _of_words(words: list[Word]) -> _Seen:
    """The command itself, and how far it is known if the shell replaces parts of it."""
    seen = _Seen(parts=[_text(words)])
    if words[0].expands or words[0].globs:
        seen.hide_all()
    elif index := next((i for i, word in enumerate(words) if word.expands or (word.globs and word.bare)), 0):
        known = re.split(_UNKNOWN_CHARACTERS, words[index].text, maxsplit=1)[0]
        seen.unknown.append(f"{_text(words[:index])} {known}")
    return seen


def _git_proper(words: list[Word]) -> _Seen:
    """``git -C x push`` once more as ``git push``."""
    index = 1
    while index < len(words) and words[index].text.startswith("-"):
        index += 2 if words[index].text in _GIT_WITH_VALUE else 1
    if index == 1 or index >= len(words):
        return _Seen()
    seen = _of_words([words[0], *words[index:]])
    if any(re.match(_GIT_REDEFINES, word.text) for word in words[1:index]):
        seen.hide_all()
    return seen


def _behind(words: list[Word], depth: int) -> _Seen:
    """The commands that a command runs in its turn."""
    name, rest = program(words[0].text), words[1:]
    seen = _Seen()
    if name in _HIDING and (name not in ("find", "fd") or any(_executes(word) for word in rest)):
        seen.hidden = True
        if name not in _SHOWING:
            seen.hide_all()
    if depth >= _MAX_DEPTH:
        if name in _WRAPPERS or name in _SHELLS or name in _HIDING:
            seen.hide_all()
    elif name in _SHELLS:
        script = _script_of(rest)
        if script is not None:
            seen.add(_in_line(script.text, depth + 1))
            seen.hidden = True
        elif not (len(rest) == 1 and rest[0].text == "--version"):
            seen.hide_all()
    elif name == "eval":
        seen.add(_in_line(" ".join(word.text for word in rest), depth + 1))
    elif name in _WRAPPERS:
        seen.add(_wrapped(name, rest, depth))
    return seen


def _executes(word: Word) -> bool:
    return word.text in ("-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch")


def _script_of(words: list[Word]) -> Word | None:
    """What follows ``-c`` (also ``-lc``)."""
    for index, word in enumerate(words):
        if word.text.startswith("-") and not word.text.startswith("--") and "c" in word.text:
            return words[index + 1] if index + 1 < len(words) else None
    return None


def _wrapped(name: str, words: list[Word], depth: int) -> _Seen:
    index = 0
    guessed = False
    while index < len(words) and words[index].text.startswith("-"):
        known = words[index].text in _WRAPPERS[name]
        guessed = guessed or not (known or words[index].text in ("-", "--"))
        index += 2 if known else 1
    if name in _FIRST_IS_THEIRS:
        index += 1
    inner = words[index:]
    seen = _of_command(SimpleCommand(words=inner), depth + 1) if inner else _Seen()
    if name == "xargs":
        # What it reads follows, or with -I stands anywhere.
        replaces = any(re.match("-[Ii]|--replace", word.text) for word in words[:index])
        seen.unknown += [""] if replaces else [f"{part} " for part in seen.parts]
    if guessed:
        # The option may take a value, and then the command begins later.
        seen.unknown += [_text(inner[start:]) for start in range(1, len(inner))]
        seen.unknown += [""] if name == "env" and any(re.match("-[^-]*S|--split", word.text) for word in words[:index]) else []
    return seen


def program(word: str) -> str:
    """The program's name, whichever system folder it was taken from."""
    return re.sub(_SYSTEM_FOLDERS, "", word)


def _text(words: list[Word]) -> str:
    return " ".join([program(words[0].text), *(word.text for word in words[1:])])
