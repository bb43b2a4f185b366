"""A call that waits, as it may be shown to whoever decides it."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from ml_intern.protocol.events import PendingTool
from ml_intern.protocol.invisible import count, marked


def shown_call(tool: PendingTool) -> PendingTool:
    """The call with every invisible character of every text in it marked. To be looked at: what runs is the original."""
    return msgspec.convert(_marked(msgspec.to_builtins(tool)), PendingTool)


def asks_same(one: PendingTool, other: PendingTool) -> bool:
    """Whether a yes to the one is a yes to the other: all that a person decides by is the same."""
    return _decided_by(one) == _decided_by(other)


def _decided_by(tool: PendingTool) -> tuple[object, ...]:
    """What will run, what it may do and cost, why it asks (as cards say it), and what "always" would allow.

    Left out: what is left of the cap, which changes all the time, and whether auto-approval was kept from it: the reason says why.
    """
    what = tool.tool, tool.arguments, tool.display
    price = tool.risk, tool.recurring, tool.estimated_cost_usd
    return what, price, tool.block_reason or tool.reason, tool.remember_rule


def invisible_in(tool: PendingTool) -> int:
    """How many characters of what will run cannot be seen."""
    return _count(tool.arguments)


def warning(tool: PendingTool) -> str:
    """What is said about them on the card; empty when there are none."""
    invisible = invisible_in(tool)
    if not invisible:
        return ""
    what = "1 invisible character is" if invisible == 1 else f"{invisible} invisible characters are"
    return f"{what} shown as ␛ or <U+…>: look closely."


def _marked(value: Any) -> Any:
    match value:
        case str():
            return marked(value)
        case dict():
            return {_marked(key): _marked(item) for key, item in cast(dict[Any, Any], value).items()}
        case list() | tuple():
            return [_marked(item) for item in cast(list[Any], value)]
        case _:
            return value


def _count(value: Any) -> int:
    match value:
        case str():
            return count(value)
        case dict():
            return sum(_count(key) + _count(item) for key, item in cast(dict[Any, Any], value).items())
        case list() | tuple():
            return sum(map(_count, cast(list[Any], value)))
        case _:
            return 0
