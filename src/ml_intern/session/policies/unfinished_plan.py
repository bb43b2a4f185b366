"""A text-only reply while the plan has open items does not end the turn at once."""

from __future__ import annotations

from ml_intern.models.base import Reply
from ml_intern.session.policies.base import PROCEED, Nudge, Policy, StepView, Verdict

MAX_RETRIES = 2
SHOWN = 4


class UnfinishedPlan(Policy):
    """Holds the end back twice since the last tool call, then lets it be."""

    name = "unfinished_plan"

    def after_reply(self, view: StepView, reply: Reply) -> Verdict:
        open_items = [item for item in view.plan if item.status != "completed"]
        if reply.message.tool_calls or not open_items or view.guards.get(self.name, 0) >= MAX_RETRIES:
            return PROCEED
        listed = "; ".join(f"{item.id}. {item.content} [{item.status}]" for item in open_items[:SHOWN])
        more = f" and {len(open_items) - SHOWN} more" if len(open_items) > SHOWN else ""
        return Nudge(
            f"[SYSTEM: CONTINUATION GUARD] The plan is not finished: {listed}{more}. Go on with the next item by calling a tool, or, if "
            "an item no longer applies or you need the user, update the plan and say so.",
            guard=self.name,
        )
