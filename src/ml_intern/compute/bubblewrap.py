"""bubblewrap (https://github.com/containers/bubblewrap): namespaces and bind mounts around one command."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ml_intern.compute.os_sandbox import VOLATILE, OsSandbox, SandboxPolicy, Unavailable

_DEVICE_PREFIXES = ("nvidia", "dri", "kfd", "accel", "dxg", "davinci", "hisi_hdc")
"""Accelerators in ``/dev``."""

_RUN_KEPT = (
    "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf", "/run/nscd", "/run/nvidia-persistenced",
    "/run/opengl-driver", "/run/current-system", "/run/wrappers", "/run/booted-system", "/run/host",
)  # fmt: skip
"""Name resolution, drivers, and where NixOS keeps its programs. The rest of ``/run`` is sockets of programs that act for the user."""

_ROOT_ONLY_PROC = ("sys", "sysrq-trigger", "acpi", "fs", "scsi", "mtrr", "driver")
"""Files in ``/proc`` that user 0 may write to even without any capability."""

_CAP_SYS_ADMIN = 21


class Bubblewrap(OsSandbox):
    """Read-only machine, writable workspace, own process table, own ``/tmp``; dies with us."""

    name = "bubblewrap"
    nested = True

    def __init__(self, policy: SandboxPolicy, executable: str) -> None:
        super().__init__(policy)
        self._executable = executable

    @property
    def private_tmp(self) -> Path | None:
        return self.policy.scratch / "tmp"

    def wrap(self, argv: Sequence[str], *, cwd: Path) -> list[str]:
        return [*self._walls(), "--chdir", str(cwd), "--", *argv]

    def supervised(self, argv: Sequence[str], *, cwd: Path) -> list[str]:
        return [*self._walls(), "--die-with-parent", "--chdir", str(cwd), "--", *argv]

    def helper(self, argv: Sequence[str]) -> list[str] | None:
        return [*self._walls(), "--die-with-parent", "--as-pid-1", "--chdir", "/", "--", *argv]

    def _walls(self) -> list[str]:
        policy = self.policy
        scratch = str(policy.scratch)
        folders = policy.writable_folders()
        hidden = policy.hidden.existing()
        hidden_folders = [path for path in hidden if os.path.isdir(path)]
        args = [self._executable, "--ro-bind", "/", "/", "--dev", "/dev", *_devices(), *_proc(), *_volatile(f"{scratch}/tmp")]
        args += _binds("--ro-bind-try", [str(path) for path in policy.readable if _lies_in(str(path), VOLATILE)])
        args += _binds("--bind", folders)
        for path in hidden:
            args += ["--tmpfs", path] if path in hidden_folders else ["--ro-bind", f"{scratch}/empty", path]
        args += _binds("--ro-bind", [scratch])
        args += _binds("--bind", [path for path in folders if _lies_in(path, hidden_folders)])
        read_only = self.repository.read_only()
        # A folder that is mounted once more shows what is hidden in it.
        pinned = [path for path in self.repository.pinned() if not policy.hidden.any_below(Path(path))]
        args += _binds("--bind", pinned) + _binds("--ro-bind", read_only)
        args += [word for path in hidden_folders for word in ("--remount-ro", path)]
        args += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--new-session", "--cap-drop", "ALL"]
        args += [] if policy.network else ["--unshare-net"]
        return args

    def explain(self, output: str) -> Unavailable:
        detail = output.strip().splitlines()[-1] if output.strip() else "no message"
        return Unavailable(f"bubblewrap cannot set up a sandbox here ({detail}).", _USER_NAMESPACES_FIX)


_USER_NAMESPACES_FIX = (
    "Allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0 "
    "or user.max_user_namespaces above 0; in a container: --security-opt seccomp=unconfined), or pass --no-sandbox where the "
    "machine itself is disposable."
)


def kernel_refusal(read: Callable[[str], str], *, user_id: int | None = None) -> Unavailable | None:
    """What the kernel's settings already say against it; None when only a trial can tell."""
    if (os.geteuid() if user_id is None else user_id) == 0:
        capabilities = _status_field(read("/proc/self/status"), "CapEff")
        if capabilities and not int(capabilities, 16) >> _CAP_SYS_ADMIN & 1 and read("/proc/sys/user/max_user_namespaces").strip() == "0":
            return Unavailable("This container may neither mount nor make user namespaces.", _USER_NAMESPACES_FIX)
        return None
    refusals = {
        "/proc/sys/kernel/unprivileged_userns_clone": "0",
        "/proc/sys/user/max_user_namespaces": "0",
    }
    for path, forbidden in refusals.items():
        if read(path).strip() == forbidden:
            return Unavailable(f"The system forbids user namespaces ({path} is {forbidden}).", _USER_NAMESPACES_FIX)
    return None


def _status_field(status: str, name: str) -> str:
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return ""


def _binds(option: str, paths: Sequence[str]) -> list[str]:
    return [word for path in paths for word in (option, path, path)]


def _proc() -> list[str]:
    names = _ROOT_ONLY_PROC if os.geteuid() == 0 else ()
    return ["--proc", "/proc", *_binds("--ro-bind", [path for name in names if os.path.exists(path := f"/proc/{name}")])]


def _volatile(private_tmp: str) -> list[str]:
    words = ["--bind", private_tmp, "/tmp"]
    if os.path.isdir("/var/tmp") and not os.path.islink("/var/tmp"):
        words += ["--bind", private_tmp, "/var/tmp"]
    for place in ("/run", "/var/run"):
        if os.path.isdir(place) and not os.path.islink(place):
            words += ["--tmpfs", place]
    return words + _binds("--ro-bind", [path for path in _RUN_KEPT if os.path.exists(path)])


def _devices() -> list[str]:
    return _binds("--dev-bind-try", sorted(f"/dev/{name}" for name in os.listdir("/dev") if name.startswith(_DEVICE_PREFIXES)))


def _lies_in(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(f"{folder}/") or path == folder for folder in folders)
