"""Changes to the user's settings file: one value at a time, everything else as it was, never half written."""

from __future__ import annotations

import json
from pathlib import Path

from ml_intern.config.json_values import Json, JsonDict, KeyPath, Layer, lookup, merge, nested, read_object
from ml_intern.config.load import CONFIG_NAME, PACKAGED, to_settings
from ml_intern.config.paths import private_dir
from ml_intern.config.private_file import replace_private
from ml_intern.errors import ConfigError


def read_user(path: Path) -> JsonDict:
    """What the file holds, references to variables as they are written; empty when there is no file."""
    return read_object(path) if path.exists() else {}


def put_value(path: Path, key: KeyPath, value: Json) -> None:
    """Set one key. Raises ``ConfigError`` when the value is not one that the key takes, or the file cannot be written."""
    change = Layer(str(path), nested(key, value))
    to_settings(merge(read_object(PACKAGED / CONFIG_NAME), change.data), [change])
    data = read_user(path)
    found, _ = lookup(data, key)
    _write(path, merge(_without(data, key) if found else data, nested(key, value)))


def drop_value(path: Path, key: KeyPath) -> bool:
    """Remove one key; False when the file does not have it."""
    data = read_user(path)
    if not lookup(data, key)[0]:
        return False
    _write(path, _without(data, key))
    return True


def drop_empty(path: Path) -> None:
    """Remove a file that says nothing."""
    if path.exists() and not read_user(path):
        path.unlink(missing_ok=True)


def _without(data: JsonDict, key: KeyPath) -> JsonDict:
    first, *rest = key
    below = data[first]
    if not rest or not isinstance(below, dict):
        return {name: value for name, value in data.items() if name != first}
    return {**data, first: _without(below, tuple(rest))}


def _write(path: Path, data: JsonDict) -> None:
    """Through a link to the file that it names; the file's own permissions are kept."""
    target = path.resolve()
    private_dir(target.parent)
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        replace_private(target, f"{json.dumps(data, indent=2, ensure_ascii=False)}\n".encode(), mode=mode)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}.") from error
