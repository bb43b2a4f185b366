"""Keeps a shadow repository small: old snapshots go, and the rest is packed, once a day at most; a full repository makes room at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from ml_intern.compute.shadow_git import ShadowGit

KEPT_S = 30 * 24 * 3600
"""How long a snapshot can be gone back to."""
EVERY_S = 24 * 3600
STAMP = "ml-intern.tidied"
REFS = "refs/ml-intern"
KEPT_LAST = 8
"""The newest ones of the session that runs stay, however full it is: a turn or two can be taken back."""
_PACK_TIMEOUT_S = 600.0


def is_due(git: ShadowGit) -> bool:
    """Whether it is time; the next one to ask is told no."""
    stamp = git.git_dir / STAMP
    try:
        due = time.time() - stamp.stat().st_mtime > EVERY_S
    except FileNotFoundError:
        due = False  # a new repository has nothing to tidy
        stamp.touch()
    if due:
        stamp.touch()
    return due


def drop_old(git: ShadowGit) -> int:
    """Forget old snapshots. Returns how many. To be called under the lock."""
    before = time.time() - KEPT_S
    old = [name for when, name in _by_age(git) if when < before]
    _drop(git, old)
    return len(old)


def make_room(git: ShadowGit, wanted_bytes: int, most_bytes: int, running: str) -> int:
    """Bytes that may be taken in, of ``most_bytes`` in all. When that is too little, the oldest snapshots go, but for the last few
    whose names start with ``running``. To be called under the lock. Raises ``SnapshotFailed``.
    """
    room = most_bytes - _size_bytes(git)
    names = [name for _, name in _by_age(git)] if room < wanted_bytes else []
    spared = [name for name in names if name.startswith(running)][-KEPT_LAST:]
    names = [name for name in names if name not in spared]
    while names and room < wanted_bytes + most_bytes // 4:  # some to spare, or it would be done at each snapshot
        half = (len(names) + 1) // 2
        _drop(git, names[:half])
        del names[:half]
        git.run("repack", "-a", "-d", "-q", "--window=0", timeout_s=_PACK_TIMEOUT_S)
        git.run("prune", "--expire=now", timeout_s=_PACK_TIMEOUT_S)
        room = most_bytes - _size_bytes(git)
    return max(0, room)


def _by_age(git: ShadowGit) -> list[tuple[int, str]]:
    """All snapshots, the oldest first: when, and the name."""
    listed = git.run("for-each-ref", "--sort=committerdate", "--format=%(committerdate:unix) %(refname)", REFS).decode().splitlines()
    return [(int(when), name) for when, name in (line.split(" ", 1) for line in listed)]


def _drop(git: ShadowGit, names: list[str]) -> None:
    if names:
        git.run("update-ref", "--stdin", given="".join(f"delete {name}\n" for name in names).encode())


def _size_bytes(git: ShadowGit) -> int:
    """On disk (git-count-objects(1): in KiB)."""
    counted = dict(line.split(": ", 1) for line in git.run("count-objects", "-v").decode().splitlines())
    return 1024 * sum(int(counted[name]) for name in ("size", "size-pack", "size-garbage"))


async def pack(git: ShadowGit) -> None:
    """Pack what is there and drop what nothing leads to any more. Cancelled, it is ended: git leaves no half packs in use."""
    process = await asyncio.create_subprocess_exec(
        *git.command("gc", "--quiet", "--prune=1.day.ago"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=git.env,
        cwd=git.git_dir,
        start_new_session=True,
    )
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
