"""A call on its way through the runner."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from ml_intern.protocol.events import ApprovalRequired, PendingTool, ToolStateChange
from ml_intern.protocol.messages import JsonObject, ToolCall
from ml_intern.session.approvals import Decision
from ml_intern.session.hooks.verdict import SILENCE, Verdict
from ml_intern.tools.base import Risk, Tool, ToolArgs, ToolOutput

REPORTS_KEPT = 20
"""Live output that an interrupted call is answered with: the last so many pieces."""


class Fitted(Struct, frozen=True, kw_only=True):
    """Edited arguments as the tool understands them."""

    arguments: JsonObject
    args: ToolArgs
    risk: Risk


class CallPlan(Struct, kw_only=True):
    """Either ``failure`` says why it will not run, or the rest is filled in. ``edited``: by the user, which the model is told."""

    call: ToolCall
    arguments: JsonObject
    failure: ToolOutput | None = None
    tool: Tool[Any] | None = None
    args: ToolArgs | None = None
    risk: Risk = field(default_factory=lambda: Risk(effects=frozenset()))
    pending: PendingTool | None = None
    decision: Future[Decision] | None = None
    verdict: Verdict = SILENCE
    note: str = ""
    edited: bool = False
    started: bool = False
    waited: bool = False
    began_s: float | None = None
    reported: deque[str] = field(default_factory=lambda: deque(maxlen=REPORTS_KEPT))

    def take(self, edit: Fitted) -> None:
        """What the user made of it is what it is now."""
        self.arguments, self.args, self.risk, self.edited = edit.arguments, edit.args, edit.risk, True

    def costs_or_does_other(self, edit: Fitted) -> bool:
        """Whether what was shown of it does not hold for the edit."""
        return (edit.risk.cost_usd, edit.risk.effects) != (self.risk.cost_usd, self.risk.effects)


def state_change(plan: CallPlan, state: str, note: str = "", arguments: JsonObject | None = None) -> ToolStateChange:
    """It is in that state now."""
    return ToolStateChange(tool_call_id=plan.call.id, tool=plan.call.name, state=state, note=note, arguments=arguments)


def question_of(tools: Sequence[PendingTool]) -> ApprovalRequired:
    """They wait for the user. What keeps one from being approved without asking is said of all."""
    blocked = next((tool for tool in tools if tool.auto_approval_blocked), None)
    if blocked is None:
        return ApprovalRequired(tools=tuple(tools), count=len(tools))
    return ApprovalRequired(
        tools=tuple(tools),
        count=len(tools),
        auto_approval_blocked=True,
        block_reason=blocked.block_reason,
        estimated_cost_usd=blocked.estimated_cost_usd,
        remaining_cap_usd=blocked.remaining_cap_usd,
    )
