"""JSON objects of settings as they come from files: reading, merging, and looking inside by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

import msgspec

from ml_intern.errors import ConfigError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
JsonDict: TypeAlias = "dict[str, Json]"
KeyPath: TypeAlias = tuple[str, ...]

MAX_FILE_BYTES = 1_000_000


class Layer(NamedTuple):
    """Settings from one place: ``source`` says which, in the words of an error message."""

    source: str
    data: JsonDict


def read_object(path: Path) -> JsonDict:
    """The JSON object in a file. Raises ``ConfigError`` with the line and column of a mistake, or why it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_FILE_BYTES:,} bytes, too large for settings.")
    return parse_object(data.removeprefix(b"\xef\xbb\xbf"), str(path))


def parse_object(data: bytes, source: str) -> JsonDict:
    """The same from bytes; ``source`` opens the error message."""
    try:
        value = cast("Json", msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(_syntax_error(data, source, str(error))) from error
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: must hold one JSON object, such as {{}}.")
    return value


def _syntax_error(data: bytes, source: str, reason: str) -> str:
    import json  # a slower parser that knows lines; wanted only to say where the mistake is

    try:
        json.loads(data.decode("utf-8"))
    except json.JSONDecodeError as error:
        return f"{source}: line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}."
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return f"{source}: line {line}: not valid UTF-8."
    return f"{source}: not valid JSON: {reason}."


def merge(below: JsonDict, above: Mapping[str, Json]) -> JsonDict:
    """``above`` laid over ``below``: objects are merged key by key, anything else replaces. Neither argument changes."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        merged[key] = merge(lower, value) if isinstance(lower, dict) and isinstance(value, dict) else value
    return merged


def nested(path: KeyPath, value: Json) -> JsonDict:
    """``value`` at the end of ``path``, as an object."""
    for key in reversed(path):
        value = {key: value}
    return cast("JsonDict", value)


def lookup(data: Json, path: KeyPath) -> tuple[bool, Json]:
    """Whether ``path`` leads anywhere in ``data``, and what is there."""
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return False, None
        data = data[key]
    return True, data


def leaves(data: JsonDict, prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, Json]]:
    """Every value that is no object, and every empty object, with its path."""
    for key, value in data.items():
        path = (*prefix, key)
        if isinstance(value, dict) and value:
            yield from leaves(value, path)
        else:
            yield path, value


def dotted(path: KeyPath) -> str:
    """The path as users write it."""
    return ".".join(path)
