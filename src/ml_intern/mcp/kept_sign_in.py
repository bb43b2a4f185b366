"""What a sign-in to a server left on disk: a file of the user's alone, which belongs to one server name at one origin."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct

from ml_intern.config.private_file import replace_private
from ml_intern.config.settings import McpServer
from ml_intern.mcp.listing import plain
from ml_intern.mcp.surroundings import Surroundings, origin


class Saved(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens and registration as the SDK's JSON; empty when there are none."""

    name: str = ""
    origin: str = ""
    tokens: str = ""
    client: str = ""


class KeptSignIn:
    """The file of one server. Another address of the server has another file: its tokens are not for the new place."""

    def __init__(self, folder: Path, name: str, origin: str) -> None:
        digest = hashlib.sha256(msgspec.json.encode([name, origin])).hexdigest()[:16]
        self.path = folder / f"{_start_of(name)}{digest}.oauth.json"
        self._blank = Saved(name=name, origin=origin)

    def read(self) -> Saved:
        """What is kept, empty for a file that says it is another server's."""
        saved = _read(self.path)
        return saved if (saved.name, saved.origin) == (self._blank.name, self._blank.origin) else self._blank

    def write(self, saved: Saved) -> None:
        """Keep it. Raises ``OSError``."""
        replace_private(self.path, msgspec.json.encode(saved))


def kept_sign_in(name: str, server: McpServer, around: Surroundings) -> KeptSignIn:
    """Where the tokens of this server, at its present address, are kept."""
    scheme, host, port = origin(server.url or "")
    return KeptSignIn(_folder(around), name, f"{scheme}://{host}:{port}")


def forget_sign_ins(name: str, around: Surroundings) -> bool:
    """Sign out of a server, whatever its addresses were, as far as this machine goes. Says whether there was something to forget."""
    found = [path for path in _folder(around).glob("*.oauth.json") if path.name.startswith(_start_of(name)) and _read(path).name == name]
    for path in found:
        path.unlink(missing_ok=True)
    return bool(found)


def _folder(around: Surroundings) -> Path:
    return around.paths.data_dir / "mcp"


def _start_of(name: str) -> str:
    return f"{plain(name)[:40]}-"


def _read(path: Path) -> Saved:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Saved)
    except (OSError, msgspec.MsgspecError):
        return Saved()
