"""When the process whose session this terminal has joined closes it or dies, this terminal opens it itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.session_ids import short_id

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp


class TakeOver:
    """An ``EventReader``. At once where nothing ran; a turn that was cut off may cost money to go on with, so the user decides."""

    def __init__(self, app: TuiApp) -> None:
        self._app = app
        self._turn_runs = False

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self._turn_runs = False

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        match envelope.event:
            case e.Processing():
                self._turn_runs = True
            case e.TurnComplete() | e.Interrupted() | e.ErrorRaised(ends_turn=True):
                self._turn_runs = False
            case e.ConnectionChanged() if envelope.event.over:
                self._vacated(envelope.session)
            case _:
                pass

    def _vacated(self, session_id: str) -> None:
        if self._app.backend is None or not self._app.backend.vacated:
            return
        if self._turn_runs:
            self._turn_runs = False
            self._app.say(
                "It was in the middle of a turn. Your next message opens the session in this terminal and goes on with it.",
                hint=f"/resume {short_id(session_id)} opens it without a message; /new begins another one.",
            )
        else:
            self._app.say("This terminal opens it, and goes on from here.")
            self._app.send(op.Resume(path=session_id))
