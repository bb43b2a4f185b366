"""Snapshots of the workspace's files around what tools write: before each turn, before and after each batch that writes.

They are taken beside the turn: the model thinks meanwhile, and only a call that may write waits for the one before it. The
differences between ``after`` one batch and ``before`` the next are what somebody else changed: the user. Within a batch, what no call
named may be the user's as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Iterable, Mapping
from pathlib import Path

from ml_intern.compute.shadow_git import SnapshotFailed
from ml_intern.compute.shadow_repository import Recorded, ShadowRepository
from ml_intern.errors import StoreError
from ml_intern.protocol.events import FileSeen
from ml_intern.protocol.rewind_events import SnapshotTaken
from ml_intern.session.log import EventLog

LAST_WORDS_S = 3.0


class Snapshots:
    """Of one session. Without a repository nothing is done, and ``why_not`` says why."""

    def __init__(
        self, log: EventLog | None = None, repository: ShadowRepository | None = None, why_not: str = "", *, quiet: bool = False
    ) -> None:
        """``quiet``: the user knows why; it is told only when somebody asks for a rewind."""
        self._log = log
        self.repository = repository
        self.why_not = why_not
        self._unsaid = "" if quiet else why_not
        self._tail: asyncio.Task[None] | None = None
        self._before: asyncio.Task[None] | None = None
        """Of the batch that writes now."""
        self._named: set[str] = set()
        """Resources that its calls said they would write."""
        self._tidying: asyncio.Task[None] | None = None

    def begin_turn(self, message_seq: int) -> None:
        """The user has spoken."""
        if self.repository is not None or self._unsaid:
            self._then(self._take("before", message_seq))
        if self.repository is not None and self._tidying is None:
            self._tidying = asyncio.create_task(self._tidy(self.repository, self._tail))

    async def before_writes(self, named: Iterable[str] = ()) -> None:
        """A call of this batch may write: the files as they are are recorded first. The others of the batch wait for the same.

        ``named``: absolute paths of what it says it writes; other words are taken for no path.
        """
        if self.repository is None:
            return
        self._named.update(named)
        if self._before is None:
            self._before = self._then(self._take("before", 0))
        await asyncio.shield(self._before)

    def after_writes(self) -> None:
        """The batch is over."""
        if self._before is not None:
            self._before = None
            named, self._named = frozenset(self._named), set()
            self._then(self._take("after", 0, named))

    async def settled(self) -> None:
        """Until all that was begun is written down."""
        while (tail := self._tail) is not None and not tail.done():
            await asyncio.wait([tail])

    async def finish(self) -> None:
        """The session ends: what was begun is written down, or ended when that takes long (the first one of a large folder)."""
        if self._tail is not None and not self._tail.done() and self.repository is not None:
            await asyncio.wait([self._tail], timeout=LAST_WORDS_S)
            if not self._tail.done():
                self.repository.stop()
        await self.settled()

    async def record(self, kind: str) -> Recorded:
        """One now, in the log too. Raises ``SnapshotFailed``."""
        await self.settled()
        assert self._log is not None
        if self.repository is None:
            raise SnapshotFailed(self.why_not or "This session keeps no snapshots of files.")
        recorded = await self.repository.record()
        await self._log.append(SnapshotTaken(commit=recorded.commit, kind=kind, note=recorded.note))
        return recorded

    @classmethod
    def of_folder(cls, log: EventLog, state_dir: Path, environ: Mapping[str, str]) -> Snapshots:
        """Those of the session's folder on this machine; ``environ`` is what commands get."""
        found = ShadowRepository.find(state_dir, Path(log.state.cwd), environ, log.session_id)
        return cls(log, why_not=found) if isinstance(found, str) else cls(log, found)

    async def aclose(self) -> None:
        """Wait for what runs, and give the repository back."""
        await self.settled()
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait([self._tidying])
        if self.repository is not None:
            await self.repository.aclose()

    async def _tidy(self, repository: ShadowRepository, first: asyncio.Task[None] | None) -> None:
        """Beside the session, once in its life."""
        if first is not None:
            await asyncio.wait([first])
        with contextlib.suppress(SnapshotFailed, OSError):  # then tomorrow: nobody waits for it
            await repository.tidy()

    def _then(self, work: Awaitable[None]) -> asyncio.Task[None]:
        previous = self._tail

        async def in_turn() -> None:
            if previous is not None:
                await asyncio.wait([previous])
            await work

        self._tail = asyncio.create_task(in_turn())
        return self._tail

    def _as_written(self, named: Iterable[str], seen: Mapping[str, FileSeen]) -> tuple[str, ...]:
        """Those that are below the folder and as the tools left them: whoever changed one since, in the same batch, was somebody else."""
        root = self.repository.root if self.repository is not None else Path("/")
        below = [path for path in named if Path(path).is_relative_to(root)]
        return tuple(sorted(str(Path(path).relative_to(root)) for path in below if path not in seen or _is_still(seen[path])))

    async def _take(self, kind: str, message_seq: int, named: frozenset[str] = frozenset()) -> None:
        try:
            event = await self._event(kind, message_seq, named)
            assert self._log is not None
            if event is not None:
                await self._log.append(event)
        except StoreError:
            return  # nothing can be written any more; whoever writes next hears it

    async def _event(self, kind: str, message_seq: int, named: frozenset[str]) -> SnapshotTaken | None:
        """None where nothing has changed and nobody needs a mark."""
        if self.repository is None:
            said, self._unsaid = self._unsaid, ""
            return SnapshotTaken(commit="", kind=kind, message_seq=message_seq, note=said)
        try:
            recorded = await self.repository.record()
        except SnapshotFailed as error:
            note = f"The files could not be recorded, so they cannot be rewound to this point: {error}"
            return SnapshotTaken(commit="", kind=kind, message_seq=message_seq, note=note)
        assert self._log is not None
        last = self._log.state.snapshots[-1].commit if self._log.state.snapshots else ""
        if not message_seq and recorded.commit == last and not recorded.note:
            return None
        theirs = await asyncio.to_thread(self._as_written, named, dict(self._log.state.files)) if named else ()
        return SnapshotTaken(commit=recorded.commit, kind=kind, message_seq=message_seq, note=recorded.note, named=theirs)


def _is_still(seen: FileSeen) -> bool:
    try:
        now = os.stat(seen.path)
    except OSError:
        return False
    return (now.st_mtime_ns, now.st_size) == (seen.mtime_ns, seen.size_bytes)
