"""Files of a project that its hooks run: they run outside the sandbox with the hook, so they are trusted with it, or not.

Only what a command line says is found, as a shell would read it (``hook_lines``): ``./scripts/check.sh``, ``python -m tools.guard``,
``make guard``; and what the text of such a file runs, sources or imports by name (``hook_loads``), and so on.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ml_intern.config.brought_file import read_brought
from ml_intern.config.hook_lines import Unclear, Word, read_line
from ml_intern.config.hook_loads import SCANNED_BYTES, sources
from ml_intern.config.hook_paths import Looking
from ml_intern.config.json_values import Json
from ml_intern.errors import ConfigError

MAX_BYTES = 16 * 1024 * 1024
MAX_FILES = 1000
"""More are not watched, and then none is trusted: a change in one that is left out would go unnoticed."""
MAX_UNCLEAR = 10
MAX_KNOWN = 4 * MAX_FILES
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
    """``files``: the first are those that the lines themselves name. ``unclear``: what of the files' own words cannot be told, as
    ``file: words``. ``complete``: no bound was reached, so nothing that can be told is left out."""

    files: tuple[Path, ...]
    unclear: tuple[str, ...]
    complete: bool


class HookReader:
    """Finds the files that hooks run, and those that these run, to the last one. Methods block.

    What a text names is remembered by the text itself: asked again, as before each run of a hook, only the files are read again. A name
    that leads to no file yet is looked for each time.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Path, Path, bytes], tuple[Word | Unclear, ...]] = {}

    def files(self, hooks: Json, folder: Path) -> HookFiles:
        """Those of them that are there, by the names that lead to them. Hooks of a project run in its ``folder``."""
        found: dict[Path, None] = {}
        unclear: dict[str, None] = {}
        looking = Looking(folder)
        for command in commands_in(hooks):
            words = [word for word in read_line(command) if not isinstance(word, Unclear)]
            found |= dict.fromkeys(looking.named(words, [folder], _looks_like_program))
        ahead = deque(found)
        while ahead and len(found) <= MAX_FILES:
            path = ahead.popleft()
            read = self._sources(path, folder)
            words = [word for word in read if not isinstance(word, Unclear)]
            fresh = dict.fromkeys(each for each in looking.named(words, [folder, path.parent], _executable) if each not in found)
            found |= fresh
            ahead += fresh
            unclear |= dict.fromkeys(f"{os.path.relpath(path, folder)}: {each.text}" for each in read if isinstance(each, Unclear))
        missed = [f"more than {MAX_FILES} files"] if len(found) > MAX_FILES else []
        missed += looking.missed
        return HookFiles(tuple(found), (*missed, *unclear)[:MAX_UNCLEAR], not missed)

    def _sources(self, path: Path, folder: Path) -> tuple[Word | Unclear, ...]:
        import hashlib  # loads OpenSSL

        try:
            data = read_brought(path, SCANNED_BYTES + 1)
        except ConfigError:
            data = None
        if data is None:
            return ()
        key = (path, folder, hashlib.sha256(data).digest())
        if key not in self._known:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = tuple(sources(path, data, folder))
        return self._known[key]


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
