"""What an undo took back, in the words that began it: whoever reads a log does not know its numbers."""

from __future__ import annotations

from ml_intern.protocol.amounts import counted
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import UserMessageAdded

TURN_CHARS = 60


class TurnsSaid:
    """What began each turn, by its number in the log."""

    def __init__(self) -> None:
        self._turns: list[tuple[int, str]] = []

    def read(self, envelope: Envelope) -> None:
        """Remember a turn's beginning; other events change nothing."""
        event = envelope.event
        if isinstance(event, UserMessageAdded) and not event.steering:
            self._turns.append((envelope.seq or 0, " ".join(event.content.split())))

    def cut(self, cut_seq: int) -> str:
        """Forget the turns from there on, and say which they were."""
        gone = [text for seq, text in self._turns if seq >= cut_seq]
        self._turns = [turn for turn in self._turns if turn[0] < cut_seq]
        if not gone:  # it was not seen: a follower came later
            return "what was said last was taken back"
        text = gone[0] if len(gone[0]) <= TURN_CHARS else f"{gone[0][: TURN_CHARS - 1].rstrip()}…"
        behind = f" and {counted(len(gone) - 1, 'turn')} behind it were" if len(gone) > 1 else " was"
        return f"the turn “{text}”{behind} taken back"
