"""What a run has used so far, folded from its events."""

from __future__ import annotations

from ml_intern.protocol.amounts import count_text, counted, duration, usd
from ml_intern.protocol.events import AnyEvent, LlmCall
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled


class Tally:
    """Steps, tokens in the context, and money, of this run alone."""

    def __init__(self) -> None:
        self.steps = 0
        self.context_tokens = 0
        self.model = ""
        self._spent_usd = 0.0
        self._unknown_price = False
        self._reserved: dict[str, float] = {}

    def apply(self, event: AnyEvent) -> None:
        """Count one event; most count nothing."""
        match event:
            case LlmCall():
                self._apply_call(event)
            case BudgetReserved():
                self._reserved[event.reservation_id] = event.amount_usd
            case BudgetSettled():
                estimate = self._reserved.pop(event.reservation_id, 0.0)
                self._spent_usd += estimate if event.actual_usd is None else event.actual_usd
            case _:
                pass

    def _apply_call(self, call: LlmCall) -> None:
        if call.kind == "main":
            self.steps += 1
            self.context_tokens = call.total_tokens or self.context_tokens
            self.model = call.model
        if call.cost_usd is None:
            self._unknown_price = True
        else:
            self._spent_usd += call.cost_usd

    @property
    def cost(self) -> str:
        """Such as ``$0.0123``; an unknown price is said, not counted as nothing."""
        spent = self._spent_usd + sum(self._reserved.values())
        if not self._unknown_price:
            return usd(spent)
        return f"{usd(spent)} + unknown price" if spent else "unknown price"

    def summary(self, elapsed_s: float) -> str:
        """One line: time, steps, tokens of the context as it is now, money."""
        parts = [duration(elapsed_s)]
        if self.steps:
            parts += [counted(self.steps, "step"), f"context {count_text(self.context_tokens)}", self.cost]
        return " · ".join(parts)
