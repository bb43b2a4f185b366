"""Snapshots of a workspace in a git repository of their own, beside and without the user's.

Files that the workspace's ``.gitignore`` names are left out, and so are large ones, those beyond a number or a total, and other git
repositories within; each snapshot knows what it left out. What is unchanged is known by git's index, so a snapshot of it costs two
walks over the folder. Snapshots do not lead to one another: each can go alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from msgspec import Struct

from ml_intern.compute.os_sandbox import find_program
from ml_intern.compute.shadow_diff import Change, changed_files, unified_diffs
from ml_intern.compute.shadow_git import ShadowGit, SnapshotFailed
from ml_intern.compute.shadow_intake import LIMITS, Intake, Limits, sort_paths, take_in
from ml_intern.compute.shadow_inventory import Inventory, as_message, take_inventory
from ml_intern.compute.shadow_removal import remove_below
from ml_intern.compute.shadow_restore import Restored, left_alone, restore
from ml_intern.compute.shadow_tidy import EVERY_S, REFS, drop_old, is_due, make_room, pack
from ml_intern.config.paths import make_private
from ml_intern.protocol.display import Diff

P = ParamSpec("P")
R = TypeVar("R")

GONE_HINT = "Snapshots go after 30 days, and the oldest earlier when those of a folder fill 2 GB. The conversation alone can still go back."
LOCK_WAIT_S = 20.0
_LOCK_POLL_S = 0.02


class Recorded(Struct, frozen=True):
    """A snapshot: ``tree`` is equal for equal files. ``note`` says what was left out."""

    commit: str
    tree: str
    note: str = ""


class ShadowRepository:
    """One workspace's snapshots for one session. Several processes may use it at a time; a lock file keeps them apart."""

    def __init__(
        self, executable: str, state_dir: Path, root: Path, environ: Mapping[str, str], session_id: str, limits: Limits = LIMITS
    ) -> None:
        self._limits = limits
        self._root = self.root = Path(os.path.realpath(root))
        name = hashlib.sha256(str(self._root).encode("utf-8", "surrogateescape")).hexdigest()[:24]
        self._git_dir = state_dir / "snapshots" / name
        self._git = ShadowGit(executable, self._git_dir, self._root, environ)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._refs = f"{REFS}/{session_id}/"
        self._last: tuple[Recorded, Inventory, float] | None = None
        """With the time at which it was made."""
        self._room_bytes = 0
        """What fits into the repository for certain: what was measured, less what was taken in since."""
        self._left_out: tuple[str, ...] = ()

    @classmethod
    def find(
        cls, state_dir: Path, root: Path, environ: Mapping[str, str], session_id: str, limits: Limits = LIMITS
    ) -> ShadowRepository | str:
        """The workspace's, or why there can be none."""
        executable = find_program("git", environ)
        if executable is None:
            return "git is not installed, so files cannot be rewound."
        real = Path(os.path.realpath(root))
        home = Path(os.path.realpath(environ.get("HOME") or "/"))
        if real == home or real in home.parents:
            return f"{real} is no folder of one project, so its files are not recorded and cannot be rewound."
        if Path(os.path.realpath(state_dir)).is_relative_to(real):
            return f"{real} holds ml-intern's own files, so its files are not recorded and cannot be rewound."
        return cls(executable, state_dir, root, environ, session_id, limits)

    async def record(self) -> Recorded:
        """The files as they are now. Raises ``SnapshotFailed``."""
        return await self._in_thread(self._record_locked)

    async def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """What differs between two snapshots (or trees). Raises ``SnapshotFailed``."""
        return await self._in_thread(self._changes, old, new)

    async def diffs(self, old: str, new: str, paths: tuple[str, ...]) -> tuple[Diff, ...]:
        """The texts behind that, for some files; bounded. Raises ``SnapshotFailed``."""
        return await self._in_thread(unified_diffs, self._git, old, new, paths)

    async def kept(self, now: str, target: str) -> tuple[str, ...]:
        """Paths that going from ``now`` to ``target`` would leave alone."""
        return await self._in_thread(self._left_alone, now, target)

    async def restore(self, now: Recorded, target: str, keep: frozenset[str] = frozenset()) -> Restored:
        """Make the files those of ``target``, but for ``keep``; ``now`` was recorded just before.

        Raises ``SnapshotFailed``, when nothing was changed; what can be done in part only is told by the answer.
        """
        return await self._in_thread(self._restore_locked, now, target, keep)

    async def clear_drafts(self) -> None:
        """Delete what a restore that was killed left half written beside the files. Raises ``SnapshotFailed``."""
        await self._in_thread(self._clear_drafts_locked)

    async def tidy(self) -> None:
        """Drop what is old and pack the rest, if it is time. May be cancelled. Raises ``SnapshotFailed``."""
        if await self._in_thread(self._drop_old_locked):
            await pack(self._git)

    def stop(self) -> None:
        """End what runs: it fails."""
        self._git.stop()

    async def aclose(self) -> None:
        """Wait for what runs."""
        await asyncio.to_thread(self._pool.shutdown)

    async def _in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args, **kwargs))

    # ── in the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        try:
            make_private(self._git_dir)
            fd = os.open(self._git_dir / "ml-intern.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SnapshotFailed(f"The folder {self._git_dir} cannot be used: {error.strerror}.") from error
        try:
            _wait_for(fd)
            with contextlib.suppress(OSError):
                (self._git_dir / "index.lock").unlink()  # of one that was killed: nobody else is here
            self._git.make()
            yield
        finally:
            os.close(fd)

    def _record_locked(self) -> Recorded:
        with self._locked():
            return self._record()

    def _clear_drafts_locked(self) -> None:
        with self._locked():
            for path in self._git.paths("ls-files", "-z", "--others", "--ignored", f"--exclude={self._git.draft()}"):
                with contextlib.suppress(OSError):  # it is in nobody's way
                    remove_below(self._root, path)

    def _drop_old_locked(self) -> bool:
        with self._locked():
            if not is_due(self._git):
                return False
            drop_old(self._git)
            return True

    def _record(self) -> Recorded:
        listed = self._git.paths("ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard")
        intake = self._sorted(list(dict.fromkeys(listed)))
        take_in(self._git, self._root, intake)
        note = self._news(intake.left_out(self._limits))
        tree = self._git.run("write-tree").decode().strip()
        inventory = take_inventory(self._root, set(self._git.paths("ls-files", "-z", "--cached")))
        if self._last is not None and (self._last[0].tree, self._last[1]) == (tree, inventory) and time.time() - self._last[2] < EVERY_S:
            return Recorded(self._last[0].commit, tree, note)
        commit = self._git.run("commit-tree", tree, given=as_message(inventory)).decode().strip()
        self._git.run("update-ref", f"{self._refs}{time.time_ns():020}-{os.urandom(2).hex()}", commit)
        recorded = Recorded(commit, tree, note)
        self._last = (recorded, inventory, time.time())
        return recorded

    def _is_still(self, now: Recorded) -> bool:
        """Whether what was recorded is still so. Takes in no more: what was left out then is left alone anyway."""
        listed = self._git.paths("ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard")
        recorded = set(self._git.paths("ls-files", "-z", "--cached"))
        take_in(self._git, self._root, sort_paths(self._root, list(dict.fromkeys(listed)), recorded, 0, self._limits))
        return self._git.run("write-tree").decode().strip() == now.tree

    def _sorted(self, listed: list[str]) -> Intake:
        recorded, limits = set(self._git.paths("ls-files", "-z", "--cached")), self._limits
        intake = sort_paths(self._root, listed, recorded, limits.new_bytes, limits)
        if intake.size_bytes > self._room_bytes:
            self._room_bytes = make_room(self._git, intake.size_bytes, limits.repository_bytes, self._refs)
            intake = sort_paths(self._root, listed, recorded, min(limits.new_bytes, self._room_bytes), limits)
        self._room_bytes -= intake.size_bytes
        return intake

    def _news(self, left_out: tuple[str, ...]) -> str:
        """Said again only when it changes."""
        news = left_out != self._left_out
        self._left_out = left_out
        return f"Not in snapshots, so a rewind leaves them alone: {'; '.join(left_out)}." if news and left_out else ""

    # ── going back ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _left_alone(self, now: str, target: str) -> tuple[str, ...]:
        self._require(target)
        return left_alone(self._git, self._root, now, target)

    def _changes(self, old: str, new: str) -> tuple[Change, ...]:
        self._require(old)
        self._require(new)
        return changed_files(self._git, old, new)

    def _require(self, snapshot: str) -> None:
        try:
            self._git.run("cat-file", "-e", f"{snapshot}^{{tree}}")
        except SnapshotFailed as error:
            raise SnapshotFailed("The snapshot of the files at that time is no longer kept.", hint=GONE_HINT) from error

    def _restore_locked(self, now: Recorded, target: str, keep: frozenset[str]) -> Restored:
        with self._locked():
            if not self._is_still(now):
                raise SnapshotFailed("The files have changed since they were recorded.", hint="Plan the rewind again.")
            self._require(target)
            return restore(self._git, self._root, now.tree, target, keep)


def _wait_for(fd: int) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SnapshotFailed(f"Another session has been recording this folder for {LOCK_WAIT_S:g} s.") from None
            time.sleep(_LOCK_POLL_S)
        else:
            return
