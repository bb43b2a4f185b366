"""What a run has used so far, folded from its events."""

from __future__ import annotations

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
            parts += [f"{self.steps} step{'s' * (self.steps != 1)}", f"context {tokens(self.context_tokens)}", self.cost]
        return " · ".join(parts)


def usd(amount: float) -> str:
    """Four decimals while they say something."""
    return f"${amount:.2f}" if amount >= 10 or amount == 0 else f"${amount:.4f}"


def cost(amount: float, unpriced_calls: int) -> str:
    """Unknown is not free: ``unknown`` when no call had a price, ``≥ $0.12`` when some had none."""
    if not unpriced_calls:
        return usd(amount)
    return f"≥ {usd(amount)}" if amount else "unknown"


def tokens(count: int) -> str:
    """Such as ``812``, ``12.4k``, ``1.2M``."""
    if count < 1_000:
        return str(count)
    return f"{count / 1_000:.1f}k" if count < 999_950 else f"{count / 1_000_000:.1f}M"


def duration(seconds: float) -> str:
    """Such as ``12 ms``, ``0.3 s``, ``42 s``, ``3:07``, ``1:02:03``."""
    if seconds < 0.0995:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{round(seconds)} s" if seconds < 59.5 else clock(seconds)


def clock(seconds: float) -> str:
    """Such as ``0:42``, ``3:07``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
