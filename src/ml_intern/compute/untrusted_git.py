"""Git that looks at a repository which may be a stranger's, and runs nothing that the repository names.

A repository's ``config`` can name programs for nearly everything: filters, drivers, monitors, fetching what is missing. Switching
each of them off would be a list that is never complete. So its ``config`` is not read while files are compared: git works in a
repository of ours, made for the moment, that borrows the objects and the index of the other. ``filter`` is taken out of all
attributes (``info/attributes`` wins over every other source, gitattributes(5)), for the user's own filters too: they would be fed
with what a stranger wrote. The user's own configuration counts otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from msgspec import Struct

from ml_intern.config.brought_file import read_brought
from ml_intern.errors import ConfigError, MlInternError

TIMEOUT_S = 20.0
LIMIT_BYTES = 4 * 1024 * 1024
_COMPLAINT_BYTES = 64 * 1024
_ATTRIBUTES = "* !filter\n"
_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "core.untrackedCache=false",
    "submodule.recurse=false",
)
_ABOUT_FILES = r"^core\.(filemode|ignorecase|precomposeunicode|symlinks|autocrlf|eol)$"
"""Settings that say how files of this machine look in the repository; none of them is a program."""
_MAX_EXCLUDE_BYTES = 256 * 1024
_MAX_SHARED_INDEXES = 16


class GitFailed(MlInternError):
    """git could not say it."""


class NoRepository(GitFailed):
    """There is none around the folder, or git will not read it."""


class _Found(Struct, frozen=True, kw_only=True):
    top: str
    objects: str
    index: str
    exclude: str
    format: str
    head: str
    """The commit; empty in a repository without one."""
    settings: tuple[str, ...]


class UntrustedGit:
    """Runs git in one folder. ``head`` is empty before the first commit."""

    def __init__(self, cwd: Path, environ: Mapping[str, str], settings: tuple[str, ...], head: str) -> None:
        self._cwd = cwd
        self._environ = environ
        self._settings = settings
        self.head = head

    async def run(self, *arguments: str, if_cut: str = "") -> str:
        """The beginning of what it printed, and ``if_cut`` where there was more. Raises ``GitFailed``."""
        code, out, err = await self.attempt(*arguments)
        if code:
            raise GitFailed(f"git {arguments[0]} failed in {self._cwd}: {err or f'exit code {code}'}.")
        return out[:LIMIT_BYTES].decode("utf-8", "replace") + (if_cut if len(out) > LIMIT_BYTES else "")

    async def attempt(self, *arguments: str) -> tuple[int, bytes, str]:
        """Exit code, the beginning of the output (a byte beyond ``LIMIT_BYTES`` tells of more), and the last line that it complained in."""
        settings = [word for setting in (*_SETTINGS, *self._settings) for word in ("-c", setting)]
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                "--no-optional-locks",
                "--no-pager",
                *settings,
                *arguments,
                cwd=self._cwd,
                env={**self._environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "none", "GIT_NO_REPLACE_OBJECTS": "1"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise GitFailed(f"git cannot be started in {self._cwd}: {error.strerror}.", hint="Install git.") from error
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out, err = await _heard(process)
        except TimeoutError as error:
            raise GitFailed(f"git did not answer within {TIMEOUT_S:.0f} s in {self._cwd}.") from error
        finally:
            if process.returncode is None:
                _end(process)
                await process.wait()
        complaint = err.decode("utf-8", "replace").strip().splitlines()[-1:]
        code = 0 if len(out) > LIMIT_BYTES else process.returncode or 0  # ended by us: the rest was not wanted
        return code, out, "".join(complaint).removeprefix("fatal: ")


async def _heard(process: Process) -> tuple[bytes, bytes]:
    """The beginning of what it prints and the end of its complaints. It ends then, also when it has more to print."""
    assert process.stdout is not None and process.stderr is not None
    async with asyncio.TaskGroup() as group:
        complaint = group.create_task(_end_of(process.stderr))
        out = bytearray()
        while len(out) <= LIMIT_BYTES and (chunk := await process.stdout.read(LIMIT_BYTES + 1 - len(out))):
            out += chunk
        if len(out) > LIMIT_BYTES:
            _end(process)
            await _end_of(process.stdout)  # what it had printed already: else the pipe stays open
    await process.wait()
    return bytes(out), complaint.result()


def _end(process: Process) -> None:
    """With what it started: that may hold the pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _end_of(stream: asyncio.StreamReader) -> bytes:
    end = b""
    while chunk := await stream.read(_COMPLAINT_BYTES):
        end = (end + chunk)[-_COMPLAINT_BYTES:]
    return end


@contextlib.asynccontextmanager
async def looking_at(cwd: Path, environ: Mapping[str, str]) -> AsyncGenerator[UntrustedGit]:
    """For what compares and lists. Raises ``GitFailed``."""
    found = await _find(UntrustedGit(cwd, environ, (), ""))
    folder = await asyncio.to_thread(_borrowing, found)
    try:
        borrowed = {
            "GIT_DIR": folder.name,
            "GIT_WORK_TREE": found.top,
            "GIT_OBJECT_DIRECTORY": found.objects,
            "GIT_INDEX_FILE": found.index,
        }
        own = {
            name: value for name, value in environ.items() if name not in ("GIT_COMMON_DIR", "GIT_EXTERNAL_DIFF", "GIT_CONFIG_PARAMETERS")
        }
        yield UntrustedGit(cwd, {**own, **borrowed}, found.settings, found.head)
    finally:
        await asyncio.to_thread(folder.cleanup)


async def _find(git: UntrustedGit) -> _Found:
    """Where the parts of the repository are. ``rev-parse`` and ``config`` open no file of the workspace and run no program."""
    paths = [word for name in ("objects", "index", "info/exclude") for word in ("--git-path", name)]
    code, out, complaint = await git.attempt("rev-parse", "--path-format=absolute", "--show-toplevel", "--show-object-format", *paths)
    lines = os.fsdecode(out).splitlines()
    if code or len(lines) != 5:
        raise NoRepository(complaint)
    top, kind, objects, index, exclude = lines
    _, head, _ = await git.attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    _, settings, _ = await git.attempt("config", "--null", "--get-regexp", _ABOUT_FILES)
    given = [entry.partition("\n") for entry in os.fsdecode(settings).split("\0") if entry]
    return _Found(
        top=top,
        objects=objects,
        index=index,
        exclude=exclude,
        format=kind,
        head=os.fsdecode(head).strip(),
        settings=tuple(f"{name}={value}" if equals else name for name, equals, value in given),
    )


def _borrowing(found: _Found) -> tempfile.TemporaryDirectory[str]:
    """A repository with nothing of its own. Blocks."""
    folder = tempfile.TemporaryDirectory(prefix="ml-intern-git-", ignore_cleanup_errors=True)
    git = Path(folder.name)
    for name in ("refs", "info"):
        (git / name).mkdir()
    (git / "HEAD").write_text(f"{found.head or 'ref: refs/heads/none'}\n")
    version, extension = (1, f"[extensions]\n\tobjectFormat = {found.format}\n") if found.format != "sha1" else (0, "")
    (git / "config").write_text(f"[core]\n\trepositoryFormatVersion = {version}\n\tbare = false\n{extension}")
    (git / "info" / "attributes").write_text(_ATTRIBUTES)
    with contextlib.suppress(ConfigError):  # No regular file: nothing is excluded by it.
        (git / "info" / "exclude").write_bytes(read_brought(Path(found.exclude), _MAX_EXCLUDE_BYTES) or b"")
    for shared in sorted(Path(found.index).parent.glob("sharedindex.*"))[:_MAX_SHARED_INDEXES]:
        (git / shared.name).symlink_to(shared)
    return folder
