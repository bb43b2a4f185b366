"""The terminal app as its user has it: a process behind a pseudo-terminal, beside the smallest Textual app."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Figure, attempted
from bench.programs import ML_INTERN, Place

COLUMNS, ROWS = 100, 30
PATIENCE_S = 20.0
LAST_BYTES = 200_000
PAINTED_CHARACTERS = 60
"""On the alternate screen, blanks and control sequences left out: less is no picture yet."""
TOKENS_PER_S = 200
KEYS = 60
_CONTROL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x20]")
_ALTERNATE_SCREEN = b"\x1b[?1049h"

BARE = """
from textual.app import App
from textual.widgets import Static, TextArea

class Bare(App):
    CSS = "Static { height: 1fr; } TextArea { height: 5; }"

    def compose(self):
        yield Static("A conversation that has not begun, with a line of text in it, as wide as the screen is, and one more.")
        yield TextArea()

    def on_mount(self):
        self.query_one(TextArea).focus()

Bare().run()
"""


class Terminal:
    """A program on a pseudo-terminal. What it draws is kept as bytes."""

    def __init__(self, argv: Sequence[str], *, env: dict[str, str], cwd: Path) -> None:
        self.started_at = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(argv[0], list(argv), env)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.drawn = b""

    def read(self, wait_s: float) -> bytes:
        """What comes within that time, as soon as it comes."""
        ready, _, _ = select.select([self._fd], [], [], wait_s)
        if not ready:
            return b""
        try:
            piece = os.read(self._fd, 1 << 16)
        except OSError:
            return b""
        self.drawn += piece
        return piece

    def until(self, seen: bytes | None = None, *, characters: int = 0) -> float:
        """Seconds until ``seen`` is drawn, or that many characters are on the alternate screen."""
        began = time.perf_counter()
        since = len(self.drawn)
        while time.perf_counter() - began < PATIENCE_S:
            self.read(0.05)
            if seen is not None:
                found = seen in _CONTROL.sub(b"", self.drawn[max(since, len(self.drawn) - LAST_BYTES) :])
            else:
                _, _, screen = self.drawn.partition(_ALTERNATE_SCREEN)
                found = len(_CONTROL.sub(b"", screen).decode(errors="ignore")) >= characters
            if found:
                return time.perf_counter() - began
        raise RuntimeError(f"it never drew {seen or characters!r}; the end of what it drew: {self.drawn[-500:]!r}")

    def until_drawn(self, characters: int) -> float:
        """Seconds until that much more is drawn, control sequences left out."""
        began, since = time.perf_counter(), len(self.drawn)
        while time.perf_counter() - began < PATIENCE_S:
            self.read(0.05)
            if len(_CONTROL.sub(b"", self.drawn[since:])) >= characters:
                return time.perf_counter() - began
        raise RuntimeError(f"it drew less than {characters} characters; the end of what it drew: {self.drawn[-500:]!r}")

    def has_drawn(self, text: bytes, since: int) -> bool:
        """Whether the text was drawn after the first ``since`` bytes."""
        return text in _CONTROL.sub(b"", self.drawn[since:])

    def write(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def drain(self, for_s: float) -> None:
        """Read along for a while."""
        until = time.perf_counter() + for_s
        while (left := until - time.perf_counter()) > 0:
            self.read(left)

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)


@contextmanager
def terminal(argv: Sequence[str], at: Place, variables: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    env = {**at.env(), **(variables or {}), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    opened = Terminal(argv, env=env, cwd=at.workspace)
    try:
        yield opened
    finally:
        opened.close()


def figures(at: Place, starts: int) -> list[Figure]:
    """Of its start, and of typing."""
    (at.workspace / "bare.py").write_text(BARE)
    return [
        *attempted("app: start", lambda: _starts(at, starts)),
        *attempted("app: typing while a reply streams", lambda: _typing(at)),
        *attempted("app: streaming", lambda: _streaming(at)),
    ]


def _starts(at: Place, count: int) -> list[Figure]:
    (at.workspace / "hello.yaml").write_text("steps:\n  - text: Hello.\n")
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    for _ in range(count):
        bare.append(_start([sys.executable, "bare.py"], at))
        ours.append(_start([ML_INTERN, "--model", "scripted/hello.yaml"], at))
    figures: list[Figure] = []
    for i, (name, target) in enumerate((("app: start → first paint", 350), ("app: start → ready to type", 500))):
        mine, floor = [pair[i] for pair in ours], [pair[i] for pair in bare]
        median, floor_median = statistics.median(mine), statistics.median(floor)
        met = median <= target and median <= 1.6 * floor_median
        samples = {"ours": mine, "floor": floor}
        figures.append(
            Figure(name=name, unit="ms", ours=median, floor=floor_median, target=f"≤ {target} ms, ≤ 1.6×", met=met, samples=samples)
        )
    return figures


def _start(argv: Sequence[str], at: Place) -> tuple[float, float]:
    """Milliseconds to the first picture, and to the first key on the screen."""
    with terminal(argv, at) as screen:
        screen.until(characters=PAINTED_CHARACTERS)
        painted = time.perf_counter() - screen.started_at
        screen.write(b"Q")
        screen.until(b"Q")
        return painted * 1000, (time.perf_counter() - screen.started_at) * 1000


PARAGRAPH = (
    "A paragraph with **bold** words, some `code`, and a [link](https://example.com/a) in it, that is long enough to be wrapped twice. "
)
CODE = "```python\nfor batch in loader:\n    loss = model(batch).loss\n    loss.backward()\n    optimizer.step()\n```\n\n"


def markdown(size: int) -> str:
    """That many characters of it, with headings, lists and code."""
    part = f"## A heading\n\n{PARAGRAPH * 3}\n\n- one thing\n- another\n\n{CODE}"
    return (part * (size // len(part) + 1))[:size]


def script(at: Place, name: str, text: str, delay_s: float) -> None:
    """What the scripted model says, and how long it waits between two pieces."""
    rows = "\n".join(f"      {row}" for row in text.split("\n"))
    (at.workspace / name).write_text(f"steps:\n  - text: |\n{rows}\n    piece_delay_s: {delay_s}\n")


def _typing(at: Place) -> list[Figure]:
    """How long a key takes while a reply streams."""
    script(at, "steady.yaml", markdown(100_000), 1 / TOKENS_PER_S)
    with terminal([ML_INTERN, "--model", "scripted/steady.yaml"], at) as screen:
        screen.until(characters=PAINTED_CHARACTERS)
        screen.drain(1.0)
        screen.write(b"go\r")
        screen.until(b"heading")
        screen.drain(2.0)
        cpu, began = screen.cpu_s(), time.perf_counter()
        times = [key_ms(screen, number) for number in range(KEYS)]
        share = (screen.cpu_s() - cpu) / (time.perf_counter() - began)
    median = statistics.median(times)
    return [
        Figure(
            name=f"app: key → screen at {TOKENS_PER_S} tokens/s",
            unit="ms",
            ours=median,
            target="≤ 16 ms",
            met=median <= 16,
            samples={"ours": times},
        ),
        Figure(name=f"app: share of a core at {TOKENS_PER_S} tokens/s", unit="%", ours=share * 100),
    ]


def _streaming(at: Place) -> list[Figure]:
    script(at, "fast.yaml", markdown(100_000) + "\n\nthatwasall", 0)
    with terminal([ML_INTERN, "--model", "scripted/fast.yaml"], at) as screen:
        screen.until(characters=PAINTED_CHARACTERS)
        screen.drain(1.5)
        cpu = screen.cpu_s()
        screen.write(b"go\r")
        screen.until(b"thatwasall")
        fast = screen.cpu_s() - cpu
    return [Figure(name="app: 100 KB of Markdown streamed, CPU", unit="s", ours=fast, target="< 1 s", met=fast < 1)]


def key_ms(screen: Terminal, number: int, *, pause_s: float = 0.05) -> float:
    """Milliseconds from a key to its letter on the screen; letters that no reply holds."""
    letter = "ŁŦŊĦŒ"[number % 5].encode()
    screen.drain(pause_s + 0.013 * (number % 7))
    screen.write(letter)
    return screen.until(letter) * 1000
