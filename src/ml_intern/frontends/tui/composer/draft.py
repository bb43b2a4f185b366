"""What is being written survives a crash: a file per folder, gone when the text is sent."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ml_intern.config.private_file import replace_private

MAX_BYTES = 1_000_000


class Draft:
    """Reading and writing block: call them in a thread."""

    def __init__(self, folder: Path, cwd: Path) -> None:
        import hashlib  # loads OpenSSL

        self._path = folder / f"{hashlib.sha256(str(cwd).encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.txt"

    def load(self) -> str:
        """Empty when there is none."""
        try:
            with open(self._path, "rb") as file:
                return file.read(MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def save(self, text: str) -> None:
        """Readable for the user alone; an empty one removes the file."""
        with contextlib.suppress(OSError):
            if not text.strip():
                self._path.unlink(missing_ok=True)
                return
            replace_private(self._path, text.encode("utf-8", "replace")[:MAX_BYTES])
