"""Files of this machine, as blocking functions: ``LocalWorkspace`` calls them in its threads."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ml_intern.compute.base import FileKind, FileStat, LinePage

BLOCK_BYTES = 1024 * 1024


def file_stat(path: Path) -> FileStat | None:
    """None when there is nothing at ``path``."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _as_stat(found)


def _as_stat(found: os.stat_result) -> FileStat:
    if stat.S_ISREG(found.st_mode):
        kind = FileKind.FILE
    else:
        kind = FileKind.DIRECTORY if stat.S_ISDIR(found.st_mode) else FileKind.OTHER
    return FileStat(kind=kind, size_bytes=found.st_size, mtime_ns=found.st_mtime_ns)


def read_bytes(path: Path, max_bytes: int | None) -> bytes:
    """The file, or its first ``max_bytes``."""
    with path.open("rb") as file:
        return file.read() if max_bytes is None else file.read(max_bytes)


def read_lines(path: Path, first: int, count: int, max_bytes: int) -> LinePage:
    """Lines ``first`` to ``first + count - 1``, at most ``max_bytes`` of them; of a longer line only its beginning."""
    lines: list[bytes] = []
    number, kept_bytes = 1, 0
    current = b""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            *whole, rest = block.split(b"\n")
            for piece in whole:
                if first <= number < first + count and kept_bytes < max_bytes:
                    lines.append((current + piece)[:max_bytes])
                    kept_bytes += len(lines[-1])
                current = b""
                number += 1
            current = (current + rest)[:max_bytes]
    if current and first <= number < first + count and kept_bytes < max_bytes:
        lines.append(current)
    return LinePage(lines=tuple(lines), first=first, total_lines=number if current else number - 1)


def write_atomic(path: Path, data: bytes) -> FileStat:
    """Replace the file in one step, keeping what belongs to it besides its bytes.

    Where the folder takes no new file (it is not ours, or the file itself is a mount point), the bytes are written in place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        before = path.stat()
    except FileNotFoundError:
        before = None
    try:
        return _replace(path, data, before)
    except OSError:
        if before is None:
            raise
        return _overwrite(path, data)


def _replace(path: Path, data: bytes, before: os.stat_result | None) -> FileStat:
    temporary = path.parent / f".ml-intern-{os.urandom(6).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(fd, "wb") as file:
            if before is not None:
                _keep_attributes(path, fd, before)
            file.write(data)
            file.flush()
            os.fsync(fd)
            written = os.fstat(fd)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return _as_stat(written)


def _keep_attributes(path: Path, fd: int, before: os.stat_result) -> None:
    now = os.fstat(fd)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        with contextlib.suppress(OSError):  # Only root may give files away; the group may still be ours to set.
            os.fchown(fd, -1, before.st_gid)
            os.fchown(fd, before.st_uid, -1)
    os.fchmod(fd, stat.S_IMODE(before.st_mode))  # After chown, which clears the set-user-id bits.
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(path):
                os.setxattr(fd, name, os.getxattr(path, name))


def _overwrite(path: Path, data: bytes) -> FileStat:
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
        return _as_stat(os.fstat(file.fileno()))


def list_names(path: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(os.listdir(path))


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, as far as that is possible."""
    import shutil

    shutil.rmtree(path, ignore_errors=True)
