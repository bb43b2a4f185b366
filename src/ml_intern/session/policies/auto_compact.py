"""Make room before the window is full."""

from __future__ import annotations

from ml_intern.session.policies.base import PROCEED, Compact, Policy, StepView, Verdict


class AutoCompact(Policy):
    """Over the threshold (90 % of the model's window), compact first."""

    name = "auto_compact"

    def before_step(self, view: StepView) -> Verdict:
        return Compact() if view.context_tokens > view.compact_at_tokens else PROCEED
