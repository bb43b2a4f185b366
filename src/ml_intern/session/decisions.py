"""What the user decides of calls that wait, and what becomes of those when they type instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ml_intern.compute.to_the_end import to_the_end
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.approvals import Abandoned, Decision, Gate
from ml_intern.session.log import EventLog
from ml_intern.session.questions import Questions
from ml_intern.session.rules import Rules


class Decisions:
    """Each pending call is claimed by whoever decides first; the others are told that nothing waits any more."""

    def __init__(self, log: EventLog, gate: Gate[Decision], questions: Questions, rules: Rules) -> None:
        self._log = log
        self._gate = gate
        self._questions = questions
        self._rules = rules

    async def take(self, operation: op.ExecApproval, complain: Callable[[str], Awaitable[None]]) -> bool:
        """One by one, in the order given. Whether each of them decided."""
        taken = True
        for answer in operation.approvals:
            pending = self._log.state.pending.get(answer.tool_call_id)
            if pending is None or not self._gate.claim(answer.tool_call_id):
                await complain(f"No pending approval to process for '{answer.tool_call_id}'.")
                taken = False
                continue
            await to_the_end(self._decide(pending, answer, operation.sent_by))
        return taken

    async def _decide(self, pending: e.PendingTool, answer: op.ApprovalAnswer, sent_by: str) -> None:
        changed = e.ToolStateChange(
            tool_call_id=pending.tool_call_id,
            tool=pending.tool,
            state="approved" if answer.approved else "rejected",
            note=answer.feedback or "",
            arguments=answer.arguments,
            sent_by=sent_by,
            reason=answer.reason,
        )
        try:
            await self._store(pending, answer, changed)
        except BaseException:
            self._gate.release(pending.tool_call_id)  # what was claimed and not decided would never be answered
            raise
        self._gate.answer(pending.tool_call_id, answer)

    async def _store(self, pending: e.PendingTool, answer: op.ApprovalAnswer, changed: e.ToolStateChange) -> None:
        always = answer.approved and pending.remember_rule and answer.remember
        granted = [await self._rules.grant(pending.remember_rule, always)] if always else []
        await self._log.append(changed, *granted)

    async def abandon_all(self, sent_by: str) -> None:
        """The user typed instead of deciding."""
        for key in self._gate.waiting():
            if not self._gate.claim(key):
                continue
            pending = self._log.state.pending.get(key)
            tool = pending.tool if pending is not None else ""
            await to_the_end(self._abandon(e.ToolStateChange(tool_call_id=key, tool=tool, state="abandoned", sent_by=sent_by)))
        await self._questions.set_all_aside(sent_by=sent_by)

    async def _abandon(self, changed: e.ToolStateChange) -> None:
        await self._log.append(changed)
        self._gate.answer(changed.tool_call_id, Abandoned())
