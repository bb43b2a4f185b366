"""Tools are closed whatever one of them does."""

from __future__ import annotations

import asyncio

import pytest

from ml_intern.tools.base import Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.closing import close_tools


class Awkward(Tool[ToolArgs]):
    description = "It does nothing."
    args = ToolArgs

    def __init__(self, name: str, *, fails: bool = False, stays_s: float = 0.0) -> None:
        self.name = name  # type: ignore[misc]
        self.fails, self.stays_s, self.closed = fails, stays_s, False

    async def run(self, args: ToolArgs, ctx: ToolContext) -> ToolOutput:
        return ToolOutput(text="")

    async def aclose(self) -> None:
        await asyncio.sleep(self.stays_s)
        if self.fails:
            raise RuntimeError("I will not.")
        self.closed = True


async def test_one_that_fails_and_one_that_stays_hinder_nobody(caplog: pytest.LogCaptureFixture) -> None:
    tools = [Awkward("broken", fails=True), Awkward("stubborn", stays_s=60), Awkward("good")]
    async with asyncio.timeout(5):
        await close_tools(tools, timeout_s=0.05)
    assert [tool.closed for tool in tools] == [False, False, True]
    assert "The tool stubborn did not close" in caplog.text and "I will not." in caplog.text


async def test_there_may_be_none() -> None:
    await close_tools([])
