"""A string that does not show itself."""

from __future__ import annotations

from typing import Any

import msgspec


class SecretStr:
    """A secret that does not show itself: ``repr`` and ``str`` are masked, ``reveal()`` is explicit."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "SecretStr('…')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class SecretMap(dict[str, str]):
    """Headers or variables whose values may be secrets: a plain dict to use, but ``repr`` shows the names only."""

    def __repr__(self) -> str:
        return "SecretMap({" + ", ".join(f"{name!r}: '…'" for name in self) + "})"

    __str__ = __repr__


def decode_secret(wanted: type[Any], value: object) -> object:
    """msgspec's ``dec_hook`` for these two types."""
    if wanted is SecretStr and isinstance(value, str):
        return SecretStr(value)
    if wanted is SecretMap:
        return SecretMap(msgspec.convert(value, dict[str, str]))
    raise msgspec.ValidationError("Expected `str`")
