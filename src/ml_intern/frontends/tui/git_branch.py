"""The branch that a folder is on, as git keeps it. Reads two small files; starts no program."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ml_intern.config.brought_file import read_brought
from ml_intern.errors import ConfigError

SHORT_COMMIT = 8
MAX_BYTES = 4096


def branch_of(folder: Path) -> str:
    """Its name, the beginning of a commit where no branch is checked out, or empty outside a repository."""
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        with suppress(OSError, ConfigError):
            if git.is_dir():
                return _head(git)
            if git.is_file():  # a worktree or a submodule: the file says where the folder is
                return _head(parent / _text(git).partition("gitdir:")[2].strip())
    return ""


def _head(git: Path) -> str:
    """``HEAD`` holds ``ref: refs/heads/<branch>`` or a commit."""
    head = _text(git / "HEAD")
    return head.removeprefix("ref: refs/heads/") if head.startswith("ref:") else head[:SHORT_COMMIT]


def _text(path: Path) -> str:
    """Both are a line long."""
    data = read_brought(path, MAX_BYTES)
    return "" if data is None else data.decode("utf-8", "replace").strip()
