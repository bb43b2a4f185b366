"""What is typed at a terminal, without a thread that nobody can stop: whole lines, or single keys into a line that we draw."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import termios
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

from ml_intern.frontends.calm import CALM_S

READ_BYTES = 4096
LONGEST_LINE = 64 * 1024
"""Characters of one that is edited, bytes of one that comes whole."""
STOP_KEY = b"\x1a"
PASTES_ON, PASTES_OFF = "\x1b[?2004h", "\x1b[?2004l"
"""Bracketed paste (xterm): what is pasted comes between two marks, so that its line breaks send nothing."""
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|[^\[O])", re.DOTALL)
_PASTE_END = "\x1b[201~"


class LineBuffer:
    """Bytes in, whole lines out; what is longer than a line may be is dropped."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now."""
        *complete, rest = (self._rest + data).split(b"\n")
        self._rest = rest if len(rest) <= LONGEST_LINE else b""
        return [row.decode("utf-8", "replace") for row in complete]


class Typist(Protocol):
    """Who is told what was typed."""

    def key(self) -> None:
        """Something is typed."""
        ...

    @property
    def about(self) -> str:
        """To what a line belongs that begins now."""
        ...

    def typed(self, text: str, about: str) -> bool:
        """A line, ended with Enter, and to what it belonged when it was begun. False when it is not taken: it stays."""
        ...

    def decides(self, text: str, about: str) -> bool:
        """Whether this character alone is a whole answer, if nothing follows it."""
        ...

    def full(self) -> None:
        """More came than the line holds: it is not ended before the user has deleted some of it."""
        ...

    def escape(self) -> None:
        """Esc."""
        ...

    def leave(self) -> None:
        """Ctrl-D on an empty line, or the end of the terminal."""
        ...


class Editor:
    """One line that is edited with the usual keys. ``quiet_s``: nothing follows a character that came alone for so long."""

    def __init__(self, typist: Typist, *, quiet_s: float = CALM_S) -> None:
        self.text = ""
        self.place = 0
        """Of the cursor: characters before it."""
        self._typist = typist
        self._quiet_s = quiet_s
        self._quiet: asyncio.TimerHandle | None = None
        self._about = ""
        self._alone = False
        """Whether one key began the line and none has changed it since."""
        self._full = False
        """Whether something of the line was not taken, for there was no room."""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._pasted: list[str] | None = None

    def feed(self, data: bytes) -> None:
        """What the terminal sent: keys, or part of a paste."""
        self.close()
        self._typist.key()
        self._read(data)
        if self._alone and self._typist.decides(self.text, self._about):
            self._quiet = asyncio.get_running_loop().call_later(self._quiet_s, self._enter)

    def close(self) -> None:
        """What stands on the line is not sent by itself any more."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None

    def _read(self, data: bytes) -> None:
        text, self._rest = self._rest + self._decode(data), ""
        while text:
            if self._pasted is not None:
                text = self._paste(text)
            elif text[0] != "\x1b":
                self._character(text[0])
                text = text[1:]
            elif text == "\x1b":  # a sequence comes in one piece: this is the key
                self._typist.escape()
                return
            elif match := _SEQUENCE.match(text):
                self._sequence(match[0])
                text = text[match.end() :]
            else:
                self._rest = text if len(text) < READ_BYTES else ""
                return

    def _enter(self) -> None:
        if self._full:
            self._typist.full()
        elif self._typist.typed(self.text, self._about):
            self.text, self.place, self._alone = "", 0, False

    def _paste(self, text: str) -> str:
        """Take what belongs to the paste; the rest."""
        assert self._pasted is not None
        whole = "".join(self._pasted) + text
        inside, end, rest = whole.partition(_PASTE_END)
        if not end:
            ends = len(_PASTE_END)  # of what is too long for the line anyway, the end may be the beginning of the mark
            self._pasted = [whole if len(whole) <= LONGEST_LINE + ends else whole[: LONGEST_LINE + 1] + whole[-ends:]]
            return ""
        self._pasted = None
        self._insert(inside.replace("\r\n", "\n").replace("\r", "\n"))
        self._alone = False
        return rest

    def _character(self, key: str) -> None:
        match key:
            case "\r" | "\n":
                self._enter()
            case "\x7f" | "\x08":
                self._delete(self.place - 1, self.place)
            case "\x15":
                self._delete(0, self.place)
            case "\x17":
                self._delete(len("".join(self.text[: self.place].rstrip().rpartition(" ")[:2])), self.place)
            case "\x01":
                self.place = 0
            case "\x05":
                self.place = len(self.text)
            case "\x04" if not self.text:
                self._typist.leave()
            case _ if key.isprintable():
                self._insert(key)
            case _:
                pass

    def _sequence(self, sequence: str) -> None:
        match sequence:
            case "\x1b[200~":
                self._pasted = []
            case "\x1b[D" | "\x1bOD":
                self.place = max(0, self.place - 1)
            case "\x1b[C" | "\x1bOC":
                self.place = min(len(self.text), self.place + 1)
            case "\x1b[H" | "\x1bOH" | "\x1b[1~":
                self.place = 0
            case "\x1b[F" | "\x1bOF" | "\x1b[4~":
                self.place = len(self.text)
            case "\x1b[3~":
                self._delete(self.place, self.place + 1)
            case _:
                pass

    def _insert(self, text: str) -> None:
        if len(self.text) + len(text) > LONGEST_LINE:
            if not self._full:
                self._typist.full()
            self._full = True
        else:
            self._alone = not self.text
            if not self.text:
                self._about = self._typist.about
            self.text = self.text[: self.place] + text + self.text[self.place :]
            self.place += len(text)

    def _delete(self, start: int, end: int) -> None:
        start, self._alone, self._full = max(0, start), False, False
        self.text = self.text[:start] + self.text[end:]
        self.place = start


@contextmanager
def bytes_from(fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> Generator[None]:
    """Call ``on_data`` in the event loop with what comes, and ``on_end`` at the end of input."""
    loop = asyncio.get_running_loop()

    def readable() -> None:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # the terminal is gone
        if data:
            on_data(data)
        else:
            loop.remove_reader(fd)
            on_end()

    loop.add_reader(fd, readable)
    try:
        yield
    finally:
        loop.remove_reader(fd)


@contextmanager
def lines_from(fd: int, on_line: Callable[[str], object], on_end: Callable[[], None]) -> Generator[None]:
    """Call ``on_line`` in the event loop for each line typed, and ``on_end`` at the end of input (Ctrl-D)."""
    buffer = LineBuffer()

    def on_data(data: bytes) -> None:
        for text in buffer.feed(data):
            on_line(text)

    with bytes_from(fd, on_data, on_end):
        yield


class SingleKeys:
    """The terminal hands on each key at once and echoes none; Ctrl-C is still a signal. As it was before, afterwards.

    Ctrl-Z is a key (``STOP_KEY``): as a signal it would stop a script that started this program before the terminal is given back.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before = termios.tcgetattr(fd)

    def take(self) -> None:
        """From now on; again after the terminal was somebody else's."""
        tty.setcbreak(self._fd, termios.TCSADRAIN)
        modes = termios.tcgetattr(self._fd)
        modes[6][termios.VSUSP] = bytes([os.fpathconf(self._fd, "PC_VDISABLE")])
        termios.tcsetattr(self._fd, termios.TCSADRAIN, modes)

    def give_back(self) -> None:
        """As it was."""
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def __enter__(self) -> SingleKeys:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()
