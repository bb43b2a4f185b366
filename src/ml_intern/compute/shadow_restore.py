"""Making the workspace's files those of a snapshot: what is left alone, what is put back, and only then what is deleted.

All that is put back is laid out beside the workspace first, so a full disk or a broken repository changes nothing. Then one file at a time:
what cannot be done is told, and the rest is done. What stands in the way goes just before; everything else is deleted last.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from msgspec import Struct

from ml_intern.compute.shadow_diff import Change, changed_files
from ml_intern.compute.shadow_git import ShadowGit, SnapshotFailed
from ml_intern.compute.shadow_intake import joined
from ml_intern.compute.shadow_inventory import Inventory, inventory_of
from ml_intern.compute.shadow_removal import make_folder_below, place_below, remove_below

_LAID_OUT = "laid-out"
_LINK = "120000"
_EXECUTABLE = "100755"
_SUBMODULE = "160000"


class Restored(Struct, frozen=True):
    """What going back did. ``kept``: left alone. ``failed``: paths that are as they were, with the reason."""

    restored: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def left_alone(git: ShadowGit, root: Path, now: str, target: str) -> tuple[str, ...]:
    """Paths that differ and stay: nothing has saved what is there now, or it may have been there at the target's time too."""
    changes = changed_files(git, now, target)
    unsure = inventory_of(git, target).unsure(change.path for change in changes if change.deleted)
    saved = set(git.paths("ls-tree", "-r", "-z", "--name-only", now))
    return tuple(
        change.path
        for change in changes
        if (change.path in unsure if change.deleted else change.mode == _SUBMODULE or _is_unsaved(root, change.path, saved))
    )


def restore(git: ShadowGit, root: Path, now: str, target: str, keep: frozenset[str]) -> Restored:
    """Raises ``SnapshotFailed`` when nothing was changed."""
    kept = keep.union(left_alone(git, root, now, target))
    every = changed_files(git, now, target)
    changes = [change for change in every if change.path not in kept]
    back = [change for change in changes if not change.deleted]
    folder = git.git_dir / _LAID_OUT
    try:
        _lay_out(git, folder, back)
        done = _Deed(root, folder, inventory_of(git, target), git.draft())
        done.run(back, [change.path for change in changes if change.deleted])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Restored(
        tuple(done.restored), tuple(done.deleted), tuple(change.path for change in every if change.path in kept), tuple(done.failed)
    )


class _Deed:
    def __init__(self, root: Path, source: Path, inventory: Inventory, draft: str) -> None:
        self._root = root
        self._source = source
        self._inventory = inventory
        self._draft = draft
        self.restored: list[str] = []
        self.deleted: list[str] = []
        self.failed: list[str] = []

    def run(self, back: list[Change], gone: list[str]) -> None:
        """What stands in the way, then what comes back, then what goes."""
        in_the_way = _in_the_way([change.path for change in back], gone)
        for path in in_the_way:
            self._delete(path)
        for change in back:
            self._place(change)
        for path in gone:
            if path not in in_the_way:
                self._delete(path)
        for folder in self._inventory.empty:
            with contextlib.suppress(OSError):  # something else is there now
                make_folder_below(self._root, folder)

    def _place(self, change: Change) -> None:
        path = change.path
        mode = None if change.mode == _LINK else self._inventory.mode(path, executable=change.mode == _EXECUTABLE)
        try:
            place_below(self._root, path, self._source / path, mode, self._draft)
        except OSError as error:
            self.failed.append(f"{path}: {error.strerror}")
        else:
            self.restored.append(path)

    def _delete(self, path: str) -> None:
        try:
            if remove_below(self._root, path):
                self.deleted.append(path)
        except OSError as error:
            self.failed.append(f"{path}: {error.strerror}")


def _lay_out(git: ShadowGit, folder: Path, back: list[Change]) -> None:
    """Contents of the target's files, by an index of its own: the workspace's is not touched."""
    shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
    index = git.git_dir / f"{_LAID_OUT}.index"
    with contextlib.suppress(OSError):
        index.unlink()
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise SnapshotFailed(f"The folder {folder} cannot be used: {error.strerror}.") from error
    info = b"".join(f"{change.mode} {change.blob}\t".encode() + os.fsencode(change.path) + b"\0" for change in back)
    git.run("update-index", "--add", "-z", "--index-info", given=info, index=index)
    paths = joined([change.path for change in back])
    git.run("checkout-index", f"--prefix={folder}/", "-z", "--stdin", given=paths, index=index)


def _in_the_way(back: list[str], gone: list[str]) -> set[str]:
    """Files where a folder comes back, and those in a folder where a file comes back."""
    files = set(back)
    folders = {str(folder) for path in back for folder in Path(path).parents}
    return {path for path in gone if path in folders or any(str(folder) in files for folder in Path(path).parents)}


def _is_unsaved(root: Path, path: str, saved: set[str]) -> bool:
    """Whether something is where the file would go, or where a folder above it would, that no snapshot has."""
    if path in saved:
        return False
    for parent in reversed(Path(path).parents[:-1]):  # the topmost first: what is behind a link is not looked at
        above = root / parent
        if not os.path.lexists(above):
            return False
        if not _is_plain_folder(above):
            return str(parent) not in saved
    full = root / path
    if not os.path.lexists(full):
        return False
    return not _is_plain_folder(full) or any(str(file.relative_to(root)) not in saved for file in _files_below(full))


def _is_plain_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _files_below(folder: Path) -> list[Path]:
    """Links to folders too: they are no folders of this one."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        found += [Path(parent, name) for name in (*names, *(name for name in folders if os.path.islink(Path(parent, name))))]
    return found
