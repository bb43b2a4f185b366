"""A sandbox that stays: our side of ``sandbox_helper``. Building the walls takes longer than most commands do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ml_intern.compute.sandbox_helper import ENDED, FAILED, GONE, READY, REPLY, REQUEST, SIGNAL, START, STARTED

READY_TIMEOUT_S = 15.0
_SCRIPT = Path(__file__).with_name("sandbox_helper.py")
_SEND_BYTES = 1024 * 1024


class SandboxFailed(Exception):
    """The sandbox could not be set up; the text is what its program printed."""


class SandboxChild:
    """A command inside (``Child``)."""

    def __init__(self, session: SandboxSession, command_id: int) -> None:
        self._session = session
        self._id = command_id
        self._on_exit: Callable[[], None] | None = None
        self._group_gone = False
        self.pid = 0
        self.returncode: int | None = None

    def watch(self, on_exit: Callable[[], None]) -> None:
        self._on_exit = on_exit
        if self.returncode is not None:
            asyncio.get_running_loop().call_soon(on_exit)

    def signal(self, number: signal.Signals) -> None:
        self._session.signal(self._id, number)

    def group_lives(self) -> bool:
        return not self._group_gone

    def abandon(self) -> None:
        self._on_exit = None

    @property
    def over(self) -> bool:
        """Whether it has ended and nobody of its group is left."""
        return self._group_gone and self.returncode is not None

    def take_gone(self) -> None:
        """Nobody of its group is left."""
        self._group_gone = True

    def take_end(self, returncode: int) -> None:
        """It has ended."""
        if self.returncode is None:
            self.returncode = returncode
            if self._on_exit is not None:
                self._on_exit()


class SandboxSession:
    """One helper and its socket. ``walls`` is the argument list that built the sandbox: others need another one."""

    def __init__(self, popen: subprocess.Popen[bytes], connection: socket.socket, walls: Sequence[str]) -> None:
        self.walls = list(walls)
        self._popen = popen
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._starting: dict[int, asyncio.Future[SandboxChild]] = {}
        self._children: dict[int, SandboxChild] = {}
        self._received = b""
        self._next_id = 1
        self._retired = False
        self.closed = False
        self._loop.add_reader(connection, self._readable)

    @staticmethod
    def helper_command() -> list[str]:
        """What runs inside; the socket is its standard input."""
        return [sys.executable, "-I", "-S", str(_SCRIPT)]

    @classmethod
    async def open(cls, walls: Sequence[str], env: Mapping[str, str]) -> SandboxSession:
        """Build the sandbox and wait until its helper answers. Raises ``SandboxFailed``."""
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        ours.setblocking(False)
        try:
            popen = _start(walls, env, theirs.fileno())
        except OSError as error:
            ours.close()
            raise SandboxFailed(str(error)) from error
        finally:
            theirs.close()
        session = cls(popen, ours, walls)
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await session._ready
        except (TimeoutError, ConnectionError) as error:
            raise SandboxFailed(session._last_words()) from error
        except asyncio.CancelledError:
            session.close()
            raise
        return session

    def _last_words(self) -> str:
        self.close()
        self._popen.kill()
        self._popen.wait()
        assert self._popen.stderr is not None
        with self._popen.stderr as stream:
            return stream.read(4096).decode("utf-8", "replace")

    async def start(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], output_fd: int) -> SandboxChild:
        """Start a command inside. Raises ``OSError``."""
        command_id = self._next_id
        self._next_id += 1
        words = [cwd, str(len(argv)), *argv, *(f"{name}={value}" for name, value in env.items())]
        payload = b"\0".join(os.fsencode(word) for word in words)
        started: asyncio.Future[SandboxChild] = self._loop.create_future()
        self._starting[command_id] = started
        self._children[command_id] = SandboxChild(self, command_id)
        try:
            self._send(REQUEST.pack(START, command_id, 0, len(payload)) + payload, output_fd)
        except OSError:
            self._forget(command_id)
            raise
        try:
            return await started
        except asyncio.CancelledError:
            self.signal(command_id, signal.SIGKILL)
            raise

    def _send(self, frame: bytes, output_fd: int) -> None:
        sent = socket.send_fds(self._connection, [frame], [output_fd])
        if sent < len(frame):  # Half a frame has gone: nothing more can be said on this socket.
            self.close()
            raise BlockingIOError("The sandbox does not take its orders.")

    def signal(self, command_id: int, number: signal.Signals) -> None:
        """To the group of a command."""
        if not self.closed:
            with contextlib.suppress(OSError):
                self._connection.send(REQUEST.pack(SIGNAL, command_id, number, 0))

    # ── what comes back ──────────────────────────────────────────────────────────────────────────────────────────

    def _readable(self) -> None:
        try:
            data = self._connection.recv(64 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        whole = len(self._received) - len(self._received) % REPLY.size
        for kind, command_id, number in REPLY.iter_unpack(self._received[:whole]):
            self._take(kind, command_id, number)
        self._received = self._received[whole:]

    def _take(self, kind: int, command_id: int, number: int) -> None:
        if kind == READY and not self._ready.done():
            self._ready.set_result(None)
        child = self._children.get(command_id)
        if child is None:
            return
        if kind == STARTED:
            child.pid = number
            self._answer(command_id, child)
        elif kind == FAILED:
            self._answer(command_id, OSError(number, os.strerror(number)))
            self._forget(command_id)
        elif kind == ENDED:
            child.take_end(os.waitstatus_to_exitcode(number))
        elif kind == GONE:
            child.take_gone()
        if child.over:
            self._forget(command_id)

    def _answer(self, command_id: int, answer: SandboxChild | OSError) -> None:
        started = self._starting.pop(command_id, None)
        if started is None or started.done():
            return
        if isinstance(answer, OSError):
            started.set_exception(answer)
        else:
            started.set_result(answer)

    def _forget(self, command_id: int) -> None:
        self._children.pop(command_id, None)
        self._starting.pop(command_id, None)
        if self._retired and not self._children:
            self.close()

    # ── its end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def retire(self) -> None:
        """Close as soon as the last command inside has ended."""
        self._retired = True
        if not self._children:
            self.close()

    def close(self) -> None:
        """End the sandbox and everything in it."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._connection)
        self._connection.close()
        if not self._ready.done():
            self._ready.set_exception(ConnectionError("the sandbox ended before it was ready"))
        for command_id, child in list(self._children.items()):
            self._answer(command_id, ConnectionResetError("The sandbox has ended."))
            child.take_gone()
            child.take_end(-signal.SIGKILL)
        self._children.clear()

    async def aclose(self) -> None:
        """Close, and wait until it has ended."""
        self.close()
        await self._loop.run_in_executor(None, self._popen.wait)
        if self._popen.stderr is not None:
            self._popen.stderr.close()


def _start(walls: Sequence[str], env: Mapping[str, str], connection_fd: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        walls, stdin=connection_fd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, cwd="/", start_new_session=True
    )
