"""Paths of this machine: what the model's words mean, and which of them are whose."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from ml_intern.compute.base import Place
from ml_intern.compute.hidden_paths import HiddenPaths
from ml_intern.compute.repository import PROTECTED_NAMES


class LocalPaths(Struct, frozen=True, kw_only=True):
    """``private_tmp`` is what commands see as ``/tmp``; ``visible`` are the folders below the machine's own ``/tmp`` that
    commands see nevertheless."""

    root: Path
    home: str
    spill_dir: Path
    hidden: HiddenPaths
    writable: tuple[Path, ...]
    private_tmp: Path | None
    visible: tuple[Path, ...]
    tmp: Path
    protected: tuple[Path, ...] = ()
    """Files of the workspace that programs outside the sandbox run."""

    def resolve(self, path: str) -> Path:
        """See ``Workspace.resolve``."""
        if "\0" in path:
            raise ValueError("A path cannot contain a NUL character.")
        if path == "~" or path.startswith("~/"):
            path = self.home + path[1:]
        absolute = os.path.realpath(self._outer(os.path.join(self.root, path)))
        # A link that a command made in its private /tmp means /tmp as the command sees it.
        outer = self._outer(absolute)
        return Path(absolute if outer == absolute else os.path.realpath(outer))

    def _outer(self, path: str) -> str:
        if self.private_tmp is None or not path.startswith(("/tmp", "/var/tmp")):
            return path
        path = os.path.normpath(path)
        if any(_lies_in(path, str(kept)) for kept in (self.private_tmp, *self.visible)):
            return path
        for place in ("/tmp", "/var/tmp"):
            if _lies_in(path, place):
                return f"{self.private_tmp}{path[len(place) :]}"
        return path

    def inner(self, path: Path) -> Path:
        """How commands see a path of the machine."""
        return Path("/tmp") / path.relative_to(self.private_tmp) if self.private_tmp and path.is_relative_to(self.private_tmp) else path

    def place(self, path: Path) -> Place:
        """See ``Workspace.place``."""
        tmp = self.private_tmp or self.tmp
        if path.is_relative_to(tmp) and self.private_tmp is not None:
            return Place.WORKSPACE
        if path.is_relative_to(self.spill_dir):
            return Place.OUTSIDE
        if self.hidden.covers(path) and not (path.is_relative_to(self.root) and self.hidden.covers(self.root)):
            return Place.HIDDEN
        if path.is_relative_to(self.root):
            protected = path in self.protected or any(path.is_relative_to(self.root / name) for name in PROTECTED_NAMES)
            return Place.OUTSIDE if protected else Place.WORKSPACE
        return Place.WORKSPACE if any(path.is_relative_to(folder) for folder in (tmp, *self.writable)) else Place.OUTSIDE


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
