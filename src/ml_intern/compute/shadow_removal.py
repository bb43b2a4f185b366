"""Changing a file of the workspace without following a link on the way: what runs in the workspace may put one there meanwhile."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator
from pathlib import Path, PurePosixPath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DRAFT = ".ml-intern-rewind-"
"""How what is not yet in its place is called; the rest is random, made once for a shadow repository: no file of the user's has that name.

It is the same each time: what a killed process left is overwritten by the next.
"""


def remove_below(root: Path, path: str) -> bool:
    """Delete the file, and the folders above it that are empty then. False where it is gone, or lies behind a link. Raises ``OSError``."""
    *folders, name = PurePosixPath(path).parts
    with contextlib.ExitStack() as opened:
        try:
            chain = _enter(opened, root, folders)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            if _is_behind_link(root, folders):
                return False
            raise
        try:
            os.unlink(name, dir_fd=chain[-1])
        except FileNotFoundError:
            return False
        with contextlib.suppress(OSError):  # something else is in it
            for folder, above in zip(reversed(folders), reversed(chain[:-1]), strict=True):
                os.rmdir(folder, dir_fd=above)
        return True


def make_folder_below(root: Path, path: str) -> None:
    """The folder and those above it. Raises ``OSError``, for one where a link or a file is."""
    with contextlib.ExitStack() as opened:
        _enter(opened, root, list(PurePosixPath(path).parts), make=True)


def place_below(root: Path, path: str, source: Path, mode: int | None, draft: str) -> None:
    """Put a copy of ``source`` (a file or a link) in the place of what is there, at once. ``mode`` None: that of what is there.
    ``draft``: what it is called until then.

    An empty folder gives way; one with something in it does not. Raises ``OSError``.
    """
    *folders, name = PurePosixPath(path).parts
    with contextlib.ExitStack() as opened:
        within = _enter(opened, root, folders, make=True)[-1]
        there = _status(name, within)
        if there is not None and stat.S_ISDIR(there.st_mode):
            os.rmdir(name, dir_fd=within)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=within)
        with _undone(within, draft):
            if source.is_symlink():
                os.symlink(os.readlink(source), draft, dir_fd=within)
            else:
                _copy(source, within, draft, _mode(source, there, mode))
            os.replace(draft, name, src_dir_fd=within, dst_dir_fd=within)


def _copy(source: Path, within: int, draft: str, mode: int) -> None:
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=within)
    with open(fd, "wb") as file:
        file.write(source.read_bytes())  # bounded: no snapshot holds a large file
        file.flush()
        os.fchmod(file.fileno(), mode)


def _mode(source: Path, there: os.stat_result | None, mode: int | None) -> int:
    if mode is not None:
        return mode
    as_git_has_it = stat.S_IMODE(source.stat().st_mode)
    if there is None or not stat.S_ISREG(there.st_mode):
        return as_git_has_it
    runs = 0o111 if as_git_has_it & stat.S_IXUSR else 0
    return (stat.S_IMODE(there.st_mode) & ~0o111) | (runs & (stat.S_IMODE(there.st_mode) >> 2 | stat.S_IXUSR))


@contextlib.contextmanager
def _undone(within: int, draft: str) -> Generator[None]:
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=within)
        raise


def _enter(opened: contextlib.ExitStack, root: Path, folders: list[str], *, make: bool = False) -> list[int]:
    """The root and the folders below it, opened one in the other."""
    chain: list[int] = []
    for name in (root, *folders):
        within = chain[-1] if chain else None
        if make and within is not None:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=within)
        chain.append(os.open(name, _FOLDER, dir_fd=within))
        opened.callback(os.close, chain[-1])
    return chain


def _status(name: str, within: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=within, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_behind_link(root: Path, folders: list[str]) -> bool:
    return any(root.joinpath(*folders[: count + 1]).is_symlink() for count in range(len(folders)))
