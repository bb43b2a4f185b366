"""What of the workspace goes into a snapshot, and what is left out, and why."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from msgspec import Struct, field

from ml_intern.compute.shadow_git import ShadowGit, SnapshotFailed

_NAMED = 3


class Limits(Struct, frozen=True):
    """Of one workspace's snapshots. ``new_bytes`` is what one snapshot may take in; ``repository_bytes`` what all of them may fill:
    twice that, for a loop that writes checkpoints must not fill the disk."""

    file_bytes: int = 10 * 1024 * 1024
    files: int = 20_000
    new_bytes: int = 1024 * 1024 * 1024
    repository_bytes: int = 2 * 1024 * 1024 * 1024


LIMITS = Limits()
MANY = 500
SMALL_BYTES = 64 * 1024
BATCH = 5_000
"""What is taken in at a time: of a snapshot that is ended early, these stay."""
PACKED = ("core.bigFileThreshold=1", "pack.compression=1")
"""Git writes large files (bigger than this) into a pack as they come (git-config(1)), all of one call into the same one …"""
PACKS_TOGETHER = (2, 37)
"""… since this version: before it, ``update-index`` made a pack of each."""


class Intake(Struct):
    """Changed paths, sorted. ``gone`` leave the index: they are not there any more, or left out."""

    wanted: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])
    large: list[str] = field(default_factory=list[str])
    without_room: list[str] = field(default_factory=list[str])
    inner: list[str] = field(default_factory=list[str])
    many: int = 0
    size_bytes: int = 0

    def left_out(self, limits: Limits) -> tuple[str, ...]:
        """In words."""
        said = (
            f"larger than {limits.file_bytes // 1024 // 1024} MB: {_some(self.large)}" if self.large else "",
            f"more than there is room for: {_some(self.without_room)}" if self.without_room else "",
            f"repositories of their own: {_some(self.inner)}" if self.inner else "",
            f"{self.many} more than {limits.files:,} files" if self.many else "",
        )
        return tuple(words for words in said if words)


def sort_paths(root: Path, listed: list[str], recorded: set[str], room_bytes: int, limits: Limits) -> Intake:
    """Of what git lists as new, changed or gone, beside what is ``recorded`` already. ``room_bytes`` are for all of it."""
    found, links = Intake(), _Links(root)
    sizes = {path: None if links.lead_to(path) else _size(root / path) for path in listed if not path.endswith("/")}
    found.inner = [path for path in listed if path.endswith("/")]
    found.gone = [path for path, size in sizes.items() if size is None]
    places = limits.files - len(recorded.difference(found.gone))
    for path, size in sizes.items():
        if size is None:
            continue
        if size > limits.file_bytes or size > room_bytes - found.size_bytes:
            (found.large if size > limits.file_bytes else found.without_room).append(path)
            found.gone.append(path)
        elif path not in recorded and places <= 0:
            found.many += 1
        else:
            found.wanted.append(path)
            found.size_bytes += size
            places -= path not in recorded
    return found


def take_in(git: ShadowGit, root: Path, intake: Intake) -> None:
    """Bring git's index up to date. Raises ``SnapshotFailed``."""
    if intake.gone:
        git.run("update-index", "--force-remove", "-z", "--stdin", given=joined(intake.gone))
    if not intake.wanted:
        return
    try:
        _add(git, intake)
    except SnapshotFailed:  # one that cannot be read, or went meanwhile: the others count all the same
        links = _Links(root)
        readable = [path for path in intake.wanted if not links.lead_to(path) and _is_readable(root / path)]
        unreadable = set(intake.wanted).difference(readable)  # what the index has of them is not what is there
        git.run("update-index", "--force-remove", "-z", "--stdin", given=joined(sorted(unreadable)))
        git.run("update-index", "--add", "--replace", "--remove", "-z", "--stdin", given=joined(readable))


def _add(git: ShadowGit, intake: Intake) -> None:
    """Many small files go into a few packs: a file each would take twice as long, and a block of the disk each."""
    many = len(intake.wanted) >= MANY and intake.size_bytes < len(intake.wanted) * SMALL_BYTES
    settings = PACKED if many and git.version() >= PACKS_TOGETHER else ()
    for batch in (intake.wanted[start : start + BATCH] for start in range(0, len(intake.wanted), BATCH)):
        git.run("update-index", "--add", "--replace", "-z", "--stdin", given=joined(batch), settings=settings)


def joined(paths: list[str]) -> bytes:
    """For ``-z --stdin``."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


class _Links:
    """Which folders are links now: what was recorded below one is gone, whatever the link leads to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, bool] = {Path("."): False}

    def lead_to(self, path: str) -> bool:
        """Whether a folder above it is a link."""
        return self._is_behind(Path(path).parent)

    def _is_behind(self, folder: Path) -> bool:
        if folder not in self._known:
            self._known[folder] = self._is_behind(folder.parent) or (self._root / folder).is_symlink()
        return self._known[folder]


def _size(path: Path) -> int | None:
    """Bytes of a file or link; None when there is neither."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode) else None


def _is_readable(path: Path) -> bool:
    return path.is_symlink() or os.access(path, os.R_OK)


def _some(paths: list[str]) -> str:
    shown = ", ".join(paths[:_NAMED])
    return f"{shown} and {len(paths) - _NAMED} more" if len(paths) > _NAMED else shown
