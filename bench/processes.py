"""Start a program, watch it to its end, and say what it cost: the process alone, without the commands that it ran."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_EVERY_S = 0.02
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Finished:
    """``cpu_s`` is user and system time of the process itself. ``peak_rss_mb`` is None where the system does not tell."""

    started_at: float
    wall_s: float
    cpu_s: float
    peak_rss_mb: float | None
    stdout: str


class ProgramFailed(RuntimeError):
    """A measured program ended with another exit code than 0; the message holds its last words."""


def run(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float = 300) -> Finished:
    """Run to the end. Output goes to files, so that no reader of a pipe slows the program down."""
    with (cwd / ".stdout").open("w+") as out, (cwd / ".stderr").open("w+") as err:
        started_at = time.monotonic()
        process = subprocess.Popen(argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        peak_mb = _watch(process.pid, started_at + timeout_s)
        wall_s = time.monotonic() - started_at
        cpu_s = _own_cpu_s(process.pid)
        if process.wait(timeout=1) != 0:
            err.seek(0)
            raise ProgramFailed(f"{' '.join(argv)} ended with {process.returncode}:\n{err.read()[-3000:]}")
        out.seek(0)
        return Finished(started_at, wall_s, cpu_s, peak_mb, out.read())


def wall_s(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> float:
    """Only the time from start to end, for programs so short that watching them would be felt."""
    started_at = time.perf_counter()
    subprocess.run(argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started_at


def _watch(pid: int, deadline: float) -> float | None:
    """Wait until the process has ended (and is still there to be asked what it used); its peak memory."""
    peak_mb: float | None = None
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            raise ProgramFailed(f"process {pid} did not end in time")
        peak_mb = _peak_rss_mb(pid) or peak_mb
        time.sleep(SAMPLE_EVERY_S)
    return peak_mb


def _peak_rss_mb(pid: int) -> float | None:
    """The high-water mark, which the system keeps itself: sampling it can only miss the very end."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None


def _own_cpu_s(pid: int) -> float:
    """User and system time of a process that has ended but was not yet reaped, without its children's."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return float("nan")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
