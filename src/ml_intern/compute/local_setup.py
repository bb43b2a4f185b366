"""The local workspace that the settings ask for: sandboxed where the system can, credentials hidden, environment scrubbed."""

from __future__ import annotations

import sys
from pathlib import Path

from ml_intern.compute.child_env import child_environment
from ml_intern.compute.hidden_paths import HiddenPaths, hidden_paths
from ml_intern.compute.local import LocalWorkspace
from ml_intern.compute.os_sandbox import SandboxPolicy, detect
from ml_intern.config.environ import Environ
from ml_intern.config.paths import Paths, expand_home, home_dir
from ml_intern.config.settings import SandboxSettings


def local_workspace(sandbox: SandboxSettings, environ: Environ, paths: Paths, *, root: Path, scratch: Path) -> LocalWorkspace:
    """``root`` is the workspace, ``scratch`` a folder of the session's for long outputs and for what commands see as ``/tmp``."""
    variables = environ.as_dict()
    hidden = HiddenPaths(hidden_paths(home_dir(environ), variables, (paths.config_dir, paths.data_dir, paths.state_dir)))
    writable = tuple(expand_home(folder, environ) for folder in sandbox.writable)
    child_env = child_environment(variables, sandbox.pass_env)
    if not sandbox.enabled:
        return LocalWorkspace(root, None, child_env, scratch, hidden=hidden, writable=writable)
    policy = SandboxPolicy(
        root=root,
        scratch=scratch,
        hidden=hidden,
        caches=paths.cache_dir / "commands",
        hf_home=Path(environ.get("HF_HOME") or home_dir(environ) / ".cache" / "huggingface"),
        writable=writable,
        readable=(Path(sys.prefix), scratch),
        network=sandbox.network,
    )
    return LocalWorkspace(root, detect(policy, variables), child_env, scratch, hidden=hidden, writable=writable)
