"""Files of a project that its hooks run: they run outside the sandbox with the hook, so they are trusted with it, or not.

Only what a command line says is found, as a shell would read it (``hook_lines``): ``./scripts/check.sh``, ``python -m tools.guard``,
``make guard``. What such a file reads, sources or imports in its turn cannot be known.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ml_intern.config.brought_file import read_brought
from ml_intern.config.hook_lines import HOME, ROOT, Unclear, read_line
from ml_intern.config.json_values import Json
from ml_intern.errors import ConfigError

MAX_BYTES = 16 * 1024 * 1024
MAX_FILES = 200
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


def hook_files(hooks: Json, folder: Path) -> tuple[Path, ...]:
    """Those of them that are there, by the names that lead to them. Hooks of a project run in its ``folder``. Blocks."""
    found: dict[Path, None] = {}
    for command in commands_in(hooks):
        for path in _named(command, folder):
            found[path] = None
    return tuple(sorted(found))[:MAX_FILES]


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


def _named(command: str, folder: Path) -> Iterator[Path]:
    words = [word for word in read_line(command) if not isinstance(word, Unclear)]
    bases = [folder]
    for word in words:
        for base in tuple(bases):  # ``cd scripts && ./check.sh``, ``make -C tools``
            bases += (path for path in _paths(word.text, base, folder) if path not in bases and stat.S_ISDIR(_mode(path)))
    for word, base in itertools.product(words, bases):
        for path in _paths(word.text, base, folder):
            mode = _mode(path)
            if stat.S_ISREG(mode) and (word.runs or _is_program(path, mode)):
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


def _is_program(path: Path, mode: int) -> bool:
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
