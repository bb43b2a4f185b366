"""Git for the shadow repository, run so that nothing in the workspace can make it run or follow anything.

``GIT_DIR`` is ours and lies in the user's state, so the workspace's own ``.git`` is never opened: not its config, hooks or index.
No other configuration is read. Attributes that the workspace names (filters, line ends, encodings) are overridden in
``info/attributes``, which wins over every other source (gitattributes(5)): files are kept byte for byte.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ml_intern.compute.shadow_removal import DRAFT
from ml_intern.config.private_file import replace_private
from ml_intern.errors import MlInternError

ATTRIBUTES = "* -text !eol -ident !filter !working-tree-encoding\n"
SETTINGS = (
    "core.bare=false", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null", "core.excludesFile=/dev/null",
    "core.autocrlf=false", "core.safecrlf=false", "core.looseCompression=1", "core.fsync=none", "core.quotePath=false", "gc.auto=0",
    "maintenance.auto=false", "core.symlinks=true", "core.fileMode=true", "core.logAllRefUpdates=false", "core.commitGraph=false",
)  # fmt: skip
_KEPT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
TIMEOUT_S = 60.0


class SnapshotFailed(MlInternError):
    """A snapshot could not be taken or gone back to."""


class ShadowGit:
    """Runs git on one workspace with one shadow repository. Blocks: for a thread."""

    def __init__(self, executable: str, git_dir: Path, work_tree: Path, environ: Mapping[str, str]) -> None:
        self._executable = executable
        self.git_dir = git_dir
        self._work_tree = work_tree
        self._running: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self.env = {
            **{name: environ[name] for name in _KEPT if name in environ},
            "GIT_DIR": str(git_dir),
            "GIT_WORK_TREE": str(work_tree),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
            **{f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()},
        }

    def make(self) -> None:
        """The repository, if it is not there, and the files of it that keep it harmless, anew each time."""
        if not (self.git_dir / "HEAD").exists():
            self.run("init", "--quiet", "--template=", work_tree=False)
        info = self.git_dir / "info"
        info.mkdir(exist_ok=True)
        for name, text in (("attributes", ATTRIBUTES), ("exclude", f"{self.draft()}\n")):
            path = info / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def draft(self) -> str:
        """The name in the workspace for what a rewind has half written. It is kept: one that was killed is cleared up after by it."""
        kept = self.git_dir / "ml-intern.draft"
        if not kept.exists():
            replace_private(kept, f"{DRAFT}{os.urandom(6).hex()}".encode())
        return kept.read_text()

    def run(
        self,
        *arguments: str,
        given: bytes | None = None,
        work_tree: bool = True,
        index: Path | None = None,
        timeout_s: float = TIMEOUT_S,
        settings: tuple[str, ...] = (),
    ) -> bytes:
        """What it printed; ``index``: not the repository's own; ``settings`` beside the usual ones. Raises ``SnapshotFailed``."""
        env = self.env if work_tree else {name: value for name, value in self.env.items() if name != "GIT_WORK_TREE"}
        env = env if index is None else {**env, "GIT_INDEX_FILE": str(index)}
        if self._stopped:
            raise SnapshotFailed("The session is closing.")
        try:
            with subprocess.Popen(
                self.command(*arguments, settings=settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._work_tree,
                env=env,
                start_new_session=True,
            ) as process:
                self._running = process
                if self._stopped:
                    process.kill()  # the stop came between
                out, err = self._talk(process, given or b"", timeout_s)
        except OSError as error:
            raise SnapshotFailed(f"git {arguments[0]} could not be run: {error.strerror}.") from error
        finally:
            self._running = None
        if process.returncode != 0:
            words = err.decode("utf-8", "replace").strip()[-300:]
            raise SnapshotFailed(f"git {arguments[0]} failed: {words or f'exit code {process.returncode}'}.")
        return out

    def _talk(self, process: subprocess.Popen[bytes], given: bytes, timeout_s: float) -> tuple[bytes, bytes]:
        try:
            return process.communicate(given, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise SnapshotFailed(f"git took longer than {timeout_s:g} s.") from error

    def stop(self) -> None:
        """From another thread: end what runs, and run nothing more."""
        self._stopped = True
        if (process := self._running) is not None:
            process.kill()

    def command(self, *arguments: str, settings: tuple[str, ...] = ()) -> list[str]:
        """The argument list; to be run with ``env``."""
        return [self._executable, *(word for setting in (*SETTINGS, *settings) for word in ("-c", setting)), *arguments]

    def version(self) -> tuple[int, ...]:
        """Empty when it cannot be read. Raises ``SnapshotFailed``."""
        found = re.search(rb"(\d+)\.(\d+)", self.run("version"))
        return tuple(int(number) for number in found.groups()) if found else ()

    def paths(self, *arguments: str) -> list[str]:
        """What a command with ``-z`` prints, as file names."""
        return [os.fsdecode(name) for name in self.run(*arguments).split(b"\0") if name]


_WHO = {"NAME": "ml-intern", "EMAIL": "ml-intern@localhost"}
