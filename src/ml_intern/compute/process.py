"""One child process in its own group, its output read by the event loop: no threads, no temporary files, no extra imports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_intern.compute.base import CommandResult, OutputPage, OutputSink
from ml_intern.compute.live_output import LiveOutput
from ml_intern.compute.output import OutputCapture

READ_BYTES = 256 * 1024
TERM_GRACE_S = 2.0
"""From SIGTERM to SIGKILL."""
_POLL_S = 0.02
PIPE_GRACE_S = 0.2
"""How long the pipe may stay open once the shell has ended, before we say that something holds on."""


class Process:
    """A started command (``RunningCommand``). Made by ``spawn``, inside a running event loop."""

    def __init__(self, popen: subprocess.Popen[bytes], capture: OutputCapture, *, nested: bool) -> None:
        self._popen = popen
        self._capture = capture
        self._nested = nested
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[CommandResult] = self._loop.create_future()
        self._started_s = time.monotonic()
        self._pipe_fd = -1
        self._pid_fd = -1
        self._live: LiveOutput | None = None
        self._log_path: Path | None = None
        self._timed_out = False
        self._timers: list[asyncio.TimerHandle] = []
        self._group_gone = nested

    # ── what others see ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def result(self) -> CommandResult | None:
        return self._ended.result() if self._ended.done() else None

    @property
    def log_path(self) -> Path | None:
        return self._log_path or self._capture.spill_path

    @property
    def holds_on(self) -> bool:
        """Whether something that the ended command started still runs: it has our pipe, or is in the group."""
        return self._ended.done() and (self._pipe_fd >= 0 or self._group_lives())

    def _group_lives(self) -> bool:
        # Once seen empty the number may belong to strangers: it is never looked at again. A sandbox takes its own along.
        if not self._group_gone and self._popen.returncode is not None:
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                self._group_gone = True
        return not self._group_gone

    async def wait(self) -> CommandResult:
        return await asyncio.shield(self._ended)

    async def stop(self) -> CommandResult:
        self.terminate()
        result = await self.wait()
        for _ in range(round(TERM_GRACE_S / _POLL_S)):  # What is left are not our children: nobody tells us when they end.
            if not self.holds_on:
                break
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
        if self._popen.returncode is None:
            self._timed_out = True
            self.terminate()

    def terminate(self) -> None:
        """Ask the whole group to end, and make it, a little later. Partial output goes to the sink now."""
        if self._live is not None:
            self._live.flush()
        if not (self._popen.returncode is None or self.holds_on):
            return
        inner = self._inner_pid() if self._nested else self.pid
        if inner is None:
            self.kill()
            return
        _signal_group(inner, signal.SIGTERM)
        self._timers.append(self._loop.call_later(TERM_GRACE_S, self.kill))

    def kill(self) -> None:
        """End the whole group at once."""
        if not (self._popen.returncode is None or self.holds_on):
            return
        if self._nested and (inner := self._inner_pid()) is not None:
            _signal_group(inner, signal.SIGKILL)
        _signal_group(self.pid, signal.SIGKILL)

    def _inner_pid(self) -> int | None:
        """The sandbox's own first process: the one that bubblewrap waits for leads the group of the command."""
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
                children = file.read().split()
            return int(children[0]) if children and os.getpgid(int(children[0])) == int(children[0]) else None
        except (OSError, ValueError):
            return None

    def abandon(self) -> None:
        """Let it run on without us."""
        self._close()
        if self._popen.returncode is None:
            self._popen.returncode = 0  # Popen would warn that nobody waits for it; init will.

    # ── the event loop's side ────────────────────────────────────────────────────────────────────────────────────

    def watch(self, pipe_fd: int, on_output: OutputSink | None, log_path: Path | None) -> None:
        """Start to read and to wait. ``pipe_fd`` is -1 when the output goes straight to ``log_path``."""
        self._pipe_fd = pipe_fd
        self._log_path = log_path
        if on_output is not None:
            self._live = LiveOutput(on_output, self._loop)
        if pipe_fd >= 0:
            self._loop.add_reader(pipe_fd, self._readable)
        if sys.platform == "linux":
            try:
                self._pid_fd = os.pidfd_open(self.pid)
            except OSError:  # Linux before 5.3, or a filter that does not know the call.
                self._wait_in_thread()
                return
            self._loop.add_reader(self._pid_fd, self._exited)
        else:
            self._wait_in_thread()

    def _wait_in_thread(self) -> None:
        import threading

        def wait() -> None:
            self._popen.wait()
            with contextlib.suppress(RuntimeError):  # The loop closed before the process ended.
                self._loop.call_soon_threadsafe(self._exited)

        threading.Thread(target=wait, name=f"wait-{self.pid}", daemon=True).start()

    def _readable(self) -> None:
        try:
            data = os.read(self._pipe_fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._pipe_closed()
            return
        self._capture.feed(data)
        if self._live is not None:
            self._live.feed(data)

    def _pipe_closed(self) -> None:
        self._loop.remove_reader(self._pipe_fd)
        os.close(self._pipe_fd)
        self._pipe_fd = -1
        self._capture.close()
        self._finish_if_over()

    def _exited(self) -> None:
        if self._pid_fd >= 0:
            self._loop.remove_reader(self._pid_fd)
            os.close(self._pid_fd)
            self._pid_fd = -1
        self._popen.poll()
        self._finish_if_over()
        if not self._ended.done():
            self._timers.append(self._loop.call_later(PIPE_GRACE_S, self._finish))

    def _finish_if_over(self) -> None:
        if self._pipe_fd < 0 and self._popen.returncode is not None:
            self._finish()

    def _finish(self) -> None:
        if self._ended.done():
            return
        for timer in self._timers:
            timer.cancel()
        if self._live is not None:
            self._live.finish()
            self._live = None
        self._ended.set_result(self._outcome())

    def _outcome(self) -> CommandResult:
        code = self._popen.returncode
        return CommandResult(
            exit_code=code if code >= 0 else 128 - code,
            head=self._capture.head.decode("utf-8", "replace"),
            tail=self._capture.tail.decode("utf-8", "replace"),
            total_bytes=self._capture.total_bytes,
            duration_s=time.monotonic() - self._started_s,
            timed_out=self._timed_out,
            holds_on=self._pipe_fd >= 0 or self._group_lives(),
            spill_path=self._capture.spill_path,
            spilled_bytes=self._capture.spilled_bytes,
        )

    def _close(self) -> None:
        for fd in (self._pipe_fd, self._pid_fd):
            if fd >= 0:
                self._loop.remove_reader(fd)
                os.close(fd)
        self._pipe_fd = self._pid_fd = -1
        self._capture.close()


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    capture: OutputCapture,
    on_output: OutputSink | None = None,
    nested: bool = False,
    log_path: Path | None = None,
) -> Process:
    """Start a child in a session of its own: no terminal, empty input, stdout and stderr in one stream.

    ``nested``: ``argv`` is a sandbox that runs the command as its child. ``log_path``: let the output go there, so that the
    child does not depend on us. Raises ``OSError``, ``ValueError``.
    """
    if log_path is not None:
        read_fd, write_fd = -1, os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    else:
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, False)
    try:
        popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=write_fd, stderr=write_fd, cwd=cwd, env=env, start_new_session=True)
    except BaseException:
        if read_fd >= 0:
            os.close(read_fd)
        raise
    finally:
        os.close(write_fd)
    process = Process(popen, capture, nested=nested)
    process.watch(read_fd, on_output, log_path)
    return process


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
