"""Starts the app on the terminal. Textual is imported here and nowhere before."""

from __future__ import annotations

import gc
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ml_intern.frontends.headless.options import PATIENCE
from ml_intern.frontends.headless.signals import handled
from ml_intern.frontends.jobs_left import jobs_left
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.screen_output import drop_output
from ml_intern.frontends.tui.terminal.driver import TerminalDriver
from ml_intern.protocol.session_ids import short_id

if TYPE_CHECKING:
    from textual.driver import Driver

    from ml_intern.config.load import LoadedSettings
    from ml_intern.frontends.tui.backend import Backend, OpenBackend


def run_app(open_backend: OpenBackend, loaded: LoadedSettings, *, resume: str | None, first: str = "") -> int:
    """Run it until the user leaves; returns the exit code. ``resume`` is an id, a unique prefix, an index or ``last``; ``first`` a command.

    Raises whatever ended the app, with the terminal as it was before.
    """

    opened: list[Backend] = []

    async def opening() -> Backend:
        now = app.loaded  # the app may have been given a model or a key since
        opened.append(await open_backend(loaded=now, resume=resume, auto_approve=False, read_only=now.settings.read_only))
        return opened[-1]

    app = ProcessApp(opening, loaded, first=first)
    code = app.run() or 0
    if app.failure is not None:
        raise app.failure
    if app.ended_by is signal.SIGHUP:
        drop_output()
    if (figures := app.figures).turn_count:
        print(f"To go on with this session:  ml-intern --resume {short_id(figures.session_id)}")
    for backend in opened:
        left = "" if backend.owner else jobs_left(backend.state, backend.session_id)
        for text in filter(None, (left, *backend.last_words)):
            print(one_line(text))
    return code if app.ended_by is None else 128 + app.ended_by


class ProcessApp(TuiApp):
    """One that owns the process: a signal, or a terminal that was closed, ends it as its user would, with the session closed."""

    ended_by: signal.Signals | None = None

    def get_driver_class(self) -> type[Driver]:
        return TerminalDriver

    def on_mount(self) -> None:
        self._signals = ExitStack()
        self._signals.enter_context(handled(self._on_signal))

    def _start(self) -> None:
        """What the start has made lives to the end: no later look for cycles goes through it, while somebody types."""
        gc.freeze()
        super()._start()

    async def on_unmount(self) -> None:
        self._signals.close()

    def terminal_gone(self) -> None:
        """Nothing can be written any more, also where the signal that says so is switched off (``nohup``)."""
        self._on_signal(signal.SIGHUP)

    def _on_signal(self, number: signal.Signals) -> None:
        """Nobody may be there to ask again, so the session has a while to close and no longer."""
        if self.ended_by is signal.SIGHUP is number:
            return  # a terminal that closes says so more than once
        first, self.ended_by = self.ended_by is None, self.ended_by or number
        self.leave(128 + number)
        if first:
            self.set_timer(PATIENCE.stop_s, lambda: self.exit(128 + number))
