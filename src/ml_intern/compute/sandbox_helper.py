"""The first process inside a sandbox: starts commands there, so that the walls are built once and not for each of them.

A script for our own interpreter, which imports as little as it can. Frames come over a socket (``-`` is no alignment)::

    to it     START  id, -, length   cwd NUL argument count NUL arguments… NUL NAME=value…   with the output's descriptor
              SIGNAL id, number, 0
    from it   READY 0 0 · STARTED id pid · FAILED id errno · ENDED id wait-status · GONE id 0

GONE, before or after ENDED, says that nobody of the command's group is left. As process 1 it cannot be killed from inside, and when it
ends, everything in the sandbox does.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct

START, SIGNAL = 1, 2
READY, STARTED, FAILED, ENDED, GONE = range(5)
REQUEST = struct.Struct("<BIiI")
REPLY = struct.Struct("<BIi")
MARK = "ML_INTERN_COMMAND"
"""In the environment of a command and all that it starts: how those are found that left its group."""

_PR_SET_DUMPABLE = 4


class Helper:
    """Serves one socket until it closes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._ids: dict[int, int] = {}
        self._groups: dict[int, int] = {}

    def serve(self, wake_fd: int) -> None:
        """``wake_fd`` becomes readable when a child has ended."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(wake_fd, select.POLLIN)
        self._reply(READY, 0, 0)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if wake_fd in ready:
                os.read(wake_fd, 4096)
                self._reap()
            if self._connection.fileno() in ready and not self._request():
                return

    def _request(self) -> bool:
        header, fds, _, _ = socket.recv_fds(self._connection, REQUEST.size, 1)
        if not header:
            return False
        kind, command_id, number, length = REQUEST.unpack(header + self._exactly(REQUEST.size - len(header)))
        if kind == START:
            self._start(command_id, self._exactly(length), fds[0])
        elif command_id in self._groups:
            self._signal(command_id, number)
        return True

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._connection.recv(count - len(data))
            if not piece:
                os._exit(0)
            data += piece
        return data

    def _start(self, command_id: int, payload: bytes, output_fd: int) -> None:
        os.set_inheritable(output_fd, False)
        cwd, count, *words = payload.split(b"\0")
        arguments, variables = words[: int(count)], words[int(count) :]
        environment = {**os.environb, **dict(variable.split(b"=", 1) for variable in variables), MARK.encode(): str(command_id).encode()}
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output_fd, 1),
            (os.POSIX_SPAWN_DUP2, output_fd, 2),
        ]
        try:
            os.chdir(cwd)
            pid = os.posix_spawnp(
                arguments[0],
                arguments,
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        except OSError as error:
            self._reply(FAILED, command_id, error.errno or 0)
        else:
            self._ids[pid] = command_id
            self._groups[command_id] = pid
            self._reply(STARTED, command_id, pid)
        finally:
            os.close(output_fd)
            os.chdir("/")

    def _signal(self, command_id: int, number: int) -> None:
        _kill_group(self._groups[command_id], number)
        if number == signal.SIGKILL:
            mark = f"{MARK}={command_id}\0".encode()
            for pid in [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]:
                if mark in _environment(pid):
                    _kill(pid, number)

    def _reap(self) -> None:
        ended: list[tuple[int, int]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._ids:
                ended.append((self._ids.pop(pid), status))
        running = set(self._ids.values())
        for command_id, group in list(self._groups.items()):
            if command_id not in running and not _kill_group(group, 0):
                del self._groups[command_id]
                self._reply(GONE, command_id, 0)
        for command_id, status in ended:
            self._reply(ENDED, command_id, status)

    def _reply(self, kind: int, command_id: int, number: int) -> None:
        self._connection.sendall(REPLY.pack(kind, command_id, number))


def _kill_group(group: int, number: int) -> bool:
    """Whether there was somebody to signal."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return


def _environment(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _hide_memory() -> None:
    """Commands run as the same user: without this they could trace this process."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def main() -> None:
    """Serve the socket that is our standard input."""
    connection = socket.socket(fileno=0)
    connection.set_inheritable(False)
    _hide_memory()
    wake_fd, signal_fd = os.pipe()
    os.set_blocking(signal_fd, False)
    signal.set_wakeup_fd(signal_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    Helper(connection).serve(wake_fd)


if __name__ == "__main__":
    main()
