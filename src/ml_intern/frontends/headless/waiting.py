"""What a run waits for somebody elsewhere to answer, and until when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from ml_intern.frontends.headless.text import clip_text
from ml_intern.frontends.headless.unattended import late_approval
from ml_intern.protocol import events as e
from ml_intern.protocol.amounts import usd
from ml_intern.protocol.call_states import DECIDED
from ml_intern.protocol.operations import AnswerQuestion, AnyOperation

REJECTED = "it was rejected"
LATE = "nobody answered in time"
_CALL_CHARS = 160
Asked: TypeAlias = e.ApprovalRequired | e.QuestionAsked


class Waiting:
    """Questions of one run. ``refused`` says why a call was not approved, the last such reason."""

    def __init__(self, wait_s: float, ways: Sequence[str], submit: Callable[[AnyOperation], Awaitable[None]]) -> None:
        """``ways`` say how to answer; ``submit`` takes the refusals once the time is over."""
        self.wait_s = wait_s
        self.refused = ""
        self._ways = ways
        self._submit = submit
        self._open: set[str] = set()
        self._late: set[asyncio.Task[None]] = set()

    def take(self, asked: Asked) -> str:
        """Wait for an answer to it. Returns the words for whoever looks at the run."""
        keys = _keys(asked)
        self._open |= keys
        task = asyncio.create_task(self._refuse_late(asked, keys), name="waits for an approval")
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        until = (datetime.now(UTC) + timedelta(seconds=self.wait_s)).astimezone()
        return "\n".join([*_what(asked), f"  waits for an answer until {until:%H:%M:%S}: {', or '.join(self._ways)}"])

    def follow(self, event: e.AnyEvent) -> None:
        """Somebody may have answered."""
        match event:
            case e.ToolStateChange() if event.state in DECIDED:
                if event.state == "rejected" and event.tool_call_id in self._open:
                    self.refused = REJECTED
                self._open.discard(event.tool_call_id)
            case e.ToolFinished():
                self._open.discard(event.tool_call_id)
            case e.QuestionAnswered():
                self._open.discard(event.question_id)
            case _:
                pass

    async def aclose(self) -> None:
        """Nothing is refused any more."""
        late = tuple(self._late)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _refuse_late(self, asked: Asked, keys: set[str]) -> None:
        await asyncio.sleep(self.wait_s)
        left = keys & self._open
        if not left:
            return
        self._open -= left
        if isinstance(asked, e.QuestionAsked):
            await self._submit(AnswerQuestion(question_id=asked.question_id, reason="expired"))
        else:
            self.refused = LATE
            await self._submit(late_approval(asked, left, self.wait_s))


def _keys(asked: Asked) -> set[str]:
    return {tool.tool_call_id for tool in asked.tools} if isinstance(asked, e.ApprovalRequired) else {asked.question_id}


def _what(asked: Asked) -> list[str]:
    if isinstance(asked, e.QuestionAsked):
        return [f"? {asked.question}", *(f"  - {option}" for option in asked.options)]
    return [_call(tool) for tool in asked.tools]


def _call(tool: e.PendingTool) -> str:
    cost = "" if tool.estimated_cost_usd is None else f" (at most {usd(tool.estimated_cost_usd)})"
    reason = tool.block_reason or tool.reason
    words = " ".join(str(value) for value in tool.arguments.values() if isinstance(value, str))
    return f"? {tool.tool} {clip_text(words, _CALL_CHARS)}{cost}{f': {reason}' if reason else ''}"
