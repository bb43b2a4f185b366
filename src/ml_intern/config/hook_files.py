"""Files of a project that its hooks name: they run outside the sandbox with the hook, so they are trusted with it, or not.

Only what a command line names is found, as a shell would write it: ``./scripts/check.sh``, ``python tools/guard.py``,
``"$CLAUDE_PROJECT_DIR"/x``. What such a file reads, sources or imports in its turn cannot be known.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ml_intern.config.brought_file import read_brought
from ml_intern.config.json_values import Json
from ml_intern.errors import ConfigError

MAX_BYTES = 16 * 1024 * 1024
MAX_FILES = 200
_BETWEEN_WORDS = re.compile(r"[\s;&|<>()=,`]+")
_FOLDER = re.compile(r"\$\{?(?:CLAUDE_PROJECT_DIR|ML_INTERN_PROJECT_DIR|PWD)\}?")


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


def hook_files(hooks: Json, folder: Path, cwd: Path) -> tuple[Path, ...]:
    """Those of them that are there, by the names that lead to them. Hooks run in ``cwd``. Blocks."""
    found: dict[Path, None] = {}
    for command in commands_in(hooks):
        for path in _named(command, folder, cwd):
            found[path] = None
    return tuple(sorted(found))[:MAX_FILES]


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


def _named(command: str, folder: Path, cwd: Path) -> Iterator[Path]:
    bases = list(dict.fromkeys((folder, cwd)))
    words = [word for word in _BETWEEN_WORDS.split(re.sub(r"[\"'\\]", "", command)) if word]
    for word in words:
        for base in tuple(bases):
            path = Path(os.path.normpath(base / _FOLDER.sub(lambda _, base=base: str(base), word)))
            if not path.is_relative_to(folder) or path == folder:
                continue
            mode = _mode(path)
            if stat.S_ISDIR(mode):
                bases.append(path)  # ``cd scripts && ./check.sh``
            elif stat.S_ISREG(mode):
                yield path


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0
