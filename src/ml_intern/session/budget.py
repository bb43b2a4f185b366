"""The one budget, over model calls, jobs and sandboxes. What is spent is folded from the log; here is only the judgement."""

from __future__ import annotations

from msgspec import Struct

from ml_intern.protocol.amounts import usd
from ml_intern.session.permissions import Mode
from ml_intern.session.state import Spending
from ml_intern.tools.base import Effect, Risk


class CostJudgement(Struct, frozen=True):
    """``blocked`` is empty when the call may start unasked; ``remaining_usd`` None means that there is no cap."""

    blocked: str
    remaining_usd: float | None


class Budget:
    """Judges calls that cost money. Calls of one batch are judged one after the other, so that together they keep the cap."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending
        self._promised: dict[str, float] = {}

    def start_batch(self) -> None:
        """Forget what was promised to the last batch: it is reserved in the log by now, or never started."""
        self._promised.clear()

    def judge(self, call_id: str, risk: Risk, mode: Mode) -> CostJudgement:
        """Whether this call fits the cap beside all that is spent, set aside and promised."""
        remaining = self._spending.remaining_usd
        if remaining is not None:
            others = sum(amount for key, amount in self._promised.items() if key != call_id)
            remaining = max(0.0, remaining - others)
        if Effect.SPENDS not in risk.effects:
            return CostJudgement("", remaining)
        self._promised.pop(call_id, None)
        blocked = self._why_blocked(risk.cost_usd, remaining, mode)
        if not blocked and risk.cost_usd is not None:
            self._promised[call_id] = risk.cost_usd
        return CostJudgement(blocked, remaining)

    def withdraw(self, call_id: str) -> None:
        """The promise is a reservation in the log from now on, or the call was refused or waits for a person."""
        self._promised.pop(call_id, None)

    @staticmethod
    def _why_blocked(cost_usd: float | None, remaining: float | None, mode: Mode) -> str:
        if remaining is None:
            return "It costs money and there is no cap (max_cost_usd)." if mode is Mode.CONTAINED else ""
        if cost_usd is None:
            return "Its cost cannot be estimated, so the cap cannot hold."
        if cost_usd > remaining:
            return f"Estimated cost {usd(cost_usd)} exceeds the remaining cap {usd(remaining)}."
        return ""
