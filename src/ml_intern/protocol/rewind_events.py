"""Events of snapshots and of going back to one."""

from __future__ import annotations

from ml_intern.protocol.display import Diff
from ml_intern.protocol.event_base import Event


class SnapshotTaken(Event, frozen=True):
    """The workspace's files as they are now lie in the shadow repository as ``commit``.

    ``kind``: ``before`` (before tools write: the first of a turn belongs to the user message ``message_seq``, else that is 0),
    ``after`` (after tools wrote, with the paths that they ``named`` and that are as they left them) or ``rewind`` (before a rewind).
    ``commit`` is empty when there is none; ``note`` says why, or which files are left out.
    """

    wire = "snapshot"
    commit: str
    kind: str
    message_seq: int = 0
    note: str = ""
    named: tuple[str, ...] = ()


class RewindPlanned(Event, frozen=True):
    """What a rewind would do. ``confirm`` is for ``rewind.confirmed_changes``; paths start at the workspace.

    ``own_changes`` are the user's own edits that the files would lose, from what would be to what is; ``perhaps_own`` those made
    while a tool ran that did not name the file, or after it wrote it, or by a rewind that was cut short: by these, or by the user.
    ``kept`` are files that are left alone, because nothing has saved them or because they may have been there at that time too.
    """

    wire = "rewind_planned"
    before_message: int
    conversation: bool
    files: bool
    confirm: str
    snapshot: str = ""
    restored: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    own_changes: tuple[Diff, ...] = ()
    perhaps_own: tuple[Diff, ...] = ()
    kept: tuple[str, ...] = ()
    note: str = ""


class RewindComplete(Event, frozen=True):
    """Done. ``saved`` is the snapshot of how the files were before: ``rewind.to_snapshot`` brings them back.

    ``failed``: files that could not be changed, each with the reason. ``cut_short``: the program ended in the midst of it, which is told
    at the next start: some files are as they were, others went back, and the conversation did not.
    """

    wire = "rewind_complete"
    before_message: int
    conversation: bool
    files: bool
    restored: int = 0
    deleted: int = 0
    kept: tuple[str, ...] = ()
    saved: str = ""
    note: str = ""
    failed: tuple[str, ...] = ()
    cut_short: bool = False
