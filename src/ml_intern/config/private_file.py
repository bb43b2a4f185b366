"""How a file of ours is written: all of it or nothing, for its owner alone."""

from __future__ import annotations

import contextlib
import os
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
