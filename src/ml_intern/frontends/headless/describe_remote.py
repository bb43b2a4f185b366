"""In words: what comes from elsewhere, a second terminal or a chat service."""

from __future__ import annotations

from typing import assert_never

from ml_intern.frontends.headless.text import Line, Style, line
from ml_intern.protocol.events import ConnectionChanged, OperationReceived, RemoteAnswered
from ml_intern.protocol.senders import sender_words

_OUTCOMES = {
    "taken": "",
    "kept": "it counts once the question is asked again",
    "lapsed": "it does not count after all: what it answered has changed, or is asked no more",
    "changed": "refused: what is asked has changed since",
    "expired": "refused: the question had expired",
    "foreign": "refused: not on the list of who may answer",
    "late": "too late: it was decided already",
    "unreadable": "refused: it makes no sense",
}


def describe_remote(event: ConnectionChanged | OperationReceived | RemoteAnswered) -> list[Line]:
    """The lines that tell of it."""
    match event:
        case ConnectionChanged():
            style: Style = "dim" if event.state in ("attached", "restored", "ended") else "warn"
            return [line((style, f"· {event.message}"))]
        case OperationReceived():
            return [line(("dim", f"· {sender_words(event.sent_by)}: {event.operation.replace('_', ' ')}"))]
        case RemoteAnswered():
            outcome = _OUTCOMES.get(event.outcome, event.outcome)
            words = f"· {event.user} answered on {event.service} ({event.where}): {event.answer}"
            return [line(("warn" if outcome else "dim", f"{words}{' · ' + outcome if outcome else ''}"))]
        case _:
            assert_never(event)
