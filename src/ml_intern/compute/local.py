"""This machine as a workspace."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import ParamSpec, TypeVar

from msgspec import structs

from ml_intern.compute import local_files
from ml_intern.compute.base import Command, CommandResult, FileStat, LinePage, OutputSink, Place, RunningCommand
from ml_intern.compute.child import spawn
from ml_intern.compute.hidden_paths import HiddenPaths
from ml_intern.compute.local_paths import LocalPaths
from ml_intern.compute.os_sandbox import OsSandbox, Unavailable, find_program
from ml_intern.compute.output import OutputCapture
from ml_intern.compute.process import Process, output_pipe, start_process
from ml_intern.compute.sandbox_session import SandboxFailed, SandboxSession
from ml_intern.config.paths import make_private
from ml_intern.errors import SandboxUnavailable

P = ParamSpec("P")
R = TypeVar("R")

MAX_ARGUMENT_BYTES = 120 * 1024
"""Linux takes 128 KiB in one argument (MAX_ARG_STRLEN)."""
FILE_THREADS = 4
TRIAL_TIMEOUT_S = 10.0


class LocalWorkspace:
    """Commands and files of this machine.

    ``sandbox`` None is the user's word (``--no-sandbox``), ``Unavailable`` the system's; either way commands run bare and
    ``confined`` is False. ``spill_dir`` is the session's: outputs too long for memory lie there, and the sandbox's ``/tmp``.
    """

    def __init__(
        self,
        root: Path,
        sandbox: OsSandbox | Unavailable | None,
        child_env: Mapping[str, str],
        spill_dir: Path,
        *,
        hidden: HiddenPaths | None = None,
        writable: Sequence[Path] = (),
        protected: Sequence[Path] = (),
    ) -> None:
        self._root = Path(os.path.realpath(root))
        self._sandbox = sandbox if isinstance(sandbox, OsSandbox) else None
        self.sandbox_unavailable = sandbox if isinstance(sandbox, Unavailable) else None
        self._tried = self._sandbox is None
        self._trial = asyncio.Lock()
        self._env = dict(child_env)
        self._spill_dir = Path(os.path.realpath(spill_dir))
        self._hidden = hidden or HiddenPaths(())
        self._writable = tuple(Path(os.path.realpath(path)) for path in writable)
        self._protected = tuple(Path(os.path.realpath(path)) for path in protected)
        self._shell = find_program("bash", self._env) or "/bin/sh"
        self._session: SandboxSession | None = None
        self._retired: list[SandboxSession] = []
        self._processes: list[Process] = []
        self._kept: list[Process] = []
        self._pool: Executor | None = None
        self._tmp = Path(os.path.realpath(self._env.get("TMPDIR", "/tmp")))
        self._known_paths: tuple[OsSandbox | None, LocalPaths] | None = None

    @property
    def root(self) -> Path:
        return self._root

    @property
    def confined(self) -> bool:
        return self._tried and self._sandbox is not None

    @property
    def python(self) -> str:
        environments = [Path(home) for home in (self._env.get("VIRTUAL_ENV"),) if home] + [self._root / ".venv"]
        for environment in environments:
            if os.access(python := environment / "bin" / "python", os.X_OK):
                return str(python)
        return find_program("python3", self._env) or sys.executable

    # ── the sandbox ──────────────────────────────────────────────────────────────────────────────────────────────

    async def ready(self) -> None:
        async with self._trial:
            if self._tried or self._sandbox is None:
                return
            refusal = await self._try(self._sandbox)
            if refusal is not None:
                self.sandbox_unavailable = refusal
                self._sandbox = None
            self._tried = True

    async def _try(self, sandbox: OsSandbox) -> Unavailable | None:
        try:
            sandbox.policy.prepare()
            if walls := sandbox.helper(SandboxSession.helper_command()):
                self._session = await SandboxSession.open(walls, self._command_env(None))
                return None
            process = self._spawn(sandbox.wrap([self._shell, "-c", ":"], cwd=self._root), None, env=None, on_output=None)
        except SandboxFailed as failure:
            return sandbox.explain(str(failure))
        except OSError as error:
            return sandbox.explain(str(error))
        process.limit(TRIAL_TIMEOUT_S)
        result = await process.wait()
        return sandbox.explain(result.head) if result.exit_code else None

    async def _helper(self, walls: list[str]) -> SandboxSession:
        """The helper behind these walls: credentials may have been made since, or ``git init`` run."""
        async with self._trial:
            session = self._session
            if session is not None:
                if session.walls == walls and not session.closed:
                    return session
                session.retire()
                self._retired.append(session)
            try:
                self._session = await SandboxSession.open(walls, self._command_env(None))
            except SandboxFailed as failure:
                raise SandboxUnavailable(f"The sandbox cannot be set up any more: {failure}", hint="Start ml-intern again.") from failure
            return self._session

    # ── paths ────────────────────────────────────────────────────────────────────────────────────────────────────

    def resolve(self, path: str) -> Path:
        return self._paths().resolve(path)

    def place(self, path: Path) -> Place:
        return self._paths().place(path)

    def contains_hidden(self, path: Path) -> bool:
        return self._hidden.any_below(path)

    def seen_by_commands(self, path: Path) -> str:
        return str(self._paths().inner(path))

    def find_program(self, name: str) -> str | None:
        return find_program(name, self._env)

    def _paths(self) -> LocalPaths:
        """The rules of paths: made anew where the sandbox turned out not to work."""
        if self._known_paths is None or self._known_paths[0] is not self._sandbox:
            self._known_paths = (self._sandbox, self._new_paths(self._sandbox))
        return self._known_paths[1]

    def _new_paths(self, sandbox: OsSandbox | None) -> LocalPaths:
        return LocalPaths(
            root=self._root,
            home=self._env.get("HOME", "/"),
            spill_dir=self._spill_dir,
            hidden=self._hidden,
            writable=self._writable,
            private_tmp=sandbox.private_tmp if sandbox else None,
            visible=(self._root, self._spill_dir, *self._writable, *(sandbox.policy.readable if sandbox else ())),
            tmp=self._tmp,
            protected=self._protected,
        )

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def exec(
        self,
        command: Command,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        on_output: OutputSink | None = None,
    ) -> CommandResult:
        process = await self._start(command, cwd=cwd, env=env, on_output=on_output)
        if timeout_s is not None:
            process.limit(timeout_s)
        try:
            result = await process.wait()
        except asyncio.CancelledError:
            await self._end(process)
            raise
        note = self._tame_repository()
        return structs.replace(result, note=note) if note else result

    def _tame_repository(self) -> str:
        if self._sandbox is None:
            return ""
        self._sandbox.repository.tame()
        return self._sandbox.repository.take_notes()

    async def _end(self, process: Process) -> None:
        process.terminate()
        try:
            await process.wait()
        except asyncio.CancelledError:  # Cancelled a second time: no more patience.
            process.kill()
            raise

    async def start(
        self,
        command: Command,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        on_output: OutputSink | None = None,
        keep_running: bool = False,
    ) -> RunningCommand:
        return await self._start(command, cwd=cwd, env=env, on_output=on_output, keep_running=keep_running)

    async def _start(
        self,
        command: Command,
        *,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        on_output: OutputSink | None,
        keep_running: bool = False,
    ) -> Process:
        if not self._tried:
            await self.ready()
        self._processes = [process for process in self._processes if process.result is None or process.holds_on]
        argv = [self._shell, "-c", self._script(command)] if isinstance(command, str) else list(command)
        sandbox = self._sandbox
        if sandbox is not None:
            sandbox.repository.tame()  # What background commands made, or one that was cancelled.
            inner = self._paths().inner(cwd or self._root)
            walls = None if keep_running else sandbox.helper(SandboxSession.helper_command())
            if walls is not None:
                process = await self._start_inside(await self._helper(walls), argv, inner, env=env, on_output=on_output)
                self._processes.append(process)
                return process
            argv = sandbox.wrap(argv, cwd=inner)
        log_path = self._new_file("background", "log") if keep_running else None
        process = self._spawn(argv, None if sandbox and sandbox.nested else cwd, env=env, on_output=on_output, log_path=log_path)
        (self._kept if keep_running else self._processes).append(process)
        return process

    async def _start_inside(
        self, session: SandboxSession, argv: Sequence[str], cwd: Path, *, env: Mapping[str, str] | None, on_output: OutputSink | None
    ) -> Process:
        read_fd, write_fd = output_pipe()
        try:
            child = await session.start(argv, cwd=str(cwd), env=env or {}, output_fd=write_fd)
        except BaseException:
            os.close(read_fd)
            raise
        finally:
            os.close(write_fd)
        return Process(child, OutputCapture(self._spill_dir), read_fd, on_output=on_output)

    def _spawn(
        self,
        argv: Sequence[str],
        cwd: Path | None,
        *,
        env: Mapping[str, str] | None,
        on_output: OutputSink | None,
        log_path: Path | None = None,
    ) -> Process:
        """``log_path``: let the output go there, so that the child does not depend on us."""
        nested = self._sandbox is not None and self._sandbox.nested
        where, full_env, capture = cwd or self._root, self._command_env(env), OutputCapture(self._spill_dir)
        if log_path is None:
            return start_process(argv, cwd=where, env=full_env, capture=capture, on_output=on_output, nested=nested)
        log_fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            child = spawn(argv, cwd=where, env=full_env, output_fd=log_fd, nested=nested)
        finally:
            os.close(log_fd)
        return Process(child, capture, -1, on_output=on_output, log_path=log_path)

    def _command_env(self, env: Mapping[str, str] | None) -> dict[str, str]:
        inside = self._sandbox.environment() if self._sandbox else {}
        return {**self._env, **inside, **(env or {})}

    def _script(self, command: str) -> str:
        """The line itself, or one that reads it from a file when it is too long for an argument."""
        if len(command) * 4 <= MAX_ARGUMENT_BYTES or len(command.encode("utf-8", "surrogateescape")) <= MAX_ARGUMENT_BYTES:
            return command
        path = self._new_file("command", "sh")
        path.write_bytes(command.encode("utf-8", "surrogateescape"))
        return f"source '{path}'" if "'" not in str(path) else f'source "{path}"'

    def _new_file(self, kind: str, suffix: str) -> Path:
        make_private(self._spill_dir)
        return self._spill_dir / f"{kind}_{os.urandom(6).hex()}.{suffix}"

    def holding_on(self) -> tuple[RunningCommand, ...]:
        return tuple(process for process in self._processes if process.holds_on)

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def stat(self, path: Path) -> FileStat | None:
        return await self._in_thread(local_files.file_stat, path)

    async def read_bytes(self, path: Path, max_bytes: int | None = None) -> bytes:
        return await self._in_thread(local_files.read_bytes, path, max_bytes)

    async def read_lines(self, path: Path, first: int, count: int, max_bytes: int) -> LinePage:
        return await self._in_thread(local_files.read_lines, path, first, count, max_bytes)

    async def write_bytes(self, path: Path, data: bytes) -> FileStat:
        return await self._in_thread(local_files.write_atomic, path, data)

    async def list_names(self, path: Path) -> list[str]:
        return await self._in_thread(local_files.list_names, path)

    async def _in_thread(self, function: Callable[P, R], *args: P.args, **_none: P.kwargs) -> R:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="workspace-files")
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **_none))

    async def aclose(self) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._processes.clear()
        kept = [process for process in self._kept if process.result is None]
        for process in kept:
            process.abandon()
        sessions = [session for session in (self._session, *self._retired) if session is not None]
        self._session = None
        self._retired.clear()
        self._kept.clear()
        for session in sessions:
            await session.aclose()
        if self._sandbox is not None:
            self._sandbox.repository.tame()
            if not kept:
                self._sandbox.repository.remove_placeholders()
        if self._sandbox is not None and self._sandbox.private_tmp is not None and not kept:
            await self._in_thread(local_files.remove_tree, self._sandbox.private_tmp)
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None
