"""The terminal as the app has it: what is drawn, what is typed, and what it answers when it is asked.

``run_input_thread`` is Textual's own with one step more: answers are taken out before the parser would make keys of them. The parser
is none of Textual's public names; ``tests/tui/test_terminal_driver.py`` fails when Textual changes that method.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import selectors
import signal
import struct
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from textual.app import App

from ml_intern.frontends.tui.screen_output import LastingDriver
from ml_intern.frontends.tui.terminal.parser import KeyParser

if TYPE_CHECKING:
    from ml_intern.frontends.tui.terminal.abilities import Terminal
    from ml_intern.frontends.tui.terminal.answers import Answer, AnswerFilter

READ_BYTES = 4_096
LOOK_EVERY_S = 0.1


@runtime_checkable
class AsksTerminal(Protocol):
    """An app that asks the terminal."""

    def terminal_open(self, terminal: Terminal) -> None:
        """It can be asked from now on."""
        ...

    def terminal_closing(self) -> None:
        """It is somebody else's from now on: for a while, or for good."""
        ...

    def terminal_answered(self, answer: Answer) -> None:
        """Called on the event loop."""
        ...


class TerminalDriver(LastingDriver):
    """See the module."""

    def __init__(self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._asking = app if isinstance(app, AsksTerminal) else None
        self._answers: AnswerFilter | None = None
        self._ours = False
        if self._asking is not None and self.input_tty:
            self._asking.terminal_open(self)

    # ── what is written ──────────────────────────────────────────────────────────────────────────────────────────────

    def start_application_mode(self) -> None:
        super().start_application_mode()
        self._ours = True

    def stop_application_mode(self) -> None:
        if self._ours and self._asking is not None:
            self._asking.terminal_closing()
        self._ours = False
        super().stop_application_mode()

    # ── stopping and going on ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def can_stop(self) -> bool:
        """False where no shell would bring it back: in what a terminal was opened for. The kernel stops no such group (setpgid(2))."""
        return os.getpgrp() != os.getsid(0)

    def stop_job(self) -> None:
        """Stop all of the job that the app is part of, as the terminal itself would do for Ctrl-Z: a script that started the app is in it,
        and its shell waits until that is stopped too. Returns when the job goes on.
        """
        self.suspend_application_mode()
        self._must_signal_resume = True
        textuals = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, textuals)
        self._sigcont_application()  # the group may have been orphaned in another way: then nothing has stopped

    def _sigcont_application(self, *_: object) -> None:
        """Textual's own, but in a terminal that is the app's already it begins nothing anew."""
        if self._auto_restart and not (self._key_thread is not None and self._key_thread.is_alive()):
            self.resume_application_mode()

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def raw(self, text: str) -> bool:
        """See ``Terminal``."""
        if self._ours:
            self.write(text)
        return self._ours

    def ask(self, questions: str) -> None:
        """See ``Terminal``."""
        from ml_intern.frontends.tui.terminal.answers import AnswerFilter  # not before the first paint

        if self._ours:
            self._answers = AnswerFilter()
            self.raw(questions)

    def cell_pixels(self) -> tuple[int, int] | None:
        """See ``Terminal``: the ioctl of tty_ioctl(4)."""
        with suppress(OSError):
            rows, columns, width, height = struct.unpack("HHHH", fcntl.ioctl(self.fileno, termios.TIOCGWINSZ, bytes(8)))
            if rows and columns and width >= columns and height >= rows:
                return width // columns, height // rows
        return None

    # ── what is typed ────────────────────────────────────────────────────────────────────────────────────────────────

    def run_input_thread(self) -> None:
        """Runs until ``exit_event``, or the end of the terminal; not on the event loop."""
        parser = KeyParser(self._debug)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            there = True
            while there and not self.exit_event.is_set():
                there = self._read(parser, decoder, bool(selector.select(LOOK_EVERY_S)))
            if there:
                self._read(parser, decoder, bool(selector.select(LOOK_EVERY_S)))
            else:
                self.tell_gone()
        for _ in parser.feed(""):
            pass  # its end: what is left is no key

    def _read(self, parser: KeyParser, decoder: codecs.IncrementalDecoder, ready: bool) -> bool:
        """False when the terminal is gone: it is ready to be read for ever then, and there is nothing to read."""
        filtering, now = self._answers, time.monotonic()
        data = self._bytes() if ready else b""
        if ready and not data:
            return False
        keys = decoder.decode(data)
        if filtering is not None:
            keys = filtering.late(now) + filtering.feed(keys, now)
        if keys:  # nothing at all would be the end for the parser
            for event in parser.feed(keys):
                self.process_message(event)
        for event in parser.tick():
            self.process_message(event)
        for answer in filtering.take() if filtering is not None else ():
            if self._asking is not None:
                self._loop.call_soon_threadsafe(self._asking.terminal_answered, answer)
        return True

    def _bytes(self) -> bytes:
        try:
            return os.read(self.fileno, READ_BYTES)
        except OSError:  # EIO: the other end was closed
            return b""
