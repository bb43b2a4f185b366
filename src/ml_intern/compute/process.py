"""A running command: its output read by the event loop, its end waited for and enforced. No threads, no temporary files."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_intern.compute.base import CommandResult, OutputPage, OutputSink
from ml_intern.compute.child import Child, spawn
from ml_intern.compute.live_output import LiveOutput
from ml_intern.compute.output import OutputCapture

READ_BYTES = 256 * 1024
TERM_GRACE_S = 2.0
"""From SIGTERM to SIGKILL."""
KILL_GRACE_S = 1.0
"""From SIGKILL to giving up (a process that waits for a dead disk)."""
PIPE_GRACE_S = 0.2
"""How long others may live once the shell has ended, before we say that something holds on."""
_POLL_S = 0.01
"""Processes that are not our children: nobody tells us when they end."""


class Process:
    """A started command (``RunningCommand``). Made inside a running event loop.

    ``pipe_fd`` is the reading end of its output, not blocking; -1 when the output goes straight to ``log_path``.
    """

    def __init__(
        self, child: Child, capture: OutputCapture, pipe_fd: int, *, on_output: OutputSink | None = None, log_path: Path | None = None
    ) -> None:
        self._child = child
        self._capture = capture
        self._pipe_fd = pipe_fd
        self._log_path = log_path
        self._loop = asyncio.get_running_loop()
        self._live = LiveOutput(on_output, self._loop) if on_output is not None else None
        self._ended: asyncio.Future[CommandResult] = self._loop.create_future()
        self._started_s = time.monotonic()
        self._timers: list[asyncio.TimerHandle] = []
        self._exited_s = 0.0
        self._timed_out = False
        self._stopping = False
        if pipe_fd >= 0:
            self._loop.add_reader(pipe_fd, self._readable)
        child.watch(self._exited)

    # ── what others see ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def result(self) -> CommandResult | None:
        return self._ended.result() if self._ended.done() else None

    @property
    def log_path(self) -> Path | None:
        return self._log_path or self._capture.spill_path

    @property
    def holds_on(self) -> bool:
        return self._ended.done() and self._something_lives()

    def _something_lives(self) -> bool:
        """The command itself, something that has its output open, or something in its group."""
        return self._child.returncode is None or self._pipe_fd >= 0 or self._child.group_lives()

    async def wait(self) -> CommandResult:
        return await asyncio.shield(self._ended)

    async def stop(self) -> CommandResult:
        self.terminate()
        result = await self.wait()
        for _ in range(round(TERM_GRACE_S / _POLL_S)):
            if not self._something_lives():
                return result
            await asyncio.sleep(_POLL_S)
        self.kill()
        return result

    async def read_output(self, start: int, max_bytes: int) -> OutputPage:
        total = self._log_path.stat().st_size if self._log_path else self._capture.total_bytes
        start = max(0, total + start) if start < 0 else min(start, total)
        end = min(start + max_bytes, total)
        if self._log_path:
            with self._log_path.open("rb") as file:
                file.seek(start)
                data = file.read(end - start)
        else:
            data = self._capture.slice(start, end)
        return OutputPage(text=data.decode("utf-8", "replace"), start=start, end=start + len(data), total_bytes=total)

    # ── ending it ────────────────────────────────────────────────────────────────────────────────────────────────

    def limit(self, timeout_s: float) -> None:
        """Terminate it when it takes longer."""
        self._timers.append(self._loop.call_later(timeout_s, self._time_out))

    def _time_out(self) -> None:
        self._timed_out = True
        self.terminate()

    def terminate(self) -> None:
        """Ask the whole group to end, and make it, a little later. Partial output goes to the sink now."""
        if self._live is not None:
            self._live.flush()
        if self._stopping or not self._something_lives():
            return
        self._stopping = True
        self._child.signal(signal.SIGTERM)
        self._timers.append(self._loop.call_later(TERM_GRACE_S, self.kill))

    def kill(self) -> None:
        """End the whole group at once."""
        if self._something_lives():
            self._child.signal(signal.SIGKILL)

    def abandon(self) -> None:
        """Let it run on without us."""
        self._close_pipe()
        self._child.abandon()

    # ── the event loop's side ────────────────────────────────────────────────────────────────────────────────────

    def _readable(self) -> None:
        try:
            data = os.read(self._pipe_fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._close_pipe()
            self._settle()
            return
        self._capture.feed(data)
        if self._live is not None:
            self._live.feed(data)

    def _close_pipe(self) -> None:
        if self._pipe_fd >= 0:
            self._loop.remove_reader(self._pipe_fd)
            os.close(self._pipe_fd)
            self._pipe_fd = -1
        self._capture.close()

    def _exited(self) -> None:
        self._exited_s = time.monotonic()
        self._settle()

    def _settle(self) -> None:
        """Once the command has ended: finish when all it started has too, or when that takes too long."""
        if self._ended.done() or self._child.returncode is None:
            return
        lives = self._child.group_lives()
        if (self._pipe_fd < 0 and not lives) or time.monotonic() > self._exited_s + self._patience_s(lives):
            self._finish()
        else:
            self._timers.append(self._loop.call_later(_POLL_S, self._settle))

    def _patience_s(self, lives: bool) -> float:
        return TERM_GRACE_S + KILL_GRACE_S if self._stopping and lives else PIPE_GRACE_S

    def _finish(self) -> None:
        if self._ended.done():
            return
        for timer in self._timers:
            timer.cancel()
        self._stopping = False
        if self._live is not None:
            self._live.finish()
            self._live = None
        self._ended.set_result(self._outcome())

    def _outcome(self) -> CommandResult:
        code = self._child.returncode or 0
        return CommandResult(
            exit_code=code if code >= 0 else 128 - code,
            head=self._capture.head.decode("utf-8", "replace"),
            tail=self._capture.tail.decode("utf-8", "replace"),
            total_bytes=self._capture.total_bytes,
            duration_s=time.monotonic() - self._started_s,
            pid=self.pid,
            timed_out=self._timed_out,
            holds_on=self._something_lives(),
            spill_path=self._capture.spill_path,
            spilled_bytes=self._capture.spilled_bytes,
        )


def start_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    capture: OutputCapture,
    on_output: OutputSink | None = None,
    nested: bool = False,
) -> Process:
    """Start a command in a group of its own, without a terminal and with empty input. Raises ``OSError``."""
    read_fd, write_fd = output_pipe()
    try:
        child = spawn(argv, cwd=cwd, env=env, output_fd=write_fd, nested=nested)
    except BaseException:
        os.close(read_fd)
        raise
    finally:
        os.close(write_fd)
    return Process(child, capture, read_fd, on_output=on_output)


def output_pipe() -> tuple[int, int]:
    """The end that the event loop reads, and the one that a command writes to."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    return read_fd, write_fd
