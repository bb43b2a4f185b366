"""What the status bar shows, folded from the events of the session."""

from __future__ import annotations

from typing import Literal

from ml_intern.protocol import events as e
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled, HfJobComplete, HfJobSubmit


class Figures:
    """Model, folder, tokens, money, jobs of the current session."""

    def __init__(self) -> None:
        self.session_id = ""
        self.model = ""
        self.effort: str | None = None
        self.cwd = ""
        self.title = ""
        self.context_tokens = 0
        self.total_tokens = 0
        self.spent_usd = 0.0
        self.unpriced_calls = 0
        self.cap_usd: float | None = None
        self.auto_approval = False
        self.yolo_this_turn = False
        self.jobs: dict[str, HfJobSubmit] = {}
        self.turn_running = False
        self.turn_count = 0
        self._reserved: dict[str, float] = {}

    @property
    def committed_usd(self) -> float:
        """Spent and set aside."""
        return self.spent_usd + self.reserved_usd

    @property
    def reserved_usd(self) -> float:
        """Set aside: what runs may cost at most."""
        return sum(self._reserved.values())

    @property
    def yolo(self) -> bool:
        """Whether calls run unasked now: in this session, or until this turn ends."""
        return self.auto_approval or self.yolo_this_turn

    @property
    def yolo_scope(self) -> Literal["session", "turn"]:
        """What ``yolo`` is said of, for an operation that is to leave it as it is."""
        return "turn" if self.yolo_this_turn and not self.auto_approval else "session"

    def apply(self, event: e.AnyEvent) -> bool:
        """Count one event; false when it changes nothing here."""
        match event:
            case e.SessionStarted():
                self.session_id, self.cwd, self.model, self.effort = event.session_id, event.cwd, event.model, event.effort
            case e.ResumedFrom():
                self.cwd = event.cwd or self.cwd
                self.yolo_this_turn = self.yolo_this_turn and not event.forked
            case e.ModelSwitched():
                self.model = event.model
            case e.EffortChanged():
                self.effort = event.effort
            case e.SessionUpdate():
                self._update(event)
            case e.Compacted():
                self.context_tokens = event.new_tokens
            case e.Processing():
                self.turn_running = True
                self.turn_count += 1
            case e.TurnComplete() | e.Interrupted() | e.ErrorRaised() | e.ConnectionChanged(over=True):
                self.turn_running = self.turn_running and isinstance(event, e.ErrorRaised) and not event.ends_turn
                self.yolo_this_turn = self.yolo_this_turn and self.turn_running
            case _:
                return self._count(event)
        return True

    def _update(self, event: e.SessionUpdate) -> None:
        self.title = event.title or self.title
        if event.auto_approval:
            self.auto_approval = bool(event.auto_approval.get("enabled", self.auto_approval))
            self.cap_usd = event.auto_approval.get("cost_cap_usd")
            self.yolo_this_turn = self.turn_running and bool(event.auto_approval.get("this_turn", self.yolo_this_turn))

    def _count(self, event: e.AnyEvent) -> bool:
        match event:
            case e.LlmCall():
                self._call(event)
            case BudgetReserved():
                self._reserved[event.reservation_id] = event.amount_usd
            case BudgetSettled():
                estimate = self._reserved.pop(event.reservation_id, 0.0)
                self.spent_usd += estimate if event.actual_usd is None else event.actual_usd
            case HfJobSubmit():
                self.jobs[event.job_id] = event
            case HfJobComplete():
                self.jobs.pop(event.job_id, None)
            case _:
                return False
        return True

    def _call(self, event: e.LlmCall) -> None:
        self.total_tokens += event.total_tokens
        if event.kind == "main":
            self.context_tokens = event.total_tokens or self.context_tokens
        if event.cost_usd is None:
            self.unpriced_calls += 1
        else:
            self.spent_usd += event.cost_usd
