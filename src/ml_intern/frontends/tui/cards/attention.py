"""The bell, and a notification of the desktop, when the app waits for the user or a long turn is over."""

from __future__ import annotations

import asyncio
from typing import Any

from textual.app import App

from ml_intern.frontends.sanitize import one_line
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope

LONG_TURN_S = 30.0
MAX_CHARS = 120


class Attention:
    """An ``EventReader``. ``how`` is the setting ``terminal_notifications``: ``bell``, ``desktop`` (which rings too) or ``off``."""

    def __init__(self, app: App[Any], how: str) -> None:
        self._app = app
        self._how = how
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
            words = one_line(text)[:MAX_CHARS]
            # OSC 9, which iTerm2, kitty, WezTerm, Windows Terminal and Ghostty show; other terminals pass over it.
            self._write(f"\x1b]9;ml-intern {words}\x07")

    def _write(self, sequence: str) -> None:
        driver = self._app._driver  # pyright: ignore[reportPrivateUsage]  # Textual has no public way to write a sequence of one's own
        if driver is not None:
            driver.write(sequence)
