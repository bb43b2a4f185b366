"""Two malformed calls of the same tool in a row: say how to write the arguments."""

from __future__ import annotations

from ml_intern.session.policies.base import PROCEED, Nudge, Policy, StepView, Verdict

STREAK = 2
MALFORMED = "malformed"


class MalformedCalls(Policy):
    """Speaks at each further pair of the streak, not at every step."""

    name = "malformed_calls"

    def before_step(self, view: StepView) -> Verdict:
        if view.calls_since_guard.get(self.name, STREAK) < STREAK:
            return PROCEED
        last = list(view.recent_calls)[-STREAK:]
        if len(last) < STREAK or any(call.error_kind != MALFORMED for call in last) or len({call.name for call in last}) > 1:
            return PROCEED
        return Nudge(
            f"[SYSTEM: Repeated malformed tool arguments for '{last[0].name}'.] The arguments must be one JSON object with every quote "
            "and newline escaped. If you are sending a long text, send it in smaller parts: write a first part, then append by edits.",
            guard=self.name,
        )
