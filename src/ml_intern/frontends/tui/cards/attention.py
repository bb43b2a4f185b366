"""The bell, and a notification of the desktop, when the app waits for the user or a long turn is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.desktop import DesktopApp
from ml_intern.frontends.tui.terminal.notify import notification, shows_notifications
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope

LONG_TURN_S = 30.0
MAX_CHARS = 120


class Attention:
    """An ``EventReader``. ``how`` is the setting ``terminal_notifications``: ``auto``, ``bell``, ``desktop`` or ``off``.
    ``write`` hands control data to the terminal.
    """

    def __init__(self, app: DesktopApp, how: str, *, write: Callable[[str], object] | None = None) -> None:
        self._app = app
        self._how = "desktop" if how == "auto" and shows_notifications(app.loaded.environ) else how
        self._write = write or self._to_driver
        self._turn_began: float | None = None

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self._turn_began = None

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        if not live:
            return
        now = asyncio.get_running_loop().time()
        match envelope.event:
            case e.Processing():
                self._turn_began = now
            case e.ApprovalRequired(tools=tools):
                self._call(f"waits for you: {tools[0].tool if tools else 'approval'}")
            case e.QuestionAsked(question=question):
                self._call(f"asks: {question}")
            case e.TurnComplete() | e.ErrorRaised(ends_turn=True):
                if self._turn_began is not None and now - self._turn_began > LONG_TURN_S:
                    self._call("is done" if isinstance(envelope.event, e.TurnComplete) else "stopped with an error")
                self._turn_began = None
            case _:
                pass

    def _call(self, text: str) -> None:
        if self._how == "off":
            return
        self._app.bell()
        if self._how == "desktop":
            self._write(notification(f"ml-intern {one_line(text)[:MAX_CHARS]}", self._app.loaded.environ))

    def _to_driver(self, sequence: str) -> None:
        driver = self._app._driver  # pyright: ignore[reportPrivateUsage]  # Textual has no public way to write a sequence of one's own
        if driver is not None:
            driver.write(sequence)
