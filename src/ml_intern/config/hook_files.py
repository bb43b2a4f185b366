"""Files of a project that its hooks run: they run outside the sandbox with the hook, so they are trusted with it, or not.

Only what a command line says is found, as a shell would read it (``hook_lines``): ``./scripts/check.sh``, ``python -m tools.guard``,
``make guard``; and what the text of such a file runs, sources or imports by name (``hook_loads``), and so on.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ml_intern.config.brought_file import read_brought
from ml_intern.config.hook_lines import HOME, ROOT, Unclear, Word, read_line
from ml_intern.config.hook_loads import sources
from ml_intern.config.json_values import Json
from ml_intern.errors import ConfigError

MAX_BYTES = 16 * 1024 * 1024
SCANNED_BYTES = 1024 * 1024
MAX_FILES = 200
MAX_BASES = 20
MAX_UNCLEAR = 10
_PROGRAMS = frozenset(
    [
        ".sh",
        ".bash",
        ".zsh",
        ".fish",
        ".py",
        ".pyz",
        ".js",
        ".mjs",
        ".cjs",
        ".ts",
        ".mts",
        ".rb",
        ".pl",
        ".pm",
        ".php",
        ".lua",
        ".awk",
        ".r",
        ".R",
        ".jl",
        ".ps1",
        ".jar",
        ".exe",
        ".mk",
        ".tcl",
        ".go",
        ".rs",
    ]
)


def commands_in(hooks: Json) -> Iterator[str]:
    """Every command line, however deep it stands."""
    if isinstance(hooks, list):
        for item in hooks:
            yield from commands_in(item)
    elif isinstance(hooks, dict):
        for key, item in hooks.items():
            if key == "command" and isinstance(item, str):
                yield item
            else:
                yield from commands_in(item)


class HookFiles(NamedTuple):
    """``unclear``: what of the files' own words cannot be told, as ``file: words``."""

    files: tuple[Path, ...]
    unclear: tuple[str, ...]


def hook_files(hooks: Json, folder: Path) -> tuple[Path, ...]:
    """Those of them that are there, by the names that lead to them. Hooks of a project run in its ``folder``. Blocks."""
    return look_through(hooks, folder).files


def look_through(hooks: Json, folder: Path) -> HookFiles:
    """The files that hooks run, and those that these run, to the last one. Blocks."""
    found: dict[Path, None] = {}
    unclear: dict[str, None] = {}
    for command in commands_in(hooks):
        words = [word for word in read_line(command) if not isinstance(word, Unclear)]
        found |= dict.fromkeys(path for path in _named(words, [folder], folder, _looks_like_program))
    ahead = list(found)
    while ahead and len(found) <= MAX_FILES:
        path = ahead.pop()
        read = list(_sources(path, folder))
        words = [word for word in read if not isinstance(word, Unclear)]
        fresh = dict.fromkeys(each for each in _named(words, [folder, path.parent], folder, _executable) if each not in found)
        found |= fresh
        ahead += fresh
        unclear |= dict.fromkeys(f"{os.path.relpath(path, folder)}: {each.text}" for each in read if isinstance(each, Unclear))
    if len(found) > MAX_FILES:
        unclear[f"more than {MAX_FILES} files"] = None
    return HookFiles(tuple(sorted(found))[:MAX_FILES], tuple(unclear)[:MAX_UNCLEAR])


def _sources(path: Path, folder: Path) -> Iterator[Word | Unclear]:
    try:
        data = read_brought(path, SCANNED_BYTES)
    except ConfigError:
        data = None
    return sources(path, data, folder) if data is not None else iter(())


def unclear_lines(hooks: Json) -> tuple[str, ...]:
    """Command lines of which it cannot be told which files they run."""
    lines = dict.fromkeys(commands_in(hooks))
    return tuple(line for line in lines if any(isinstance(each, Unclear) for each in read_line(line)))


def file_digests(files: tuple[Path, ...], folder: Path) -> dict[str, str]:
    """What each holds, by its name in the project."""
    import hashlib  # loads OpenSSL

    digests: dict[str, str] = {}
    for path in files:
        try:
            data = read_brought(path, MAX_BYTES)
        except ConfigError:
            data = None
        digests[os.path.relpath(path, folder)] = "" if data is None else hashlib.sha256(data).hexdigest()
    return digests


def _named(words: list[Word], bases: list[Path], folder: Path, runs: Callable[[Path, int], bool]) -> Iterator[Path]:
    """What the words run; ``runs`` says it of a file, by its mode, that a program may only be given to read."""
    words = list(dict.fromkeys(words))
    for word in words:
        for base in tuple(bases) if len(bases) < MAX_BASES else ():  # ``cd scripts && ./check.sh``, ``make -C tools``
            bases += (path for path in _paths(word.text, base, folder) if path not in bases and stat.S_ISDIR(_mode(path)))
    for word, base in itertools.product(words, bases):
        for path in _paths(word.text, base, folder):
            mode = _mode(path)
            if stat.S_ISREG(mode) and (word.runs or runs(path, mode)):
                yield path


def _paths(word: str, base: Path, folder: Path) -> Iterator[Path]:
    """What a word names in the project, patterns for the shell included."""
    text = word.replace(ROOT, str(folder)).replace(HOME, os.path.expanduser("~"))
    path = os.path.normpath(base / text)
    names = (path,)
    if re.search(r"[*?\[]", text) and not os.path.lexists(path):
        names = tuple(itertools.islice(glob.iglob(os.path.normpath(base / text)), MAX_FILES))
    for each in map(Path, names):
        if each.is_relative_to(folder) and each != folder:
            yield each


def _executable(_: Path, mode: int) -> bool:
    return bool(mode & 0o111)


def _looks_like_program(path: Path, mode: int) -> bool:
    if mode & 0o111 or path.suffix in _PROGRAMS:
        return True
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
