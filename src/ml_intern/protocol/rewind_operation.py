"""The operation that takes back conversation and files."""

from __future__ import annotations

from ml_intern.protocol.operation_base import Operation


class Rewind(Operation, tag="rewind", frozen=True):
    """Go back to before the ``before_message``-th user message (from 0): conversation, files, or both.

    Two steps. Without ``confirmed_changes`` nothing changes: ``rewind_planned`` tells what would. Sent again with that event's
    ``confirm``, it is done (``rewind_complete``), unless the files have changed since: then there is a new plan. ``to_snapshot``
    goes to that snapshot's files instead, and takes back a rewind: it goes with ``conversation`` false. The files of ``keep`` are left
    as they are.
    """

    before_message: int = 0
    conversation: bool = True
    files: bool = True
    confirmed_changes: str | None = None
    to_snapshot: str = ""
    keep: tuple[str, ...] = ()
