"""Which projects the user trusts. Kept in the user's own state: a project cannot say it of itself.

Trust is for what the project's file says now of programs to run and calls to allow, and for what the files of the project hold that
those programs are. When that changes (a pull, a hostile edit, a command of the model), it is asked for again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ml_intern.config.json_values import JsonDict, merge
from ml_intern.config.paths import private_dir
from ml_intern.config.private_file import change_private
from ml_intern.errors import ConfigError

if TYPE_CHECKING:
    from ml_intern.config.hook_files import HookFiles, HookReader

FILE_NAME = "trusted.json"


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """One project, by its folder. ``digest`` stands for what its file said when it was trusted."""

    folder: str
    digest: str
    trusted_at: datetime


class _Stored(msgspec.Struct, frozen=True):
    folders: tuple[Trusted, ...] = ()


def needs_trust(project: JsonDict) -> JsonDict:
    """The part of a project's settings that has an effect in a trusted folder only: its hooks, and the calls that it allows."""
    active: JsonDict = {}
    if hooks := project.get("hooks"):
        active["hooks"] = hooks
    permissions = project.get("permissions")
    if isinstance(permissions, dict) and (allow := permissions.get("allow")):
        active = merge(active, {"permissions": {"allow": allow}})
    return active


class TrustedFolders:
    """The list, read anew at each question: another process may have changed it."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME
        self._reader: HookReader | None = None

    def all(self) -> tuple[Trusted, ...]:
        """Every trusted folder. Raises ``ConfigError`` for a file that is not ours."""
        try:
            return self._decoded(self._path.read_bytes())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be read: {error.strerror}.") from error

    def covers(self, folder: Path, active: JsonDict) -> bool:
        """Whether the user has trusted exactly this of exactly this folder."""
        name = _name(folder)
        entries = [entry for entry in self.all() if entry.folder == name]
        return bool(entries) and self._digest(folder, active) in {entry.digest for entry in entries}

    def files(self, folder: Path, active: JsonDict) -> HookFiles:
        """What of the folder's project its hooks run."""
        from ml_intern.config.hook_files import HookReader  # only for who has such hooks: each start would wait for it

        self._reader = self._reader or HookReader()
        return self._reader.files(active.get("hooks"), folder)

    def knows(self, folder: Path) -> bool:
        """Whether it was trusted as it was once."""
        name = _name(folder)
        return any(entry.folder == name for entry in self.all())

    def trust(self, folder: Path, active: JsonDict) -> None:
        """From now on. Raises ``ConfigError`` where hooks run more than can be watched."""
        name = _name(folder)
        if (digest := self._digest(folder, active)) is None:
            raise ConfigError(
                f"{folder} cannot be trusted: what its hooks run is {self.files(folder, active).unclear[0]}, more than I can watch.",
                hint="Let them run a script of their own that names its files one by one and imports little of the project.",
            )
        entry = Trusted(folder=name, digest=digest, trusted_at=datetime.now(UTC))
        self._change(lambda known: (*(one for one in known if one.folder != name), entry))

    def revoke(self, folder: Path) -> bool:
        """No more. False when it was not trusted."""
        name = _name(folder)
        return self._change(lambda known: tuple(entry for entry in known if entry.folder != name))

    def _digest(self, folder: Path, active: JsonDict) -> str | None:
        """None where files are left out: they could change unnoticed."""
        import hashlib  # loads OpenSSL

        from ml_intern.config.hook_files import file_digests

        told: JsonDict = active
        found = self.files(folder, active)
        if not found.complete:
            return None
        if found.files:
            told = {"active": active, "files": dict(file_digests(found.files, folder))}
        return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()

    def _change(self, change: Callable[[tuple[Trusted, ...]], tuple[Trusted, ...]]) -> bool:
        private_dir(self._path.parent)

        def changed(data: bytes | None) -> bytes | None:
            before = self._decoded(data)
            after = change(before)
            return None if after == before else msgspec.json.format(msgspec.json.encode(_Stored(after)))

        try:
            return change_private(self._path, changed)
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written: {error.strerror}.") from error

    def _decoded(self, data: bytes | None) -> tuple[Trusted, ...]:
        try:
            return () if data is None else msgspec.json.decode(data, type=_Stored).folders
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{self._path} does not hold trusted folders: {error}.", hint="Delete it to trust none.") from error


def _name(folder: Path) -> str:
    return os.path.realpath(folder)
