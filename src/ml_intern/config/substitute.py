"""``${NAME}`` and ``${NAME:-default}`` in the string values of settings files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from ml_intern.config.environ import Environ
from ml_intern.config.json_values import Json, JsonDict, KeyPath, dotted
from ml_intern.errors import ConfigError

_REFERENCE = re.compile(r"\$(?P<escape>\$)?\{(?P<body>[^{}]*)\}")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)

_VERBATIM = frozenset({"hooks"})
"""Lines for a shell, which has variables of its own."""


def escaped(text: str) -> str:
    """``text`` such that it stays what it is."""
    return _REFERENCE.sub(lambda match: f"${match[0]}", text)


class Substitution:
    """Replaces the references in one tree of settings, and remembers which variables went where (``used``)."""

    def __init__(self, environ: Environ, source_of: Callable[[KeyPath], str], skip: Collection[KeyPath] = ()) -> None:
        """``source_of`` names the file of a key, for errors; values at ``skip`` are overridden and left alone."""
        self.used: dict[KeyPath, tuple[str, ...]] = {}
        self._environ = environ
        self._source_of = source_of
        self._skip = skip

    def apply(self, data: JsonDict) -> JsonDict:
        """A copy with every reference replaced. Raises ``ConfigError`` naming file, key and variable."""
        return {key: value if key in _VERBATIM else self._value(value, (key,)) for key, value in data.items()}

    def _value(self, value: Json, path: KeyPath) -> Json:
        if isinstance(value, str):
            return self._text(value, path) if "${" in value and path not in self._skip else value
        if isinstance(value, dict):
            return {key: self._value(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, path) for item in value]
        return value

    def _text(self, text: str, path: KeyPath) -> str:
        def replace(match: re.Match[str]) -> str:
            if match["escape"]:
                return match[0][1:]
            return self._resolve(match["body"], path)

        return _REFERENCE.sub(replace, text)

    def _resolve(self, body: str, path: KeyPath) -> str:
        where = f"{self._source_of(path)}: {dotted(path)}"
        parsed = _BODY.fullmatch(body)
        if parsed is None:
            raise ConfigError(
                f"{where}: ${{{body}}} is no variable reference.",
                hint="Write ${NAME}, ${NAME:-default}, or $${…} for the characters themselves.",
            )
        name, default = parsed["name"], parsed["default"]
        value = self._environ.get(name)
        if value is None and default is None:
            raise ConfigError(
                f"{where}: the environment variable {name} is not set.",
                hint=f"Set it, put it into a .env file, or write ${{{name}:-default}}.",
            )
        self.used[path] = (*self.used.get(path, ()), name)
        return value if value is not None else default or ""
