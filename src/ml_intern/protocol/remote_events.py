"""Events about whoever takes part from elsewhere: a second terminal, a chat service."""

from __future__ import annotations

from ml_intern.protocol.event_base import Event


class ConnectionChanged(Event, frozen=True):
    """Said to a terminal that watches a session of another process, by its own connection. ``message`` is a sentence for the user.

    ``state``: ``attached``, ``lost`` (it is being tried again), ``restored``, ``ended`` (the session was closed there) or ``gone``
    (the owner's process died).
    """

    wire = "connection_changed"
    transient = True
    state: str
    message: str

    @property
    def over(self) -> bool:
        """Whether nothing more comes from there."""
        return self.state in ("ended", "gone")


class OperationReceived(Event, frozen=True):
    """A terminal that has joined the session sent this operation. Messages and answers are not told so: their events say whose they are.

    ``operation`` is its ``type``, ``sent_by`` as of ``Operation``.
    """

    wire = "operation_received"
    transient = True
    operation: str
    sent_by: str


class RemoteAnswered(Event, frozen=True):
    """Somebody answered, or tried to, through a service such as Slack: the audit of every such answer, refused ones too.

    ``keys`` are ids of pending calls, or of one question. ``outcome``: ``taken``, ``kept`` (it counts once a resumed session has asked
    again, unless ``lapsed`` follows: the call is another one now, or was asked no more), ``changed`` (it was for another call than what is
    asked now), ``expired``, ``foreign`` (not on the list of who may), ``late`` (already decided) or ``unreadable``.
    """

    wire = "remote_answered"
    service: str
    user: str
    where: str
    keys: tuple[str, ...]
    answer: str
    outcome: str
