"""Every hook that a settings file names, with the file, and whether it is run: what ``/hooks`` and ``ml-intern hooks`` show."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from ml_intern.config.hook_settings import HookCommand, HookSettings
from ml_intern.config.json_values import JsonDict, read_object
from ml_intern.config.load import LoadedSettings
from ml_intern.config.project import HOOKS, PROJECT_FILE
from ml_intern.config.trust import TrustedFolders, needs_trust

ON = "on"
UNTRUSTED = "off: this folder is not trusted (ml-intern trust)"


class ConfiguredHook(NamedTuple):
    """``event`` as in the settings; ``state`` is ``ON``, or says why it is not run."""

    event: str
    matcher: str
    command: HookCommand
    source: Path
    state: str


def configured_hooks(loaded: LoadedSettings) -> list[ConfiguredHook]:
    """In the order of the files. Blocks. Raises ``ConfigError`` for a file that cannot be read any more."""
    trusted = TrustedFolders(loaded.paths.state_dir)
    found: list[ConfiguredHook] = []
    for path in loaded.files:
        if path.suffix == ".json" and (data := read_object(path)).get(HOOKS):
            found += _of_file(path, data, _state(path, data, trusted))
    return found


def _state(path: Path, data: JsonDict, trusted: TrustedFolders) -> str:
    project = path.parts[-2:] == PROJECT_FILE.parts
    return UNTRUSTED if project and not trusted.covers(path.parent.parent, needs_trust(data)) else ON


def _of_file(path: Path, data: JsonDict, state: str) -> list[ConfiguredHook]:
    try:
        settings = msgspec.convert(data[HOOKS], HookSettings)
    except msgspec.ValidationError as error:  # only of a project that is not trusted: ours were checked at the start
        return [ConfiguredHook("", "", HookCommand(command="?"), path, f"off: {error}")]
    events = {field.name: field.encode_name for field in msgspec.structs.fields(HookSettings)}
    return [
        ConfiguredHook(event, rule.matcher, command, path, state)
        for name, event in events.items()
        for rule in getattr(settings, name)
        for command in rule.commands
    ]
