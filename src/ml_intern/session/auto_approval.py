"""How much runs unasked: what holds for the session, and what was said for the turn that runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ml_intern.protocol.events import SessionUpdate
from ml_intern.protocol.operations import SetAutoApproval
from ml_intern.session.log import EventLog
from ml_intern.session.permissions import Mode


class AutoApproval:
    """The session's switch is this process's; what was said for one turn is folded from the log, where the turn ends."""

    def __init__(self, log: EventLog, base: Mode) -> None:
        self._log = log
        self._base = base
        self._usual = Mode.YOLO if log.state.auto_approval else base

    def mode(self) -> Mode:
        """What holds now."""
        return Mode.YOLO if self._log.state.yolo_this_turn else self._usual

    async def take(self, operation: SetAutoApproval, complain: Callable[[SetAutoApproval, str], Awaitable[None]]) -> None:
        """Change the switch, the word for this turn, and the cap. The switch, put off, ends the word for the turn too."""
        state, for_turn = self._log.state, operation.scope == "turn"
        if for_turn and operation.enabled and not state.turn_running:
            await complain(operation, "No turn runs for which calls could be approved.")
            return
        spending = state.spending
        cap = None if operation.lift_cap else spending.cap_usd if operation.cost_cap_usd is None else operation.cost_cap_usd
        auto_approval = {
            "enabled": state.auto_approval if for_turn else operation.enabled,
            "cost_cap_usd": cap,
            "estimated_spend_usd": spending.committed_usd,
            "remaining_usd": None if cap is None else max(0.0, cap - spending.committed_usd),
            "this_turn": operation.enabled if for_turn else operation.enabled and state.yolo_this_turn,
        }
        await self._log.append(SessionUpdate(session_id=self._log.session_id, auto_approval=auto_approval))
        if not for_turn:
            careful = Mode.ASK if self._base is Mode.YOLO else self._base
            self._usual = Mode.YOLO if operation.enabled else careful
