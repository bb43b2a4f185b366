"""What the user says while a turn runs."""

from __future__ import annotations

from msgspec import Struct, field

from ml_intern.protocol.events import Interrupted
from ml_intern.protocol.messages import UnreadMessage
from ml_intern.protocol.operations import UserInput


class Inbox(Struct, kw_only=True):
    """What arrived while the turn ran, for its next step."""

    messages: list[UserInput] = field(default_factory=list[UserInput])
    unread: list[UserInput] = field(default_factory=list[UserInput])
    """What an interrupt kept from being read."""
    compact: bool = False

    def interrupted(self) -> Interrupted:
        """The event that gives back what was not read."""
        unread, self.unread = self.unread, []
        return Interrupted(unread=tuple(UnreadMessage(one.text, one.images, one.sent_by) for one in unread))
