"""A file that a folder brings along, read because it is there and not because somebody asked.

The folder may be a stranger's: what looks like a file may be a link to a key of the user's, a pipe that never ends, or a device.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ml_intern.errors import ConfigError

_TEXTS = frozenset({".md", ".mdc", ".txt"})
"""What a link in a project may lead to: ``CLAUDE.md -> AGENTS.md`` is common, ``AGENTS.md -> .env`` would tell the model a key."""


def read_brought(path: Path, limit: int, project: Path | None = None) -> bytes | None:
    """At most ``limit`` bytes; None where there is no file, or we may not read it. Blocks, but waits for nobody.

    ``project``: links must stay in that folder and lead to a text; None for a file of the user's own, which may lie anywhere.
    Raises ``ConfigError`` for what is there and is not read, with the reason.
    """
    try:
        real = os.path.realpath(path)
        if project is not None and real != os.path.join(os.path.realpath(project), os.path.relpath(path, project)):
            _check_link(path, Path(real), project)
        return _regular(real, limit, os.O_NOFOLLOW)
    except IsADirectoryError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ESPIPE):
            raise ConfigError(f"{path} was not read: it is no regular file.") from error
        return None


def read_named(path: Path, limit: int) -> bytes:
    """At most ``limit`` bytes of a file that somebody named. Blocks, but waits for nobody. Raises ``OSError``, also for a pipe."""
    return _regular(str(path), limit)


def _regular(path: str, limit: int, flags: int = 0) -> bytes:
    # Not blocking: the end of a pipe that nobody writes to would never come.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.ESPIPE, "it is no regular file")
        data = bytearray()
        while len(data) < limit and (chunk := os.read(fd, limit - len(data))):
            data += chunk
        return bytes(data)
    finally:
        os.close(fd)


def _check_link(path: Path, real: Path, project: Path) -> None:
    if not real.is_relative_to(os.path.realpath(project)):
        raise ConfigError(f"{path} was not read: it is a link that leads out of the project, to {real}.")
    if not (real.suffix.lower() in _TEXTS or (path.name == ".env" and ".env" in real.name)):
        raise ConfigError(f"{path} was not read: it is a link to {real.name}, which is no text for it.")
