"""What a project and a user tell every agent: ``AGENTS.md`` (https://agents.md), ``CLAUDE.md`` where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from ml_intern.config.brought_file import read_brought
from ml_intern.errors import ConfigError

NAMES = ("AGENTS.md", "CLAUDE.md")
MAX_BYTES = 32 * 1024
"""Of all files together: what is over it is left out, farthest first, and said to be."""


class Instructions(Struct, frozen=True):
    """One file; ``cut`` when only its beginning is there."""

    path: Path
    text: str
    cut: bool = False


def nobody_hears(_: str) -> None:
    """For those who do not tell what was passed over."""


def find_instructions(cwd: Path, user_dir: Path, tell: Callable[[str], None] = nobody_hears) -> tuple[Instructions, ...]:
    """From ``cwd`` up to the project's root, nearest first, then the user's own. Unreadable and empty files are passed over.

    ``tell`` hears of what is there and is no plain file of that folder. Blocks.
    """
    found: list[Instructions] = []
    left = MAX_BYTES
    up = folders_up(cwd)
    for folder, project in (*((folder, up[-1]) for folder in up), (user_dir, None)):
        if (file := _first(folder, project, tell)) is None:
            continue
        data = file[1][:left]
        if text := data.decode("utf-8", "ignore").strip():
            found.append(Instructions(file[0], text, cut=len(data) < len(file[1])))
        left -= len(data)
        if left <= 0:
            break
    return tuple(found)


def folders_up(cwd: Path) -> tuple[Path, ...]:
    """``cwd`` and its parents up to the project's root (with ``.git``); only ``cwd`` in no project, or where the owner changes."""
    passed: list[Path] = []
    try:
        owner = cwd.stat().st_uid
        for folder in (cwd, *cwd.parents):
            if folder.stat().st_uid != owner:
                break
            passed.append(folder)
            if (folder / ".git").exists():
                return tuple(passed)
    except OSError:
        pass
    return (cwd,)


def read_instructions(path: Path, user_dir: Path, limit: int) -> bytes | None:
    """One of the files that ``find_instructions`` looks for. See ``read_brought``."""
    return read_brought(path, limit, None if path.parent == user_dir else folders_up(path.parent)[-1])


def _first(folder: Path, project: Path | None, tell: Callable[[str], None]) -> tuple[Path, bytes] | None:
    for name in NAMES:
        try:
            data = read_brought(folder / name, MAX_BYTES + 1, project)
        except ConfigError as error:
            tell(error.message)
            continue
        if data is not None and data.strip():
            return folder / name, data
    return None
