"""Going back to before a message: the plan, and then the deed. Whatever is on disk is recorded first, so nothing is ever lost."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from itertools import pairwise

from msgspec import Struct

from ml_intern.compute.shadow_git import SnapshotFailed
from ml_intern.compute.shadow_repository import Recorded, ShadowRepository
from ml_intern.protocol.events import ErrorRaised, UndoComplete
from ml_intern.protocol.operations import Rewind
from ml_intern.protocol.rewind_events import RewindComplete, RewindPlanned, SnapshotTaken
from ml_intern.session.log import EventLog
from ml_intern.session.snapshots import Snapshots

CUT_SHORT = (
    "The program ended in the midst of a rewind: some files went back and others did not, and the conversation did not. Before it, all "
    "files were recorded: /rewind back brings them back as they were; or rewind again."
)
HALF_DONE = "What a rewind that was cut short had changed is shown among what may be yours."
NO_SNAPSHOT = "The files were not recorded at that message, so only the conversation can go back to it."


class _Goal(Struct, frozen=True):
    """Where to: ``cut_seq`` 0 leaves the conversation alone, an empty ``commit`` the files."""

    cut_seq: int
    commit: str
    note: str = ""


class Rewinder:
    """Of one session."""

    def __init__(self, log: EventLog, snapshots: Snapshots) -> None:
        self._log = log
        self._snapshots = snapshots

    async def tell_cut_short(self) -> None:
        """At the start: whether the program ended while files went back."""
        if saved := self._log.state.rewinding:
            cut = RewindComplete(before_message=0, conversation=False, files=True, saved=saved, note=CUT_SHORT, cut_short=True)
            await self._log.append(cut)
            if self._snapshots.repository is not None:
                with contextlib.suppress(SnapshotFailed):  # what is left over is in nobody's way
                    await self._snapshots.repository.clear_drafts()

    async def rewind(self, operation: Rewind, stop: Callable[[], Awaitable[None]]) -> None:
        """Plan or do it; events tell what came of it. ``stop`` ends what runs, before anything is changed."""
        try:
            await self._snapshots.settled()  # the one of the message may not be written down yet
            goal = self._goal(operation)
            if operation.confirmed_changes is None:
                await self._log.append(await self._plan(operation, goal))
                return
            await stop()
            await self._snapshots.settled()
            await self._do(operation, goal)
        except SnapshotFailed as error:  # nothing has changed
            await self._log.append(ErrorRaised(error=error.message, hint=error.hint, kind="RewindFailed", ends_turn=False))

    def _goal(self, operation: Rewind) -> _Goal:
        """Raises ``SnapshotFailed`` for what cannot be."""
        state = self._log.state
        if operation.to_snapshot:
            if operation.to_snapshot not in {one.commit for one in state.snapshots}:
                raise SnapshotFailed(f"This session has no snapshot '{operation.to_snapshot}'.")
            if operation.conversation:
                raise SnapshotFailed("A snapshot is of files only.", hint="Leave the conversation alone, or name a message.")
            return _Goal(0, operation.to_snapshot)
        seqs = state.history.user_seqs()
        if not 0 <= operation.before_message < len(seqs):
            raise SnapshotFailed(f"There is no message {operation.before_message}.", hint=f"There are {len(seqs)}, counting from 0.")
        seq = seqs[operation.before_message]
        cut_seq = seq if operation.conversation else 0
        if not operation.files:
            return _Goal(cut_seq, "")
        commit = self._commit_before(seq, set(seqs)) if self._snapshots.repository is not None else ""
        if commit:
            return _Goal(cut_seq, commit)
        why = self._snapshots.why_not or NO_SNAPSHOT
        if not operation.conversation:
            raise SnapshotFailed(why)
        return _Goal(cut_seq, "", why)

    def _commit_before(self, seq: int, user_seqs: set[int]) -> str:
        """The snapshot that was taken when the message came, or those that came together with it."""
        taken = [one for one in self._log.state.snapshots if 0 < one.message_seq <= seq]
        if not taken:
            return ""
        first = max(taken, key=lambda one: one.message_seq)
        return first.commit if all(between in user_seqs for between in range(first.message_seq, seq)) else ""

    async def _plan(self, operation: Rewind, goal: _Goal) -> RewindPlanned:
        plan = RewindPlanned(
            before_message=operation.before_message,
            conversation=bool(goal.cut_seq),
            files=bool(goal.commit),
            confirm="",
            note=goal.note,
        )
        repository = self._snapshots.repository
        if repository is None or not goal.commit:
            return plan
        await self._snapshots.settled()
        return await self._plan_files(plan, goal, repository, await repository.record())

    async def _plan_files(self, plan: RewindPlanned, goal: _Goal, repository: ShadowRepository, now: Recorded) -> RewindPlanned:
        changes = await repository.changes(now.commit, goal.commit)
        kept = await repository.kept(now.commit, goal.commit)
        own, perhaps = await self._own_paths(repository, goal.commit, now.commit)
        touched = [change for change in changes if change.path not in set(kept)]
        lost = tuple(change.path for change in touched if change.path in own)
        doubtful = tuple(change.path for change in touched if change.path in perhaps)
        return RewindPlanned(
            before_message=plan.before_message,
            conversation=plan.conversation,
            files=plan.files,
            confirm=now.tree,
            snapshot=goal.commit,
            restored=tuple(change.path for change in touched if not change.deleted),
            deleted=tuple(change.path for change in touched if change.deleted),
            own_changes=await repository.diffs(goal.commit, now.commit, lost),
            perhaps_own=await repository.diffs(goal.commit, now.commit, doubtful),
            kept=kept,
            note=" ".join(text for text in (plan.note, now.note, HALF_DONE if doubtful and self._log.state.cut_short else "") if text),
        )

    async def _own_paths(self, repository: ShadowRepository, target: str, now: str) -> tuple[set[str], set[str]]:
        """Files that somebody else than the tools has changed since the target, between two batches that wrote or since the last;
        and those that changed during a batch of which no call named them, or since a rewind that was cut short: by that, or by the
        user beside it.
        """
        taken = [one for one in self._log.state.snapshots if one.commit]
        start = next((place for place, one in enumerate(taken) if one.commit == target), 0)
        steps = [*taken[start:], SnapshotTaken(commit=now, kind="before")]
        own, perhaps = set[str](), set[str]()
        for before, after in pairwise(steps):
            if before.commit == after.commit or (before.kind, after.kind) == ("rewind", "after"):
                continue  # a rewind's own work is known
            changed = {change.path for change in await repository.changes(before.commit, after.commit)}
            if after.kind == "after":
                perhaps |= changed.difference(after.named)
            elif before.kind == "rewind" and before.commit in self._log.state.cut_short:
                perhaps |= changed
            else:
                own |= changed
        return own, perhaps - own

    async def _do(self, operation: Rewind, goal: _Goal) -> None:
        repository = self._snapshots.repository
        if repository is None or not goal.commit:
            done = RewindComplete(before_message=operation.before_message, conversation=bool(goal.cut_seq), files=False, note=goal.note)
        else:
            now = await self._snapshots.record("rewind")
            if now.tree != operation.confirmed_changes:
                plan = await self._plan_files(await self._plan(operation, _Goal(goal.cut_seq, "")), goal, repository, now)
                await self._log.append(plan)
                return
            done = await self._restore(repository, operation, goal, now)
        await self._log.append(*([UndoComplete(cut_seq=goal.cut_seq)] if goal.cut_seq else []), done)

    async def _restore(self, repository: ShadowRepository, operation: Rewind, goal: _Goal, now: Recorded) -> RewindComplete:
        restored = await repository.restore(now, goal.commit, frozenset(operation.keep))
        notes = [goal.note] if goal.note else []
        try:
            await self._snapshots.record("after")
        except SnapshotFailed as error:  # the files have gone back all the same
            notes.append(f"How they are now could not be recorded: {error}")
        return RewindComplete(
            before_message=operation.before_message,
            conversation=bool(goal.cut_seq),
            files=True,
            restored=len(restored.restored),
            deleted=len(restored.deleted),
            kept=restored.kept,
            saved=now.commit,
            note=" ".join(notes),
            failed=restored.failed,
        )
