"""Whose business an error is: one about an operation is shown in the terminal that sent it, and nowhere else."""

from __future__ import annotations

from ml_intern.protocol.events import AnyEvent, ErrorRaised


def is_anothers_error(event: AnyEvent, sender: str) -> bool:
    """``sender``: what the session calls this terminal, empty where it is its own."""
    return isinstance(event, ErrorRaised) and event.sent_by is not None and event.sent_by != sender
