"""The seam to wherever commands run and files live: this machine now, a remote sandbox by the same face."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

from msgspec import Struct

OutputSink: TypeAlias = Callable[[str], None]
"""Gets live output in pieces of at most some kilobytes, about ten times a second; must not block."""

Command: TypeAlias = str | Sequence[str]
"""A line for bash, or an argument list that no shell reads."""


class Place(StrEnum):
    """Where a path lies, as far as safety is concerned."""

    WORKSPACE = "workspace"
    """Inside the workspace, its temporary folder or a folder that the settings made writable."""
    OUTSIDE = "outside"
    """Readable; writing there needs more than the workspace's trust."""
    HIDDEN = "hidden"
    """Credentials: neither commands nor tools may see it."""


class FileKind(StrEnum):
    """What a path names, links followed."""

    FILE = "file"
    DIRECTORY = "directory"
    OTHER = "other"


class FileStat(Struct, frozen=True, kw_only=True):
    """A file as it is now; size and time together tell whether it changed."""

    kind: FileKind
    size_bytes: int
    mtime_ns: int


class CommandResult(Struct, frozen=True, kw_only=True):
    """How a command ended.

    ``exit_code`` follows the shell: 128 + n for signal n. ``head`` is the whole output (stdout and stderr as they came,
    undecodable bytes replaced) unless it outgrew memory: then it is the beginning, ``tail`` the end, and the first
    ``spilled_bytes`` of it lie in ``spill_path`` (None when no file could be made). ``holds_on``: processes that the
    command started outlived it; ``Workspace.holding_on`` then has it under the same ``pid``.
    ``note``: what was put aside of what it left behind, and why.
    """

    exit_code: int
    head: str
    tail: str
    total_bytes: int
    duration_s: float
    pid: int
    timed_out: bool = False
    holds_on: bool = False
    spill_path: Path | None = None
    spilled_bytes: int = 0
    note: str = ""


class LinePage(Struct, frozen=True, kw_only=True):
    """Lines ``first`` (from 1) and following, without their newlines; ``total_lines`` counts the whole file."""

    lines: tuple[bytes, ...]
    first: int
    total_lines: int


class OutputPage(Struct, frozen=True, kw_only=True):
    """A slice of a command's output: bytes ``start`` to ``end`` of ``total_bytes``."""

    text: str
    start: int
    end: int
    total_bytes: int


class RunningCommand(Protocol):
    """A command that was started. It ends with the workspace unless it was started to keep running."""

    @property
    def pid(self) -> int:
        """The process id on the machine that runs it."""
        ...

    @property
    def result(self) -> CommandResult | None:
        """None while it runs."""
        ...

    @property
    def holds_on(self) -> bool:
        """Whether it has ended, but something that it started has not."""
        ...

    @property
    def log_path(self) -> Path | None:
        """The file that holds its output, if there is one."""
        ...

    async def wait(self) -> CommandResult:
        """Until it ends. Cancelling the wait leaves the command alone."""
        ...

    async def read_output(self, start: int, max_bytes: int) -> OutputPage:
        """Output so far; a negative ``start`` counts from the end."""
        ...

    async def stop(self) -> CommandResult:
        """SIGTERM to it and all its children, SIGKILL a little later to what is left."""
        ...


class Workspace(Protocol):
    """A folder, and a machine that runs commands in it. Paths are absolute and resolved (see ``resolve``)."""

    @property
    def root(self) -> Path:
        """The folder that relative paths start at."""
        ...

    @property
    def confined(self) -> bool:
        """Whether an OS sandbox, checked to work, holds every command from now on. Never goes back to False."""
        ...

    @property
    def python(self) -> str:
        """The interpreter that the project uses, else ``python3``, else any."""
        ...

    async def ready(self) -> None:
        """Find out whether the sandbox works. Called early, it costs the first command nothing."""
        ...

    def resolve(self, path: str) -> Path:
        """The absolute path behind ``path``: relative to the root, ``~`` and links followed. Raises ``ValueError``."""
        ...

    def place(self, path: Path) -> Place:
        """Where a resolved path lies."""
        ...

    def contains_hidden(self, path: Path) -> bool:
        """Whether credentials lie somewhere below a folder."""
        ...

    def seen_by_commands(self, path: Path) -> str:
        """How a command has to spell a resolved path."""
        ...

    def find_program(self, name: str) -> str | None:
        """The program that a command of that name would run."""
        ...

    async def exec(
        self,
        command: Command,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        on_output: OutputSink | None = None,
    ) -> CommandResult:
        """Run it to its end. Standard input is empty. On time-out and on cancellation all it started is stopped first;
        what it printed so far has then gone to ``on_output``. Raises ``SandboxUnavailable``, ``OSError``."""
        ...

    async def start(
        self,
        command: Command,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        on_output: OutputSink | None = None,
        keep_running: bool = False,
    ) -> RunningCommand:
        """Start it and come back. ``keep_running``: it survives this process, and its output goes straight to a file."""
        ...

    def holding_on(self) -> tuple[RunningCommand, ...]:
        """Commands whose shell has ended while processes that they started have not."""
        ...

    async def stat(self, path: Path) -> FileStat | None:
        """None when there is nothing. Raises ``OSError``."""
        ...

    async def read_bytes(self, path: Path, max_bytes: int | None = None) -> bytes:
        """The file, or its beginning. Raises ``OSError``."""
        ...

    async def read_lines(self, path: Path, first: int, count: int, max_bytes: int) -> LinePage:
        """Some lines of a file of any size, without holding it in memory. Raises ``OSError``."""
        ...

    async def write_bytes(self, path: Path, data: bytes) -> FileStat:
        """Replace the file in one step (a reader sees the old or the new one), keeping mode, owner and links; parent
        folders are made. Raises ``OSError``."""
        ...

    async def list_names(self, path: Path) -> list[str]:
        """The names in a folder, sorted. Raises ``OSError``."""
        ...

    async def aclose(self) -> None:
        """Stop all that still runs (but what was to keep running) and give back temporary files."""
        ...
