"""Tools from outside: their names must fit providers and permission rules."""

from __future__ import annotations

import pytest

from ml_intern.errors import ConfigError
from ml_intern.protocol.messages import JsonObject
from ml_intern.tools.base import ToolSpec
from ml_intern.tools.outside import as_tool, with_outside_tools


async def nothing(_arguments: JsonObject) -> str:
    return ""


def spec(name: str) -> ToolSpec:
    return ToolSpec(name=name, description="d", parameters={"type": "object"}, handler=nothing)


@pytest.mark.parametrize("name", ["a/b", "", "a b", "x" * 65, "a(b)", "a\n", "*", "é"])
def test_a_name_that_no_rule_can_hold_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a tool"):
        as_tool(spec(name))


@pytest.mark.parametrize("name", ["csv_summary", "a-b.c", "x" * 64])
def test_other_names_are_taken(name: str) -> None:
    assert [tool.name for tool in with_outside_tools((), [spec(name)])] == [name]
