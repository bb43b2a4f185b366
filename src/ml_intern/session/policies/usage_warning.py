"""Spending is pointed out at the first threshold and at each doubling of it."""

from __future__ import annotations

from ml_intern.protocol.amounts import usd
from ml_intern.session.policies.base import PROCEED, Ask, Policy, StepView, Verdict


class UsageWarning(Policy):
    """Asks the user whether to go on; the answer moves the threshold."""

    name = "usage_warning"

    def before_step(self, view: StepView) -> Verdict:
        if view.next_warning_usd <= 0 or view.spent_usd < view.next_warning_usd:
            return PROCEED
        following = view.next_warning_usd
        while following <= view.spent_usd:
            following *= 2
        return Ask(
            "usage_threshold",
            {"threshold_usd": view.next_warning_usd, "current_spend_usd": view.spent_usd, "next_threshold_usd": following},
            f"This session has spent {usd(view.spent_usd)}; the next notice comes at {usd(following)}.",
        )
