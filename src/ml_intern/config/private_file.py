"""How a file of ours is written: all of it or nothing, for its owner alone; and how processes take turns at it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Generator
from pathlib import Path

from ml_intern.config.paths import make_private


def replace_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put ``data`` where the file was. Readers see the old one or the new one, also when the machine loses power. Raises ``OSError``."""
    make_private(path.parent)
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def change_private(path: Path, change: Callable[[bytes | None], bytes | None], *, keep_mode: bool = False) -> bool:
    """Read, change and replace, one process and thread at a time: no change is lost to another. False when nothing was to be changed.

    ``change`` is given what the file holds, None where there is none; None from it leaves all as it is. Raises ``OSError``.
    """
    with taking_turns(path):
        try:
            before = path.read_bytes()
        except FileNotFoundError:
            before = None
        after = change(before)
        if after is None or after == before:
            return False
        mode = path.stat().st_mode & 0o777 if keep_mode and before is not None else 0o600
        replace_private(path, after, mode=mode)
        return True


@contextlib.contextmanager
def taking_turns(path: Path) -> Generator[None]:
    """One process at a time: for what is read, changed and written back. It waits, so call it in a thread. Raises ``OSError``."""
    make_private(path.parent)
    # beside the file, and never removed: the file itself is another one after each writing
    with open(os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def hold(path: Path) -> int | None:
    """Hold this lock file for as long as the process lives or until it is closed; None when another one holds it. Raises ``OSError``."""
    make_private(path.parent)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _still_there(path, fd):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # who held it before removed it meanwhile


def _still_there(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
