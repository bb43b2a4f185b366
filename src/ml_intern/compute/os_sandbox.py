"""The operating system's own walls around a command: which there are, whether they can be had, and what they let through.

Readable: the machine, less credentials, other programs' sockets and their temporary files. Writable: the workspace, a
private ``/tmp``, caches of its own, the Hub's download cache, and what the settings add. Caches of package installers are
*not* shared with the user's: uv links files of its cache into every environment, so that a command which may write there
could change programs outside the sandbox.
"""

from __future__ import annotations

import contextlib
import copy
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from msgspec import Struct, structs

from ml_intern.compute.hidden_paths import HiddenPaths
from ml_intern.compute.repository import Repository

VOLATILE = ("/tmp", "/var/tmp", "/run", "/var/run")
"""Folders that commands may not share with the rest of the machine: programs that act for the user listen there."""


class SandboxPolicy(Struct, frozen=True, kw_only=True):
    """What a command may touch. ``detect`` completes it.

    ``scratch`` is a folder of the session's: its ``tmp`` is the commands' ``/tmp``. ``readable`` lists what must stay
    visible although it lies under ``/tmp`` or ``/run``. ``caches`` is where commands keep caches of their own, ``hf_home`` the
    Hub's cache, which they share. ``protected`` are files of the workspace that programs outside the sandbox run.
    """

    root: Path
    scratch: Path
    hidden: HiddenPaths
    caches: Path
    hf_home: Path
    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    protected: tuple[Path, ...] = ()
    network: bool = True

    def prepare(self) -> None:
        """Make the folders that commands will write to."""
        os.makedirs(self.scratch / "tmp", mode=0o700, exist_ok=True)
        (self.scratch / "empty").touch(mode=0o600)
        for folder in self._shared():
            with contextlib.suppress(OSError):  # A read-only home: those caches are then simply not there.
                os.makedirs(folder, exist_ok=True)

    def _shared(self) -> list[Path]:
        return [self.caches, *(self.hf_home / name for name in ("hub", "datasets", "xet", "assets", "trackio"))]

    def writable_folders(self) -> list[str]:
        """What exists of that which commands may write to; the workspace comes last."""
        return [path for path in map(str, (*self._shared(), *self.writable, self.root)) if os.path.exists(path)]

    def environment(self) -> dict[str, str]:
        """Variables that send programs to the folders they may write to."""
        caches = str(self.caches)
        return {
            "TMPDIR": "/tmp",
            "XDG_CACHE_HOME": caches,
            "UV_CACHE_DIR": f"{caches}/uv",
            "UV_LINK_MODE": "copy",
            "PIP_CACHE_DIR": f"{caches}/pip",
            "TORCH_HOME": f"{caches}/torch",
            "TRITON_CACHE_DIR": f"{caches}/triton",
            "NUMBA_CACHE_DIR": f"{caches}/numba",
            "MPLCONFIGDIR": f"{caches}/matplotlib",
            "HF_HOME": str(self.hf_home),
            "HF_MODULES_CACHE": f"{caches}/huggingface_modules",
        }


class Unavailable(Struct, frozen=True):
    """There is no sandbox: why, and what the user can do about it."""

    reason: str
    fix: str


class OsSandbox(ABC):
    """A way to wrap an argument list so that the operating system confines what it starts."""

    name: ClassVar[str]
    nested: ClassVar[bool]
    """Whether the command becomes a child of the wrapper (and a group of its own)."""

    def __init__(self, policy: SandboxPolicy) -> None:
        self.policy = policy
        self.repository = Repository(policy.root, policy.protected)

    @abstractmethod
    def wrap(self, argv: Sequence[str], *, cwd: Path) -> list[str]:
        """The argument list to start instead, for one command that may survive our end."""

    def supervised(self, argv: Sequence[str], *, cwd: Path) -> list[str]:
        """The same for a command that must not survive the process that starts it."""
        return self.wrap(argv, cwd=cwd)

    def for_job(self, scratch: Path, writable: Path) -> Self:
        """The same walls around another command: with a ``/tmp`` of its own in ``scratch``, and one more folder to write to."""
        job = copy.copy(self)
        job.policy = structs.replace(self.policy, scratch=_real(scratch), writable=(*self.policy.writable, _real(writable)))
        return job

    def helper(self, argv: Sequence[str]) -> list[str] | None:
        """The argument list that starts a helper as the first process of a sandbox that stays, and ends with us; None where
        walls cost so little that each command gets its own."""
        return None

    @abstractmethod
    def explain(self, output: str) -> Unavailable:
        """Why a trial run failed, from what it printed."""

    @property
    def private_tmp(self) -> Path | None:
        """The folder that commands see as ``/tmp``, if that is not the machine's."""
        return None

    def environment(self) -> dict[str, str]:
        """Variables that commands need inside."""
        return self.policy.environment()


def detect(
    policy: SandboxPolicy, environ: Mapping[str, str], *, platform: str = sys.platform, read: Callable[[str], str] | None = None
) -> OsSandbox | Unavailable:
    """The sandbox of this system, by looking only; ``Workspace.ready`` then tries it.

    ``read`` reads a small file of the system ("" when there is none).
    """
    policy = _completed(policy, environ)
    if platform == "darwin":
        from ml_intern.compute.sandbox_exec import SandboxExec

        return SandboxExec(policy)
    if platform != "linux":
        return Unavailable(f"ml-intern knows no OS sandbox for {platform}.", "Use Linux or macOS, or work in a container.")
    from ml_intern.compute.bubblewrap import Bubblewrap, kernel_refusal

    if (executable := find_program("bwrap", environ)) is None:
        fix = "Install it: apt install bubblewrap, dnf install bubblewrap or pacman -S bubblewrap."
        return Unavailable("bubblewrap is not installed.", fix)
    return kernel_refusal(read or _read) or Bubblewrap(policy, executable)


def _completed(policy: SandboxPolicy, environ: Mapping[str, str]) -> SandboxPolicy:
    """Links followed, and what programs are run from, and the home folder, kept visible wherever they lie."""
    folders = [Path(environ[name]) for name in ("HOME", "VIRTUAL_ENV", "CONDA_PREFIX") if environ.get(name)]
    programs = [Path(entry) for entry in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(entry)]
    folders += [folder if str(folder.parent) in VOLATILE else folder.parent for folder in programs]
    folders += [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1]]
    return structs.replace(
        policy,
        root=_real(policy.root),
        scratch=_real(policy.scratch),
        caches=_real(policy.caches),
        hf_home=_real(policy.hf_home),
        writable=tuple(map(_real, policy.writable)),
        protected=tuple(map(_real, policy.protected)),
        readable=tuple(dict.fromkeys(map(_real, (*policy.readable, *folders)))),
    )


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """The program's path, by ``PATH``."""
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""
