"""The one budget: no model call that may pass the cap is made."""

from __future__ import annotations

from ml_intern.protocol.amounts import usd
from ml_intern.session.policies.base import PROCEED, Ask, Policy, StepView, Stop, Verdict


class SpendCap(Policy):
    """Fails closed: with a cap, a model whose price is unknown is not called."""

    name = "spend_cap"

    def before_step(self, view: StepView) -> Verdict:
        if view.cap_usd is None:
            return PROCEED
        if view.next_call_usd is None:
            return Stop("spend_cap", "No cap can hold: the price of this model is unknown. Set providers.<name>.prices, or lift the cap.")
        if view.spent_usd + view.next_call_usd <= view.cap_usd:
            return PROCEED
        detail = f"Spent {usd(view.spent_usd)} of {usd(view.cap_usd)}; the next call may cost {usd(view.next_call_usd)}."
        if not view.can_ask:
            return Stop("spend_cap", detail)
        arguments = {
            "cap_usd": view.cap_usd,
            "current_spend_usd": view.spent_usd,
            "remaining_cap_usd": max(0.0, view.cap_usd - view.spent_usd),
            "estimated_next_usd": view.next_call_usd,
        }
        return Ask("yolo_budget", arguments, detail + " Raise the cap to go on.")
