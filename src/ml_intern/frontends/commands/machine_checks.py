"""Checks of this machine: versions, settings, sandbox, store, folders, programs, disk."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.version import __version__
from ml_intern.errors import StoreError
from ml_intern.frontends.commands.check import Check, fail, ok, warn
from ml_intern.protocol.amounts import counted

PACKAGES = ("msgspec", "httpx2", "click", "rich", "litellm")
LITTLE_BYTES = 2 * 1024**3
TOO_LITTLE_BYTES = 100 * 1024**2
PROGRAMS = {
    "rg": "Install ripgrep: searching is much slower without it.",
    "git": "Install git: the agent works with repositories.",
    "bash": "Install bash: commands run in sh without it.",
}
GPU_TIMEOUT_S = 10.0


def versions() -> Check:
    """Ours, Python's, and those of the packages that bug reports need."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return ok("versions", f"ml-intern {__version__}, Python {platform.python_version()}, {system}; {', '.join(_installed())}")


def _installed() -> list[str]:
    found: list[str] = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found


def settings(loaded: LoadedSettings) -> Check:
    """The files that were read, and what in them has no effect."""
    read = ", ".join(str(path) for path in loaded.files)
    notes = [*loaded.warnings]
    if notes:
        return warn("settings", read, " ".join(notes))
    return ok("settings", read)


async def sandbox(loaded: LoadedSettings) -> Check:
    """Really starts a command in it, under the policy that a session would use."""
    from ml_intern.compute.local_setup import local_workspace

    wanted = loaded.settings.sandbox
    if not wanted.enabled:
        return warn("sandbox", "switched off: local commands run unconfined.", f"See {loaded.origins['sandbox.enabled']}.")
    with tempfile.TemporaryDirectory(prefix="ml-intern-doctor-") as scratch:
        workspace = local_workspace(wanted, loaded.environ, loaded.paths, root=loaded.cwd, scratch=Path(scratch))
        try:
            await workspace.ready()
        finally:
            await workspace.aclose()
    if (refused := workspace.sandbox_unavailable) is not None:
        return warn("sandbox", f"{refused.reason} Commands that do more than read will ask, or be refused.", refused.fix)
    network = "network allowed" if wanted.network else "no network"
    return ok("sandbox", f"works: commands write only to the workspace and to temporary files; {network}.")


async def store(loaded: LoadedSettings) -> Check:
    """Reads the whole file, writes nothing."""
    path = loaded.paths.sessions_db
    if not path.exists():
        return ok("store", f"no sessions yet; they will be kept in {path}")
    from ml_intern.stores.sqlite import SqliteStore

    sessions = SqliteStore(path)
    try:
        await sessions.check()
        count = len(await sessions.sessions())
    except StoreError as error:
        return fail("store", error.message, error.hint)
    finally:
        await sessions.aclose()
    size_mb = sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*")) / 1e6
    return ok("store", f"{counted(count, 'session')}, {size_mb:.1f} MB, healthy: {path}")


def folders(loaded: LoadedSettings) -> Check:
    """Ours can be written and are read by nobody else; so can the workspace."""
    for folder in (*loaded.paths, loaded.cwd):
        existing = next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
        if not os.access(existing, os.W_OK | os.X_OK):
            return fail("folders", f"{existing} cannot be written.", "Change its owner or mode, or choose another by XDG_* or --cwd.")
    shared = [folder for folder in (loaded.paths.data_dir, loaded.paths.state_dir) if _is_open_to_others(folder)]
    if shared:
        names = " ".join(str(folder) for folder in shared)
        return warn("folders", f"other users of this machine can look into {names}", f"chmod 700 {names}")
    return ok("folders", f"work in {loaded.cwd}, data in {loaded.paths.data_dir}")


def _is_open_to_others(folder: Path) -> bool:
    return folder.exists() and bool(stat.S_IMODE(folder.stat().st_mode) & 0o077)


def programs(environ: Environ) -> Check:
    """What local tools call, and the GPU if there is one."""
    path = environ.get("PATH")
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    found = ", ".join(name for name in PROGRAMS if name not in missing) or "none"
    detail = f"{found}; {_gpus(path)}; {os.cpu_count()} CPU cores"
    if missing:
        return warn("programs", f"{', '.join(missing)} not found (found: {detail})", " ".join(PROGRAMS[name] for name in missing))
    return ok("programs", detail)


def _gpus(path: str | None) -> str:
    program = shutil.which("nvidia-smi", path=path)
    if program is None:
        return "no NVIDIA GPU" if sys.platform != "darwin" else "no nvidia-smi"
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=GPU_TIMEOUT_S, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return "nvidia-smi does not answer"
    return "; ".join(line.strip() for line in answer.stdout.splitlines() if line.strip()) or "no NVIDIA GPU"


def disk(loaded: LoadedSettings) -> Check:
    """Room for sessions and for what is trained."""
    free = {folder: _free_bytes(folder) for folder in (loaded.paths.data_dir, loaded.cwd)}
    tightest = min(free, key=lambda folder: free[folder])
    detail = f"{free[tightest] / 1e9:.1f} GB free at {tightest}"
    if free[tightest] < TOO_LITTLE_BYTES:
        return fail("disk", detail, "Free some space: sessions could not be kept.")
    if free[tightest] < LITTLE_BYTES:
        return warn("disk", detail, "Free some space before training anything.")
    return ok("disk", detail)


def _free_bytes(folder: Path) -> int:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(existing).free
