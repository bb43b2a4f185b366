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
from ml_intern.session.budget import CostJudgement
from ml_intern.session.call_failures import failure
from ml_intern.session.hooks.verdict import SILENCE, Verdict
from ml_intern.session.permissions import Judgement, Mode, rule_for
from ml_intern.tools.base import Effect, Risk, Tool, ToolArgs, ToolOutput

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


def pending_of(plan: CallPlan, judgement: Judgement, cost: CostJudgement, mode: Mode) -> PendingTool:
    """What a person is asked of it."""
    assert plan.tool is not None and plan.args is not None
    blocked = cost.blocked or judgement.blocked
    return PendingTool(
        tool=plan.call.name,
        arguments=plan.arguments,
        tool_call_id=plan.call.id,
        reason=cost.blocked or judgement.reason,
        risk=tuple(sorted(effect.value for effect in plan.risk.effects)),
        display=plan.tool.preview(plan.args),
        recurring=Effect.RECURRING in plan.risk.effects,
        remember_rule=rule_for(plan.call.name, plan.tool.subject(plan.args)),
        auto_approval_blocked=bool(blocked) and mode is not Mode.ASK,
        block_reason=blocked or None,
        estimated_cost_usd=plan.risk.cost_usd,
        remaining_cap_usd=cost.remaining_usd,
    )


def nobody_to_ask(pending: PendingTool) -> ToolOutput:
    """The answer of a call that a person would have to decide, where there is none."""
    why = f"{pending.reason} " if pending.reason else ""
    return failure("denied", f"Not permitted: {why}A person would have to decide that, and nobody is asked here. The call was not run.")


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
