"""The installed command on a terminal that is asked what it can: one that answers, answers in pieces, or does not answer."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.tui.terminal_pictures import SIXEL, kitty_commands, pixels_of

PATIENCE_S = 30
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x1f]")
LAST_QUESTION = "\x1b]11;?\x1b\\\x1b[c"
KITTY = "\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.42.1)\x1b\\\x1b[6;20;10t\x1b]11;rgb:fafa/fafa/f0f0\x1b\\\x1b[?62;c"
FOOT = "\x1bP>|foot(1.17)\x1b\\\x1b[6;20;10t\x1b]11;rgb:1010/1010/1010\x1b\\\x1b[?62;4;22c"
CTRL_C = "\x03"


class AskedTerminal:
    """The command on a terminal of 100 × 40. What the terminal answers is written as a test says."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.drawn = ""
        self._read_to = 0
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR", "TERM_PROGRAM", "COLORFGBG")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ml_intern", "--model", "scripted/script.yaml"],
            cwd=folder,
            env={**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **environ},
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
        )

    def until(self, text: str, *, raw: bool = False) -> None:
        """Until it is drawn behind what was waited for before; ``raw``: with control data."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in (self.drawn[self._read_to :] if raw else _CONTROL.sub("", self.drawn[self._read_to :])):
            assert time.monotonic() < deadline, f"{text!r} was never drawn; the end: {_CONTROL.sub('', self.drawn)[-600:]!r}"
            self._read()
        self._read_to = len(self.drawn)

    def write(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def write_in_pieces(self, text: str) -> None:
        """Each character only when the one before it was read."""
        for character in text:
            self.write(character)
            deadline = time.monotonic() + PATIENCE_S
            while struct.unpack("i", fcntl.ioctl(self._slave, termios.FIONREAD, bytes(4)))[0]:
                assert time.monotonic() < deadline, "nobody reads what is typed"
                self._read(0.001)

    def leave(self) -> int:
        """The exit code; what was drawn to the end is kept."""
        self.write(CTRL_C + CTRL_C)
        while self._process.poll() is None:
            self._read(0.05)
        self._read(0.05)
        return self._process.returncode

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _read(self, patience_s: float = PATIENCE_S) -> None:
        if select.select([self._master], [], [], patience_s)[0]:
            self.drawn += os.read(self._master, 1 << 16).decode(errors="replace")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    steps = "steps:\n  - calls:\n    - read: {path: plot.png}\n  - text: The plot is **shown**.\n"
    (tmp_path / "script.yaml").write_text(steps)
    picture = Image.new("RGB", (200, 120), (255, 255, 255))
    picture.paste((200, 30, 40), (20, 20, 120, 100))
    picture.save(tmp_path / "plot.png")
    return tmp_path


@pytest.fixture
def terminals() -> Iterator[list[AskedTerminal]]:
    opened: list[AskedTerminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def asked(terminals: list[AskedTerminal], folder: Path, **environ: str) -> AskedTerminal:
    terminal = AskedTerminal(folder, **environ)
    terminals.append(terminal)
    terminal.until(LAST_QUESTION, raw=True)
    return terminal


@pytest.mark.parametrize("answers", [KITTY, FOOT], ids=["kitty", "foot"])
def test_answers_in_pieces_are_no_keys(folder: Path, terminals: list[AskedTerminal], answers: str) -> None:
    terminal = asked(terminals, folder)
    terminal.write_in_pieces(answers)
    terminal.write("show me\r")
    terminal.until("❯ show me")
    terminal.until("The plot is shown.")
    assert terminal.leave() == 0


def test_a_late_answer_is_no_key(folder: Path, terminals: list[AskedTerminal]) -> None:
    terminal = asked(terminals, folder)
    terminal.write("show")
    terminal.until("show")
    terminal.write(FOOT)
    terminal.write(" me\r")
    terminal.until("❯ show me")
    assert terminal.leave() == 0


def test_a_terminal_that_never_answers_is_used_as_any_other(folder: Path, terminals: list[AskedTerminal]) -> None:
    terminal = asked(terminals, folder)
    terminal.write("show me\r")
    terminal.until("▀▀▀▀")
    terminal.until("200 × 120 pixels")
    assert terminal.leave() == 0
    assert "\x1b_Ga=T" not in terminal.drawn
    assert not SIXEL.search(terminal.drawn)


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"NO_COLOR": "1"}], ids=["dumb", "no colours"])
def test_a_terminal_that_would_not_understand_is_not_asked(folder: Path, terminals: list[AskedTerminal], environ: dict[str, str]) -> None:
    terminal = AskedTerminal(folder, **environ)
    terminals.append(terminal)
    terminal.until("script.yaml")
    terminal.write("show me\r")
    terminal.until("200 × 120 pixels")
    assert terminal.leave() == 0
    assert "\x1b[c" not in terminal.drawn
    assert "▀" not in terminal.drawn


def test_kitty_is_sent_the_plot_once_and_forgets_it_at_the_end(folder: Path, terminals: list[AskedTerminal]) -> None:
    terminal = asked(terminals, folder)
    terminal.write(KITTY)
    terminal.until("\x1b[48;2;251;250;247m", raw=True)  # the light theme's background, as the terminal said
    terminal.write("show me\r")
    terminal.until("\U0010eeee", raw=True)
    assert terminal.leave() == 0
    sent, gone = (command for command in kitty_commands(terminal.drawn) if command.keys["a"] in "Td")
    number = int(sent.keys["i"])
    assert (sent.keys["a"], sent.keys["U"], gone.keys) == ("T", "1", {"a": "d", "d": "I", "q": "2", "i": str(number)})
    with Image.open(io.BytesIO(sent.data)) as picture:
        assert picture.size == (200, 120)
        assert picture.convert("RGB").getpixel((60, 60)) == (200, 30, 40)
    named = f"\x1b[38;2;{number >> 16};{number >> 8 & 255};{number & 255}"
    first = next(part for part in terminal.drawn.split("\x1b[38;2;") if "\U0010eeee" in part)
    assert named in terminal.drawn
    assert f"\x1b[38;2;{first}".startswith(named)
    assert first.count("\U0010eeee") == 20


def test_sixels_are_painted_where_the_plot_stands(folder: Path, terminals: list[AskedTerminal]) -> None:
    terminal = asked(terminals, folder)
    terminal.write(FOOT)
    terminal.write("show me\r")
    terminal.until("The plot is shown.")
    terminal.until("\x1bP0;1;0q", raw=True)
    assert terminal.leave() == 0
    found = re.findall(r"\x1b7\x1b\[(\d+);(\d+)H(\x1bP[\d;]*q[^\x1b]*\x1b\\)\x1b8", terminal.drawn)
    row, column, sixel = found[-1]
    (data,) = SIXEL.findall(sixel)
    painted = pixels_of(data)
    assert (len(painted[0]), len(painted)) == (200, 120)
    assert painted[60][60] is not None
    assert max(abs(part - whole) for part, whole in zip(painted[60][60], (200, 30, 40), strict=True)) <= 3
    assert column == "5"
    assert f"\x1b[{row};" in terminal.drawn
