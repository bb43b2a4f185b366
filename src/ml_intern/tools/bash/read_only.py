"""Which shell lines are known to change nothing: a short list of programs, with the flags that make them write left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from ml_intern.tools.bash.command_parts import program
from ml_intern.tools.bash.shell_syntax import SimpleCommand, Word, parse

Check: TypeAlias = Callable[[list[str]], bool]
"""Says of the arguments whether the program only reads with them."""

_ANY_ARGUMENTS = frozenset({
    "ls", "cat", "head", "tail", "wc", "pwd", "cd", "echo", "true", "false", "test", "[", "stat", "du", "df", "free", "uptime", "uname",
    "whoami",
    "id", "groups", "nproc", "lscpu", "lsmem", "basename", "dirname", "realpath", "readlink", "which", "type", "cut", "tr", "nl", "tac",
    "rev", "comm", "cmp", "md5sum", "sha1sum", "sha256sum", "sha512sum", "b2sum", "cksum", "seq", "arch", "printenv", "getconf", "ps",
    "pgrep", "grep", "egrep", "fgrep", "zgrep", "diff", "jq", "strings", "hexdump", "od",
})  # fmt: skip
_VERSION_ONLY = frozenset({
    "node", "npm", "cargo", "rustc", "go", "make", "cmake", "gcc", "g++", "clang", "nvcc", "ruff", "pytest", "bash", "git-lfs", "ffmpeg",
    "java",
    "docker", "hf", "torchrun", "accelerate", "deepspeed", "rg", "jq",
})  # fmt: skip
_VERSION_FLAGS = frozenset({"--version", "-V", "-version"})
_SED_PRINT = r"(?:\d+|\$)(?:,(?:\d+|\$))?p(?:;(?:\d+|\$)(?:,(?:\d+|\$))?p)*"
_FIND_WRITES = ("-exec", "-execdir", "-ok", "-okdir", "-delete", "-fprint", "-fprint0", "-fprintf", "-fls")
_GPU_QUERIES = (
    "-q",
    "--query",
    "-L",
    "--list-gpus",
    "-i",
    "--id",
    "-h",
    "--help",
    "-d",
    "--display",
    "--format",
    "-x",
    "--xml-format",
    "topo",
)


def is_read_only(line: str, *, trust_path: Callable[[str], bool] | None) -> bool:
    """Whether every command of the line is known only to read.

    ``trust_path`` judges each argument when no sandbox guards the credentials; None when one does.
    """
    syntax = parse(line)
    if syntax.hidden or syntax.background or not syntax.commands:
        return False
    return all(_reads(command, trust_path) for command in syntax.commands)


def _reads(command: SimpleCommand, trust_path: Callable[[str], bool] | None) -> bool:
    if command.writes or not command.words or any(word.expands for word in command.words):
        return False
    name, words = program(command.words[0].text), command.words[1:]
    arguments = [word.text for word in words]
    if name == "git" and trust_path is not None:  # The repository's own configuration names programs that even ``git status`` runs.
        return False
    # For the others a flag decides, and a pattern could expand to the name of a file that is spelt like a flag.
    if name not in _ANY_ARGUMENTS and (any(word.globs and word.bare for word in words) or not _check(name, arguments)):
        return False
    # Last, because it looks at the disk.
    return trust_path is None or (trust_path(".") and all(_is_trusted(word, trust_path) for word in words))


def _is_trusted(word: Word, trust_path: Callable[[str], bool]) -> bool:
    if word.globs and word.bare:
        return False
    if word.text.startswith("-"):
        return "/" not in word.text and "~" not in word.text
    return trust_path(word.text)


def _check(name: str, arguments: list[str]) -> bool:
    if check := _CHECKS.get(name):
        return check(arguments)
    return name in _VERSION_ONLY and len(arguments) == 1 and arguments[0] in _VERSION_FLAGS


def _without(*flags: str) -> Check:
    """True when none of the flags is there: also not as ``--flag=value``, nor a short one among others (``-xo``)."""
    long = tuple(flag for flag in flags if flag.startswith("--"))
    short = "".join(flag[1] for flag in flags if not flag.startswith("--"))

    def check(arguments: list[str]) -> bool:
        for argument in arguments:
            # Long options may be abbreviated as long as they are unambiguous.
            if argument.startswith("--") and len(argument) > 2 and any(flag.startswith(argument.partition("=")[0]) for flag in long):
                return False
            if argument.startswith("-") and not argument.startswith("--") and any(letter in short for letter in argument[1:]):
                return False
        return True

    return check


def _find(arguments: list[str]) -> bool:
    return not any(argument in _FIND_WRITES for argument in arguments)


def _sed(arguments: list[str]) -> bool:
    return len(arguments) >= 2 and arguments[0] == "-n" and bool(re.fullmatch(_SED_PRINT, arguments[1])) and not _flags(arguments[2:])


def _uniq(arguments: list[str]) -> bool:
    return len(arguments) - len(_flags(arguments)) <= 1


def _nvidia_smi(arguments: list[str]) -> bool:
    return all(not flag.startswith("-") or flag.partition("=")[0] in _GPU_QUERIES or flag.startswith("--query-") for flag in arguments)


def _python(arguments: list[str]) -> bool:
    return len(arguments) == 1 and arguments[0] in ("--version", "-V", "-VV")


def _first_is(*names: str) -> Check:
    return lambda arguments: bool(arguments) and arguments[0] in names


def _uv(arguments: list[str]) -> bool:
    return arguments[:1] == ["--version"] or (
        arguments[:1] == ["pip"] and _first_is("list", "show", "freeze", "tree", "check")(arguments[1:])
    )


def _date(arguments: list[str]) -> bool:
    return all(argument.startswith("+") or argument in ("-u", "-R", "-I", "--utc") for argument in arguments)


def _flags(arguments: Iterable[str]) -> list[str]:
    return [argument for argument in arguments if argument.startswith("-")]


_GIT_ANY = frozenset({
    "status", "log", "diff", "show", "rev-parse", "describe", "ls-files", "ls-tree", "blame", "shortlog", "cat-file", "rev-list",
    "name-rev",
    "merge-base", "whatchanged", "check-ignore", "count-objects", "diff-tree", "for-each-ref", "show-ref", "version",
})  # fmt: skip
_GIT_LISTS: dict[str, Check] = {
    "branch": lambda a: all(x in ("-a", "-r", "-v", "-vv", "--list", "--show-current", "--all", "--remotes") for x in a),
    "tag": lambda a: all(x in ("-l", "--list", "-n") for x in a),
    "remote": lambda a: a in ([], ["-v"], ["--verbose"]) or a[0] == "get-url",
    "stash": lambda a: a[:1] in (["list"], ["show"]),
    "worktree": lambda a: a[:1] == ["list"],
    "config": lambda a: bool(a) and a[0] in ("--get", "--get-all", "--list", "-l", "get", "list"),
    "reflog": lambda a: a[:1] == ["show"] or all(x.startswith("-") for x in a),
    "grep": lambda a: not any(x.startswith(("-O", "--open-files-in-pager")) for x in a),
}
_git_output = _without("--output", "--ext-diff", "--textconv", "--output-directory", "--filters")


def _git(arguments: list[str]) -> bool:
    rest = list(arguments)
    while rest and rest[0] in ("--no-pager", "-C", "-P"):
        del rest[: 2 if rest[0] == "-C" else 1]
    if rest == ["--version"]:
        return True
    if not rest or any(_abbreviates(argument) for argument in rest):
        return False
    return rest[0] in _GIT_ANY or (rest[0] in _GIT_LISTS and _GIT_LISTS[rest[0]](rest[1:]))


def _abbreviates(argument: str) -> bool:
    return argument.startswith("--") and len(argument) > 2 and not _git_output([argument])


_CHECKS: dict[str, Check] = {
    "git": _git,
    "find": _find,
    "rg": _without("--pre", "--hostname-bin"),
    "sort": _without("-o", "--output", "--compress-program", "-T", "--temporary-directory"),
    "uniq": _uniq,
    "sed": _sed,
    "tree": _without("-o", "-R"),
    "file": _without("-C", "--compile"),
    "date": _date,
    "env": lambda arguments: arguments == [],
    "hostname": lambda arguments: arguments == [],
    "nvidia-smi": _nvidia_smi,
    "python": _python,
    "python3": _python,
    "pip": _first_is("list", "show", "freeze", "check", "--version", "-V"),
    "pip3": _first_is("list", "show", "freeze", "check", "--version", "-V"),
    "uv": _uv,
    "conda": _first_is("list", "info", "--version"),
}
