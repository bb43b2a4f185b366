"""When the process whose session this terminal has joined closes it or dies, this terminal opens it itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.call_states import DECIDED
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.session_ids import short_id

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp


class TakeOver:
    """An ``EventReader``. At once where nothing ran, or where a call only waited to be decided: it is asked about again. Another turn
    that was cut off may cost money to go on with, so the user decides.
    """

    def __init__(self, app: TuiApp) -> None:
        self._app = app
        self._turn_runs = False
        self._undecided: set[str] = set()

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self._over()

    def _over(self) -> None:
        self._turn_runs = False
        self._undecided.clear()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        match envelope.event:
            case e.Processing():
                self._turn_runs = True
            case e.TurnComplete() | e.Interrupted() | e.ErrorRaised(ends_turn=True):
                self._over()
            case e.ApprovalRequired(tools=tools, usage_threshold=False, yolo_budget=False):
                self._undecided |= {tool.tool_call_id for tool in tools}
            case e.ToolStateChange(tool_call_id=key, state=state) if state in DECIDED:
                self._undecided.discard(key)
            case e.ToolFinished(tool_call_id=key):
                self._undecided.discard(key)
            case e.ConnectionChanged() if envelope.event.over:
                self._vacated(envelope.session)
            case _:
                pass

    def _vacated(self, session_id: str) -> None:
        if self._app.backend is None or not self._app.backend.vacated:
            return
        runs, undecided = self._turn_runs, bool(self._undecided)
        self._over()
        if undecided:
            self._app.say("What waited for you was not run. This terminal opens the session, and asks again.")
            self._app.send(op.Resume(path=session_id))
        elif runs:
            self._app.say(
                "It was in the middle of a turn. Your next message opens the session in this terminal and goes on with it.",
                hint=f"/resume {short_id(session_id)} opens it without a message; /new begins another one.",
            )
        else:
            self._app.say("This terminal opens it, and goes on from here.")
            self._app.send(op.Resume(path=session_id))
