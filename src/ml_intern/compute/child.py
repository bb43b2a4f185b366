"""A child process: how to learn of its end and how to signal all of its group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Child(Protocol):
    """A process that leads a group of its own."""

    @property
    def pid(self) -> int:
        """Its number, as commands beside it would see it."""
        ...

    @property
    def returncode(self) -> int | None:
        """None while it runs; -n when signal n ended it."""
        ...

    def watch(self, on_exit: Callable[[], None]) -> None:
        """Call back once, on the event loop, when it has ended (``returncode`` is then known)."""
        ...

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its whole group, as far as there still is one."""
        ...

    def group_lives(self) -> bool:
        """Once it has ended: whether others of its group have not."""
        ...

    def abandon(self) -> None:
        """Let it run on without us."""
        ...


class OwnChild:
    """A direct child of this process. No thread waits for it where the system can tell us by a file descriptor."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._pid_fd = -1
        self._group_gone = False

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        return self._popen.returncode

    def watch(self, on_exit: Callable[[], None]) -> None:
        if sys.platform == "linux":
            try:
                self._pid_fd = os.pidfd_open(self.pid)
            except OSError:  # Linux before 5.3, or a filter that does not know the call.
                self._wait_in_thread(on_exit)
                return
            self._loop.add_reader(self._pid_fd, self._exited, on_exit)
        else:
            self._wait_in_thread(on_exit)

    def _exited(self, on_exit: Callable[[], None]) -> None:
        self._unwatch()
        self._popen.poll()
        on_exit()

    def _wait_in_thread(self, on_exit: Callable[[], None]) -> None:
        import threading

        def wait() -> None:
            self._popen.wait()
            with contextlib.suppress(RuntimeError):  # The loop closed before the process ended.
                self._loop.call_soon_threadsafe(on_exit)

        threading.Thread(target=wait, name=f"wait-{self.pid}", daemon=True).start()

    def _unwatch(self) -> None:
        if self._pid_fd >= 0:
            self._loop.remove_reader(self._pid_fd)
            os.close(self._pid_fd)
            self._pid_fd = -1

    def signal(self, number: signal.Signals) -> None:
        if not self._group_gone:
            _signal_group(self.pid, number)
        if number is signal.SIGKILL and self.returncode is not None:
            self._group_gone = True  # Nobody survives it; what is still seen has only not been reaped.

    def group_lives(self) -> bool:
        # Once seen empty the number may belong to strangers: it is never looked at again.
        if not self._group_gone and self.returncode is not None:
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                self._group_gone = True
        return not self._group_gone

    def abandon(self) -> None:
        self._unwatch()
        if self._popen.returncode is None:
            self._popen.returncode = 0  # Popen would warn that nobody waits for it; init will.


class NestedChild(OwnChild):
    """A wrapper that waits for the command, its only child, which leads a group of its own; both end together."""

    def signal(self, number: signal.Signals) -> None:
        inner = self._inner_pid()
        if inner is not None:
            _signal_group(inner, number)
        if inner is None or number is signal.SIGKILL:
            super().signal(signal.SIGKILL)  # Also when it has not come as far as having a child.

    def group_lives(self) -> bool:
        return False

    def _inner_pid(self) -> int | None:
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
                children = [int(word) for word in file.read().split()]
            return children[0] if children and os.getpgid(children[0]) == children[0] else None
        except OSError:
            return None


def spawn(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], output_fd: int, nested: bool = False) -> OwnChild:
    """Start a child in a session of its own: no terminal, empty input, both outputs to one place. Raises ``OSError``."""
    popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output_fd, stderr=output_fd, cwd=cwd, env=env, start_new_session=True)
    return NestedChild(popen) if nested else OwnChild(popen)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
