"""Workspaces for tests: in a temporary folder, bare or inside the OS sandbox of this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ml_intern.compute.child_env import child_environment
from ml_intern.compute.hidden_paths import HiddenPaths, hidden_paths
from ml_intern.compute.local import LocalWorkspace
from ml_intern.compute.os_sandbox import SandboxPolicy, Unavailable, detect
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.question_events import Outcome
from ml_intern.tools.base import Answer, ToolContext


@dataclass(kw_only=True)
class Machine:
    """The folders of a pretended machine below a temporary folder, and workspaces on it."""

    base: Path
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def __post_init__(self) -> None:
        self.root = self.base / "project"
        self.home = self.base / "home"
        self.data = self.home / ".local" / "share" / "ml-intern"
        self.scratch = self.data / "spill" / "session"
        self.tmp = self.base / "tmp"
        for folder in (self.root, self.home, self.scratch, self.tmp):
            folder.mkdir(parents=True, exist_ok=True)
        self.variables = {**self.environ, "HOME": str(self.home), "TMPDIR": str(self.tmp)}
        self.hidden = HiddenPaths(hidden_paths(self.home, {}, [self.data]))

    def bare(self) -> LocalWorkspace:
        """A workspace without a sandbox."""
        return LocalWorkspace(self.root, None, child_environment(self.variables), self.scratch, hidden=self.hidden)

    def policy(self, *, network: bool = True, writable: tuple[Path, ...] = (), protected: tuple[Path, ...] = ()) -> SandboxPolicy:
        return SandboxPolicy(
            root=self.root,
            scratch=self.scratch,
            hidden=self.hidden,
            caches=self.home / ".cache" / "ml-intern" / "commands",
            hf_home=self.home / ".cache" / "huggingface",
            writable=writable,
            protected=protected,
            network=network,
        )

    async def sandboxed(
        self,
        *,
        network: bool = True,
        writable: tuple[Path, ...] = (),
        pass_env: tuple[str, ...] = (),
        protected: tuple[Path, ...] = (),
    ) -> LocalWorkspace:
        """A workspace inside the OS sandbox; skips the test, saying why, where there is none."""
        found = detect(self.policy(network=network, writable=writable, protected=protected), self.variables)
        if isinstance(found, Unavailable):
            pytest.skip(f"no OS sandbox here: {found.reason}")
        env = child_environment(self.variables, pass_env)
        workspace = LocalWorkspace(self.root, found, env, self.scratch, hidden=self.hidden, writable=writable, protected=protected)
        await workspace.ready()
        if workspace.sandbox_unavailable is not None:
            pytest.skip(f"no OS sandbox here: {workspace.sandbox_unavailable.reason}")
        return workspace


@dataclass
class Calls:
    """A ``ToolContext`` that remembers; ``answer`` is what the user says."""

    answer: str | None = None
    reason: Outcome = "answered"
    reported: list[str] = field(default_factory=list)
    emitted: list[Event] = field(default_factory=list)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    @property
    def context(self) -> ToolContext:
        async def emit(event: Event) -> None:
            self.emitted.append(event)

        async def ask(question: str, options: tuple[str, ...]) -> Answer:
            self.asked.append((question, options))
            return Answer(self.answer, self.reason)

        return ToolContext(call_id="call_1", session_id="s1", report=self.reported.append, emit=emit, ask=ask)


def processes_in(folder: Path) -> list[int]:
    """Processes of this machine that work in the folder."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
    return found
