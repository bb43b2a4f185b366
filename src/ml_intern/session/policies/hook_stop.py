"""A hook of the user's that answered ``"continue": false`` ends the turn."""

from __future__ import annotations

from ml_intern.session.policies.base import PROCEED, Policy, StepView, Stop, Verdict


class HookStop(Policy):
    """Before the model is asked again; the answers of the calls that ran are kept."""

    name = "hook_stop"

    def before_step(self, view: StepView) -> Verdict:
        return Stop("hook_stop", view.hook_stop) if view.hook_stop else PROCEED
