"""macOS: ``sandbox-exec`` with a profile in the Sandbox Profile Language, the last matching rule wins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ml_intern.compute.os_sandbox import OsSandbox, SandboxPolicy, Unavailable
from ml_intern.compute.repository import PROTECTED_NAMES

_EXECUTABLE = "/usr/bin/sandbox-exec"
_TEMPORARY = ("/private/tmp", "/private/var/folders", "/private/var/tmp")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/stdout", "/dev/stderr", "/dev/fd")


class SandboxExec(OsSandbox):
    """Same promises as on Linux, but for the process table and ``/tmp``, which are the machine's."""

    name = "sandbox-exec"
    nested = False

    def wrap(self, argv: Sequence[str], *, cwd: Path) -> list[str]:
        return [_EXECUTABLE, "-p", profile(self.policy), *argv]

    def explain(self, output: str) -> Unavailable:
        detail = output.strip().splitlines()[-1] if output.strip() else "no message"
        return Unavailable(
            f"sandbox-exec cannot set up a sandbox here ({detail}).",
            "A sandbox cannot start inside another: start ml-intern from a plain terminal, or pass --no-sandbox.",
        )


def profile(policy: SandboxPolicy) -> str:
    """The profile text for this policy."""
    folders = policy.writable_folders()
    hidden = policy.hidden.existing()
    inside_hidden = [path for path in (*folders, str(policy.scratch)) if any(_lies_in(path, place) for place in hidden)]
    git = f"{policy.root}/.git"
    has_git = os.path.lexists(git)
    lines = [
        "(version 1)",
        "(allow default)",
        "(deny process-info* signal)",
        "(allow process-info* signal (target same-sandbox))",
        "(deny file-write*)",
        _rule("allow file-write*", [*_TEMPORARY, *folders], also=[f'(literal "{path}")' for path in _DEVICES]),
        _rule("deny file-write*", [f"{policy.root}/{name}" for name in PROTECTED_NAMES] if has_git else [f"{policy.root}/.ml-intern"]),
        _rule("deny file-write*", [str(path) for path in policy.protected]),
        *(f"(deny file-write-unlink (literal {_quoted(path)}))" for path in _above(policy)),
        f"(deny file-write-unlink (literal {_quoted(git)}))" if has_git else "",
        f"(deny file-write* (literal {_quoted(git)}))" if os.path.isfile(git) else "",
        _rule("deny file-read* file-write*", hidden),
        _rule("allow file-read*", inside_hidden),
        _rule("allow file-write*", [path for path in inside_hidden if path in folders]),
        '(deny mach-lookup (global-name "com.apple.SecurityServer") (global-name "com.apple.securityd"))',
    ]
    if not policy.network:
        lines.append("(deny network*)")
    return "\n".join(line for line in lines if line)


def _above(policy: SandboxPolicy) -> list[str]:
    """Folders that lead to a protected file: renamed, another could stand in its place."""
    return sorted({str(folder) for path in policy.protected for folder in path.parents if str(folder).startswith(f"{policy.root}/")})


def _rule(verb: str, paths: Sequence[str], also: Sequence[str] = ()) -> str:
    if not paths and not also:
        return ""
    return f"({verb} {' '.join([*(f'(subpath {_quoted(path)})' for path in paths), *also])})"


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
