"""Parsed papers on disk: bounded by number and bytes, oldest use first; a broken file is as good as none."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from ml_intern.config.private_file import replace_private
from ml_intern.gateways.arxiv_id import ArxivId
from ml_intern.gateways.paper import Paper

MOST_FILES = 300
MOST_BYTES = 100 * 1024 * 1024
_FORMAT = "1"
"""Part of the file names: what an older parser made is not read again."""


class KeptPaper(Struct, frozen=True, kw_only=True):
    """``source`` names where the text is from; ``notes`` say what is missing or weaker; ``fetched_at`` is in epoch seconds.

    ``keep_s``: how long it is used without asking again. ``etag`` is that of the page, empty when it has none.
    """

    paper: Paper
    source: str
    url: str
    notes: tuple[str, ...] = ()
    etag: str = ""
    fetched_at: float = 0.0
    keep_s: float = 0.0

    def fresh(self, now: float) -> bool:
        """Whether it may be used without asking the source."""
        return 0 <= now - self.fetched_at < self.keep_s


class PaperCache:
    """A file a paper. All methods work in a thread; a folder that cannot be written only costs time."""

    def __init__(self, folder: Path, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_files = most_files
        self._most_bytes = most_bytes

    async def load(self, paper_id: ArxivId) -> KeptPaper | None:
        """What is kept, or None."""
        return await asyncio.to_thread(self._load, self._path(paper_id))

    async def store(self, paper_id: ArxivId, kept: KeptPaper) -> None:
        """Keep it, and drop what was not used for longest when there is too much."""
        await asyncio.to_thread(self._store, self._path(paper_id), kept)

    def _path(self, paper_id: ArxivId) -> Path:
        return self._folder / f"{paper_id.file_name}.{_FORMAT}.msgpack"

    def _load(self, path: Path) -> KeptPaper | None:
        try:
            data = path.read_bytes()
            os.utime(path)
            return msgspec.msgpack.decode(data, type=KeptPaper)
        except OSError:
            return None
        except msgspec.MsgspecError:
            with contextlib.suppress(OSError):
                path.unlink()
            return None

    def _store(self, path: Path, kept: KeptPaper) -> None:
        with contextlib.suppress(OSError):
            replace_private(path, msgspec.msgpack.encode(kept))
            self._trim(path)

    def _trim(self, newest: Path) -> None:
        files: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                stat = path.stat()
                files.append((0.0 if path == newest else -stat.st_mtime, stat.st_size, path))
        files.sort(key=lambda file: (file[2] != newest, file[0]))
        total = 0
        for count, (_, size, path) in enumerate(files, 1):
            total += size
            if count > self._most_files or (total > self._most_bytes and path != newest):
                with contextlib.suppress(OSError):
                    path.unlink()
