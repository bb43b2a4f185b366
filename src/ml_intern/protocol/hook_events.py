"""What the user's hooks did, where somebody should know."""

from __future__ import annotations

from ml_intern.protocol.event_base import Event


class HookRan(Event, frozen=True):
    """A hook ran. ``outcome``: blocked, asked, allowed, changed (the arguments), context (words for the model), stopped (the turn),
    said, failed; one that had none of these is shown as ``ran``, and not stored.

    ``command`` names the hook, ``message`` what it said or what went wrong. ``exit_code`` as the shell counts, None when it did not end
    by itself; ``stderr`` is the first line that it wrote there.
    """

    wire = "hook"
    hook_event_name: str
    command: str
    outcome: str
    message: str = ""
    tool_call_id: str = ""
    duration_s: float = 0.0
    exit_code: int | None = None
    stderr: str = ""
