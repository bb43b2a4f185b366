"""Run the headless frontend against a fake host, with real pipes or a real pseudo-terminal around it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ml_intern.frontends.headless.options import PATIENCE, HeadlessOptions, Patience
from ml_intern.frontends.headless.output import Console
from ml_intern.frontends.headless.run import run_headless
from tests.unit.frontends.fake_host import FakeHost, Play, loaded_with


@dataclass
class Result:
    """What came out: text, and for a terminal also what is on its screen (scrollback included)."""

    code: int
    out: str
    err: str
    host: FakeHost
    screen: list[str]

    @property
    def shown(self) -> str:
        return "\n".join(self.screen)


class Reader(threading.Thread):
    """Collects what is written to a descriptor until its other end is closed."""

    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True)
        self._fd = fd
        self._parts: list[bytes] = []
        self.start()

    def run(self) -> None:
        try:
            while data := os.read(self._fd, 65_536):
                self._parts.append(data)
        except OSError:  # a pseudo-terminal says EIO when its other side is closed
            pass
        finally:
            os.close(self._fd)

    def text(self) -> str:
        self.join()
        return b"".join(self._parts).decode()


@contextmanager
def _ends(*, terminal: bool, columns: int, rows: int) -> Iterator[tuple[int, Reader]]:
    if terminal:
        reading, writing = pty.openpty()
        fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    else:
        reading, writing = os.pipe()
    reader = Reader(reading)
    yield writing, reader
    os.close(writing)
    reader.join()


async def headless(
    play: Play,
    *,
    terminal: bool = False,
    columns: int = 80,
    rows: int = 24,
    environ: Mapping[str, str] | None = None,
    host: FakeHost | None = None,
    patience: Patience = PATIENCE,
    **options: Any,
) -> Result:
    host = host or FakeHost(play)

    async def open_host(**_given: Any) -> FakeHost:
        return host

    with (
        _ends(terminal=terminal, columns=columns, rows=rows) as (stdout, out),
        _ends(terminal=False, columns=columns, rows=rows) as (stderr, err),
    ):
        console = Console(stdout=stdout, stderr=stderr, stdout_is_terminal=terminal)
        given = HeadlessOptions(**{"prompt": "do it", **options})
        code = await run_headless(
            open_host, loaded_with({"TERM": "xterm-256color"} if environ is None else environ), given, console, patience
        )
    return Result(code, out.text(), err.text(), host, Screen(columns).feed(out.text()).lines if terminal else [])


class Screen:
    """As much of a terminal as the frontend may use; whatever else arrives is an error."""

    _TOKEN = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|\r|\n|([^\x00-\x1f\x7f-\x9f])|(.)", re.DOTALL)

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rows: list[list[str]] = [[]]
        self._row = self._column = 0

    def feed(self, text: str) -> Screen:
        for match in self._TOKEN.finditer(text):
            argument, command, printable, other = match.groups()
            assert other is None, f"the terminal was sent {other!r}"
            if printable:
                self._print(printable)
            elif match[0] == "\r":
                self._column = 0
            elif match[0] == "\n":
                self._move_down()
            else:
                self._command(command, argument)
        return self

    @property
    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self._rows]

    def _print(self, character: str) -> None:
        if self._column == self._columns:
            self._column = 0
            self._move_down()
        row = self._rows[self._row]
        row.extend(" " * (self._column + 1 - len(row)))
        row[self._column] = character
        self._column += 1

    def _move_down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append([])

    def _command(self, command: str, argument: str) -> None:
        match command:
            case "m":
                pass
            case "A":
                self._row -= int(argument)
                assert self._row >= 0
            case "J":
                assert argument in ("", "0")
                del self._rows[self._row + 1 :]
                del self._rows[self._row][self._column :]
            case _:
                raise AssertionError(f"the terminal was sent CSI {argument} {command}")
