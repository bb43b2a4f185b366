"""The terminal app as its user has it: the installed command on a pseudo-terminal, from the first key to the shell's prompt."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE_S = 30
_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x1f]")
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"
CTRL_C = "\x03"


class Screen:
    """The command on a terminal of 100 × 30."""

    def __init__(self, folder: Path, *arguments: str, nohup: bool = False) -> None:
        self.drawn = ""
        self._read_to = 0
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(TERM="xterm-256color", LANG="C.UTF-8")
            signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)
            os.execv(sys.executable, [sys.executable, "-m", "ml_intern", *arguments])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

    def until(self, text: str) -> None:
        """Until it is drawn, behind what was waited for before."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in _CONTROL.sub("", self.drawn[self._read_to :]):
            assert time.monotonic() < deadline, f"{text!r} was never drawn; the end: {_CONTROL.sub('', self.drawn)[-600:]!r}"
            assert self._read(), f"it ended before {text!r} was drawn: {self.drawn[-1500:]!r}"
        self._read_to = len(self.drawn)

    def write(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def hang_up(self) -> int:
        """Close the terminal; the exit code of the command, which must end of itself."""
        os.close(self._fd)
        self._fd = -1
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], PATIENCE_S)
        assert ready, "nothing more was drawn"
        try:
            piece = os.read(self._fd, 1 << 16)
        except OSError:
            return False
        self.drawn += piece.decode(errors="replace")
        return bool(piece)

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._fd >= 0:
            os.close(self._fd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "script.yaml").write_text("steps:\n  - text: The answer is **fortytwo**.\n  - text: And the second one is fiftythree.\n")
    return tmp_path


@pytest.fixture
def screens() -> Iterator[list[Screen]]:
    opened: list[Screen] = []
    yield opened
    for screen in opened:
        screen.close()


def opened(screens: list[Screen], folder: Path, *arguments: str) -> Screen:
    screen = Screen(folder, "--model", "scripted/script.yaml", *arguments)
    screens.append(screen)
    screen.until("script.yaml")
    return screen


def test_a_question_is_answered_and_two_ctrl_c_give_the_terminal_back(folder: Path, screens: list[Screen]) -> None:
    screen = opened(screens, folder)
    screen.write("what is it\r")
    screen.until("The answer is fortytwo.")
    screen.write(CTRL_C)
    screen.until("Ctrl-C again")
    screen.write(CTRL_C)
    assert screen.end() == 0
    _, _, after = screen.drawn.rpartition(LEFT)
    assert "ml-intern --resume " in after


def test_resume_without_an_id_lets_one_choose_in_the_app(folder: Path, screens: list[Screen]) -> None:
    screen = opened(screens, folder, "--resume")
    screen.until("Resume a session")


def test_what_is_typed_before_the_first_paint_is_in_the_composer_with_its_suggestions(folder: Path, screens: list[Screen]) -> None:
    screen = Screen(folder, "--model", "scripted/script.yaml")
    screens.append(screen)
    screen.write("/compa")  # the terminal itself shows it, for nothing runs there yet
    screen.until("/compact")


def test_continue_shows_what_was_said_before(folder: Path, screens: list[Screen]) -> None:
    first = opened(screens, folder)
    first.write("what is it\r")
    first.until("The answer is fortytwo.")
    first.write(CTRL_C + CTRL_C)
    assert first.end() == 0
    again = Screen(folder, "--model", "scripted/script.yaml", "--continue")
    screens.append(again)
    again.until("The answer is fortytwo.")
    assert "what is it" in again.drawn


def test_a_signal_ends_it_with_the_terminal_given_back(folder: Path, screens: list[Screen]) -> None:
    screen = opened(screens, folder)
    os.kill(screen.pid, signal.SIGTERM)
    assert screen.end() == 128 + signal.SIGTERM
    assert screen.drawn.count(LEFT) == screen.drawn.count(ENTERED) == 1


@pytest.mark.parametrize("nohup", [False, True], ids=["told by a signal", "told by nobody"])
def test_a_terminal_that_is_closed_ends_it_with_the_session_kept(folder: Path, screens: list[Screen], nohup: bool) -> None:
    screen = Screen(folder, "--model", "scripted/script.yaml", nohup=nohup)
    screens.append(screen)
    screen.until("script.yaml")
    screen.write("what is it\r")
    screen.until("The answer is fortytwo.")
    assert screen.hang_up() == 128 + signal.SIGHUP
    again = Screen(folder, "--model", "scripted/script.yaml", "--continue")
    screens.append(again)
    again.until("The answer is fortytwo.")


def test_a_session_that_cannot_be_opened_is_said_in_the_app(folder: Path, screens: list[Screen]) -> None:
    screen = Screen(folder, "--model", "scripted/nowhere.yaml")
    screens.append(screen)
    screen.until("nowhere.yaml")
    screen.write(CTRL_C + CTRL_C)
    assert screen.end() == 0


def test_with_a_keyboard_but_no_screen_it_says_what_to_do(folder: Path) -> None:
    master, keyboard = pty.openpty()
    try:
        done = subprocess.run([sys.executable, "-m", "ml_intern"], cwd=folder, stdin=keyboard, capture_output=True, text=True, check=False)
    finally:
        os.close(master)
        os.close(keyboard)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "The app needs a terminal to draw on." in done.stderr


def test_nothing_of_textual_is_imported_for_help(folder: Path) -> None:
    program = (
        "import sys, runpy; sys.argv[1:] = ['--help']\ntry: runpy.run_module('ml_intern', run_name='__main__')\nexcept SystemExit: pass\n"
    )
    program += "import json; print(json.dumps([name for name in sys.modules if name.startswith(('textual', 'rich'))]))"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
