"""Messages for after the turn: Alt+Enter keeps them back, where Enter would steer the turn that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

MOST = 50


class Queue:
    """An ``EventReader``: one message at the end of each turn, in the order they were written."""

    def __init__(self, app: TuiApp) -> None:
        self._app = app
        self._waiting: list[op.UserInput] = []

    @property
    def waiting(self) -> tuple[str, ...]:
        """Their texts."""
        return tuple(message.text for message in self._waiting)

    def add(self, message: op.UserInput) -> bool:
        """Keep it back. False when there are too many."""
        if len(self._waiting) >= MOST:
            return False
        self._waiting.append(message)
        self._show()
        return True

    def take_back(self) -> str | None:
        """The newest one, to write on; None when nothing waits."""
        text = self._waiting.pop().text if self._waiting else None
        self._show()
        return text

    def take_all(self) -> tuple[str, ...]:
        """Nothing is sent any more."""
        texts = self.waiting
        self._waiting.clear()
        self._show()
        return texts

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``: what was meant for one session is not for another."""
        self._waiting.clear()
        self._show()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``. After an error nothing is sent by itself; see ``WaitingLines`` for an interrupt."""
        if live and isinstance(envelope.event, e.TurnComplete) and self._waiting:
            message = self._waiting.pop(0)
            self._show()
            self._app.send(message)

    def _show(self) -> None:
        self._app.waiting_lines.keep_back(self.waiting)
