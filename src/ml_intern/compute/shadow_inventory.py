"""What a snapshot's tree cannot say: what was there and left out of it, empty folders, and who may read a file.

A rewind deletes only what this list knows was not there. It is made by looking at the folder, not by asking git what it ignores:
whatever exists and is not in the tree was left out, for whichever reason. Long lists shrink to the folders they are in, and
a folder that stands for its files may have held any.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from ml_intern.compute.shadow_git import ShadowGit

MAX_IN_FOLDER = 2_000
"""Files left out that are listed by name, of a folder that holds recorded ones too."""
MAX_IN_LEFT_OUT = 200
"""The same of a folder of which nothing is recorded: ``node_modules`` is one line."""
MAX_LOOKED_AT = 100_000
MAX_DEPTH = 200
MAX_EMPTY = 1_000
EVERYTHING = "/"
_TITLE = "snapshot\n\n"


class Inventory(Struct, frozen=True, omit_defaults=True):
    """``left_out``: paths, folders with a slash at the end. ``modes`` are of files whose mode is not the usual one of their kind."""

    left_out: tuple[str, ...] = (EVERYTHING,)
    empty: tuple[str, ...] = ()
    plain_mode: int | None = None
    executable_mode: int | None = None
    modes: dict[str, int] = {}

    def unsure(self, paths: Iterable[str]) -> set[str]:
        """Those of the paths where something may have been that the tree does not hold."""
        known = set(self.left_out)
        if EVERYTHING in known:
            return set(paths)
        return {path for path in paths if path in known or any(f"{folder}/" in known for folder in _above(path))}

    def mode(self, path: str, *, executable: bool) -> int | None:
        """The permissions that the file had; None where nobody wrote them down."""
        return self.modes.get(path, self.executable_mode if executable else self.plain_mode)


NOTHING_KNOWN = Inventory()
"""Of a snapshot that has none: anything may have been there."""


def take_inventory(root: Path, recorded: set[str]) -> Inventory:
    """Of the folder as it is; ``recorded`` are the paths in the tree."""
    walk = _Walk(str(root), recorded)
    left_out = walk.folder("", 0)
    modes, usual = walk.modes, walk.usual()
    odd = {path: mode for path, mode in modes.items() if mode != usual[bool(mode & stat.S_IXUSR)]}
    return Inventory(tuple(left_out), tuple(walk.empty[:MAX_EMPTY]), usual[False], usual[True], odd)


def as_message(inventory: Inventory) -> bytes:
    """For the snapshot's commit."""
    return _TITLE.encode() + msgspec.json.encode(_renamed(inventory, lambda name: os.fsencode(name).decode("latin-1")))


def inventory_of(git: ShadowGit, commit: str) -> Inventory:
    """What a snapshot wrote down. Raises ``SnapshotFailed`` when there is no such snapshot."""
    _, _, message = git.run("cat-file", "commit", commit).partition(b"\n\n")
    try:
        found = msgspec.json.decode(message.removeprefix(_TITLE.encode()), type=Inventory)
        return _renamed(found, lambda name: os.fsdecode(name.encode("latin-1")))
    except (msgspec.DecodeError, UnicodeError):
        return NOTHING_KNOWN


class _Walk:
    """Links are not followed; repositories within are not looked into."""

    def __init__(self, root: str, recorded: set[str]) -> None:
        self._root = root
        self._recorded = recorded
        self._folders = {""} | {f"{folder}/" for path in recorded for folder in _above(path)}
        self._left = MAX_LOOKED_AT
        self.empty: list[str] = []
        self.modes: dict[str, int] = {}

    def usual(self) -> dict[bool, int | None]:
        """The most frequent mode of plain files, and of those that can be run."""
        counted = {runs: Counter(mode for mode in self.modes.values() if bool(mode & stat.S_IXUSR) is runs) for runs in (False, True)}
        return {runs: modes.most_common(1)[0][0] if modes else None for runs, modes in counted.items()}

    def folder(self, path: str, depth: int) -> list[str]:
        """What is left out below; the folder itself where that is too much or cannot be seen."""
        holds_recorded = path in self._folders
        limit = MAX_IN_FOLDER if holds_recorded else MAX_IN_LEFT_OUT
        if depth > MAX_DEPTH or not (holds_recorded or self._left > 0):
            return [path]
        try:
            with os.scandir(f"{self._root}/{path}") as listing:
                entries = list(listing if holds_recorded else islice(listing, limit + 1))
        except OSError:
            return [path or EVERYTHING]
        if path and any(entry.name == ".git" for entry in entries):
            return [path]
        if not entries and path:
            self.empty.append(path)
        return self._entries(path, sorted(entries, key=lambda entry: entry.name), depth, limit)

    def _entries(self, path: str, entries: list[os.DirEntry[str]], depth: int, limit: int) -> list[str]:
        found: list[str] = []
        for entry in entries:
            name = f"{path}{entry.name}"
            if name == ".git":
                continue
            if entry.is_dir(follow_symlinks=False):
                found += self.folder(f"{name}/", depth + 1)
            elif name in self._recorded:
                self._note_mode(name, entry)
            else:
                found.append(name)
                self._left -= 1
            if len(found) > limit:
                if path not in self._folders:
                    return [path]
                del found[limit + 1 :]  # it is one line in the end; the modes of the rest still count
        return [path or EVERYTHING] if len(found) > limit else found

    def _note_mode(self, name: str, entry: os.DirEntry[str]) -> None:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except OSError:
            return  # it went meanwhile
        if stat.S_ISREG(mode):
            self.modes[name] = stat.S_IMODE(mode) & 0o777


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _renamed(inventory: Inventory, name: Callable[[str], str]) -> Inventory:
    """File names need not be text; JSON takes only that."""
    return Inventory(
        tuple(name(path) for path in inventory.left_out),
        tuple(name(path) for path in inventory.empty),
        inventory.plain_mode,
        inventory.executable_mode,
        {name(path): mode for path, mode in inventory.modes.items()},
    )
