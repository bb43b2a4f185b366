"""Our own questions of money (usage warning, cap reached), put as the same kind of approval as a tool call."""

from __future__ import annotations

import os

from ml_intern.protocol.events import ApprovalRequired, PendingTool
from ml_intern.protocol.operations import ApprovalAnswer
from ml_intern.session.approvals import Decision, Gate
from ml_intern.session.log import EventLog
from ml_intern.session.policies.base import Ask


class MoneyQuestions:
    """Asks through the gate that tool approvals use."""

    def __init__(self, log: EventLog, gate: Gate[Decision]) -> None:
        self._log = log
        self._gate = gate

    async def ask(self, question: Ask) -> bool:
        """Whether the user wants to go on."""
        key = f"{question.kind.replace('_', '-')}-{os.urandom(5).hex()}"
        pending = PendingTool(
            tool=question.kind, arguments=dict(question.arguments), tool_call_id=key, reason=question.reason, risk=("spends",)
        )
        with self._gate.ask(key) as decision:
            await self._log.append(
                ApprovalRequired(
                    tools=(pending,),
                    count=1,
                    usage_threshold=question.kind == "usage_threshold",
                    yolo_budget=question.kind == "yolo_budget",
                )
            )
            answer = await decision
        return isinstance(answer, ApprovalAnswer) and answer.approved
