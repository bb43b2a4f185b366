"""Who sent or decided something, for people. ``sent_by`` itself is for programs: a process's number tells terminals apart."""

from __future__ import annotations

from ml_intern.protocol.operation_base import JOINED

ANOTHER_TERMINAL = "another terminal"
"""Also the ``sent_by`` of one that gave no name."""
OWNER_DECIDED = "in the other terminal"
"""For a terminal that joined: what names nobody was decided where the session is open."""


def sender_words(sent_by: str) -> str:
    """``another terminal``, or the name of somebody on a service: ``bea on Slack``."""
    return ANOTHER_TERMINAL if sent_by.startswith(JOINED) else sent_by


def decided_words(sent_by: str) -> str:
    """Behind what was decided: ``in another terminal``, ``by bea on Slack``."""
    words = sender_words(sent_by)
    return f"in {words}" if words == ANOTHER_TERMINAL else f"by {words}"
