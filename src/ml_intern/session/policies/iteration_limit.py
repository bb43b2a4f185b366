"""No turn takes more steps than the user allows."""

from __future__ import annotations

from ml_intern.protocol.amounts import counted
from ml_intern.session.policies.base import PROCEED, Policy, StepView, Stop, Verdict

UNLIMITED = -1


class IterationLimit(Policy):
    """``max_steps`` model calls a turn, approvals and resumes included; -1 for no limit."""

    name = "iteration_limit"

    def __init__(self, max_steps: int) -> None:
        self._max_steps = max_steps

    def before_step(self, view: StepView) -> Verdict:
        if self._max_steps == UNLIMITED or view.step < self._max_steps:
            return PROCEED
        return Stop("iteration_limit", f"Stopped after {counted(view.step, 'step')} (max_iterations {self._max_steps}).")
