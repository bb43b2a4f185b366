"""The hooks of trusted projects in one session: what they run must be kept as it was when the user trusted it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from ml_intern.config.hook_files import commands_in
from ml_intern.config.json_values import JsonDict, read_object
from ml_intern.config.load import LoadedSettings, project_root
from ml_intern.config.project import HOOKS, PROJECT_FILE
from ml_intern.config.trust import TrustedFolders, needs_trust
from ml_intern.errors import ConfigError

SHOWN = 20


class HookPlace(NamedTuple):
    """Where a hook runs, and what it is told is the project's folder."""

    cwd: Path
    project: Path


class _Project(Struct, frozen=True):
    folder: Path
    active: JsonDict
    commands: frozenset[str]


class ProjectPrograms:
    """Methods block: for a thread."""

    def __init__(self, loaded: LoadedSettings) -> None:
        self._usual = HookPlace(loaded.cwd, project_root(loaded))
        self._trusted = TrustedFolders(loaded.paths.state_dir)
        self._projects = tuple(_projects(loaded)) if loaded.settings.hooks else ()

    def files(self) -> tuple[Path, ...]:
        """What the session's own commands may not change."""
        return tuple(path for one in self._projects for path in self._trusted.files(one.folder, one.active).files)

    def place(self, command: str) -> HookPlace:
        """A project's hooks run in that project's folder, so that what they name is what was trusted; yours where the session works."""
        folder = next((one.folder for one in self._projects if command in one.commands), None)
        return self._usual if folder is None else HookPlace(folder, folder)

    def why_not(self, command: str) -> str:
        """Why this hook may not run now; empty when it may. What was trusted again meanwhile runs again."""
        for one in self._projects:
            if command in one.commands and not self._covers(one):
                return f"It was not run: {self._reason(one)}. Look at it, then run `ml-intern trust`."
        return ""

    def _reason(self, one: _Project) -> str:
        found = self._trusted.files(one.folder, one.active)
        if not found.complete:
            return f"what the hooks of {one.folder} run is {found.unclear[0]}, more than I can watch"
        names = [str(path.relative_to(one.folder)) for path in found.files]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"what the hooks of {one.folder} run is not what you trusted ({', '.join(names[:SHOWN]) or 'files are gone'}{more})"

    def _covers(self, one: _Project) -> bool:
        try:
            return self._trusted.covers(one.folder, one.active)
        except ConfigError:
            return False


def _projects(loaded: LoadedSettings) -> list[_Project]:
    """Those whose hooks were found trusted when the settings were read: what is not is in no layer."""
    found: list[_Project] = []
    known: set[str] = set()
    for layer in loaded.layers:
        path, commands = Path(layer.source), frozenset(commands_in(layer.data.get(HOOKS)))
        if path.parts[-2:] == PROJECT_FILE.parts and layer.data.get(HOOKS):
            active = needs_trust(read_object(path))
            found.append(_Project(path.parent.parent, active, commands - known))  # its layer holds those below it as well
        known |= commands
    return found
