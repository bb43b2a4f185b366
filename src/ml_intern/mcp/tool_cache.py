"""The lists of tools on disk, one small file per server: what lets a session start without asking anybody."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec

from ml_intern.config.private_file import replace_private
from ml_intern.config.settings import McpServer
from ml_intern.mcp.listing import Known, plain
from ml_intern.mcp.surroundings import Surroundings

_MAX_FILE_BYTES = 8 * 1024 * 1024


class ToolCache:
    """Records by server. A record belongs to one configuration of a server: another command or address has another record."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when the first record is kept."""
        self._folder = folder

    @classmethod
    def of(cls, around: Surroundings) -> ToolCache:
        """The one of this user."""
        return cls(around.paths.cache_dir / "mcp")

    def get(self, name: str, server: McpServer) -> Known:
        """What is known; an empty record when there is none, or none that can be read."""
        try:
            path = self._path(name, server)
            if path.stat().st_size > _MAX_FILE_BYTES:
                return Known()
            return msgspec.json.decode(path.read_bytes(), type=Known)
        except (OSError, msgspec.MsgspecError):
            return Known()

    def put(self, name: str, server: McpServer, known: Known) -> None:
        """Keep the record. A disk that takes no file costs the next start a question, and nothing else."""
        with suppress(OSError):
            replace_private(self._path(name, server), msgspec.json.encode(known))

    def _path(self, name: str, server: McpServer) -> Path:
        identity = [name, server.command, server.args, server.cwd, server.url, server.transport, sorted(server.env), sorted(server.headers)]
        digest = hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:16]
        return self._folder / f"{plain(name)[:40]}-{digest}.json"
