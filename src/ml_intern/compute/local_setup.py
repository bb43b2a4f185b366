"""The local workspace that the settings ask for: sandboxed where the system can, credentials hidden, environment scrubbed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.compute.child_env import child_environment
from ml_intern.compute.hidden_paths import HiddenPaths, hidden_paths
from ml_intern.compute.local import LocalWorkspace
from ml_intern.compute.os_sandbox import SandboxPolicy, detect
from ml_intern.config.environ import Environ
from ml_intern.config.paths import Paths, expand_home, home_dir
from ml_intern.config.settings import JobSettings, SandboxSettings

if TYPE_CHECKING:
    from ml_intern.compute.local_jobs import LocalJobs


def local_workspace(
    sandbox: SandboxSettings, environ: Environ, paths: Paths, *, root: Path, scratch: Path, protected: Sequence[Path] = ()
) -> LocalWorkspace:
    """``root`` is the workspace, ``scratch`` a folder of the session's for long outputs and for what commands see as ``/tmp``.

    ``protected``: files of the workspace that run outside the sandbox.
    """
    variables = environ.as_dict()
    hidden = _hidden(environ, paths)
    writable = tuple(expand_home(folder, environ) for folder in sandbox.writable)
    child_env = child_environment(variables, sandbox.pass_env)
    if not sandbox.enabled:
        return LocalWorkspace(root, None, child_env, scratch, hidden=hidden, writable=writable, protected=protected)
    walls = detect(_policy(sandbox, environ, paths, root, scratch, protected), variables)
    return LocalWorkspace(root, walls, child_env, scratch, hidden=hidden, writable=writable, protected=protected)


def local_jobs(
    jobs: JobSettings, sandbox: SandboxSettings, environ: Environ, paths: Paths, *, root: Path, protected: Sequence[Path] = ()
) -> LocalJobs:
    """Jobs on this machine that start in ``root``, behind the same walls as its commands. They lie in ``state_dir/jobs``."""
    from ml_intern.compute.local_jobs import LocalJobs

    folder = paths.state_dir / "jobs"
    variables = environ.as_dict()
    walls = detect(_policy(sandbox, environ, paths, root, folder / "trial", protected), variables) if sandbox.enabled else None
    inherited = child_environment(variables, sandbox.pass_env)
    return LocalJobs(folder, root, walls, inherited, memory_gb=jobs.local_memory_gb, cpu_count=jobs.local_cpu_count)


def _policy(
    sandbox: SandboxSettings, environ: Environ, paths: Paths, root: Path, scratch: Path, protected: Sequence[Path]
) -> SandboxPolicy:
    return SandboxPolicy(
        root=root,
        scratch=scratch,
        hidden=_hidden(environ, paths),
        caches=paths.cache_dir / "commands",
        hf_home=Path(environ.get("HF_HOME") or home_dir(environ) / ".cache" / "huggingface"),
        writable=tuple(expand_home(folder, environ) for folder in sandbox.writable),
        readable=(Path(sys.prefix), scratch),
        protected=tuple(protected),
        network=sandbox.network,
    )


def _hidden(environ: Environ, paths: Paths) -> HiddenPaths:
    """The user's credentials, and our own folders."""
    return HiddenPaths(hidden_paths(home_dir(environ), environ.as_dict(), (paths.config_dir, paths.data_dir, paths.state_dir)))
