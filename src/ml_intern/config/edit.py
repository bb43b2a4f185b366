"""Changes to the user's settings file: one value at a time, everything else as it was, never half written, none lost to another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ml_intern.config.environ import Environ
from ml_intern.config.json_values import Json, JsonDict, KeyPath, Layer, lookup, merge, nested, read_object
from ml_intern.config.load import CONFIG_NAME, PACKAGED, to_settings
from ml_intern.config.paths import private_dir
from ml_intern.config.private_file import change_private, taking_turns
from ml_intern.config.substitute import Substitution
from ml_intern.errors import ConfigError


def read_user(path: Path) -> JsonDict:
    """What the file holds, references to variables as they are written; empty when there is no file."""
    return read_object(path) if path.exists() else {}


def put_value(path: Path, key: KeyPath, value: Json, environ: Environ | None = None) -> None:
    """Set one key. Raises ``ConfigError`` when the value is not one that the key takes, or the file cannot be written."""
    _check(path, key, value, environ)
    change_value(path, key, lambda _: value, environ)


def change_value(path: Path, key: KeyPath, change: Callable[[Json], Json], environ: Environ | None = None) -> bool:
    """Set one key to what ``change`` makes of it (null where it is not there; null from it changes nothing, which is False).

    With ``environ`` the references to variables in it are tried too: one that is not set would stop every later start.
    """

    def changed(data: JsonDict) -> JsonDict | None:
        found, old = lookup(data, key)
        if (value := change(old if found else None)) is None:
            return None
        _check(path, key, value, environ)
        return merge(_without(data, key) if found else data, nested(key, value))

    return _change(path, changed)


def drop_value(path: Path, key: KeyPath) -> bool:
    """Remove one key; False when the file does not have it."""
    return path.exists() and _change(path, lambda data: _without(data, key) if lookup(data, key)[0] else None)


def drop_empty(path: Path) -> None:
    """Remove a file that says nothing."""
    if path.exists():
        with taking_turns(path.resolve()):
            if not read_user(path):
                path.unlink(missing_ok=True)


def _without(data: JsonDict, key: KeyPath) -> JsonDict:
    first, *rest = key
    below = data[first]
    if not rest or not isinstance(below, dict):
        return {name: value for name, value in data.items() if name != first}
    return {**data, first: _without(below, tuple(rest))}


def _check(path: Path, key: KeyPath, value: Json, environ: Environ | None) -> None:
    """As the next start would read it."""
    layer = Layer(str(path), nested(key, value))
    data = layer.data if environ is None else Substitution(environ, lambda _: str(path)).apply(layer.data)
    to_settings(merge(read_object(PACKAGED / CONFIG_NAME), data), [layer])


def _change(path: Path, change: Callable[[JsonDict], JsonDict | None]) -> bool:
    """Through a link to the file that it names; the file's own permissions are kept."""
    target = path.resolve()
    private_dir(target.parent)

    def changed(_: bytes | None) -> bytes | None:
        data = change(read_user(path))
        return None if data is None else f"{json.dumps(data, indent=2, ensure_ascii=False)}\n".encode()

    try:
        return change_private(target, changed, keep_mode=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}.") from error
