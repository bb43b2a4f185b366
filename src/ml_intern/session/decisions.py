"""What the user decides of calls that wait, and what becomes of those when they type instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from ml_intern.compute.to_the_end import to_the_end
from ml_intern.errors import ToolError
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.session.approvals import Abandoned, Decision, Gate
from ml_intern.session.log import EventLog
from ml_intern.session.questions import Questions
from ml_intern.session.rules import Rules


class WaitingCalls(Protocol):
    """The calls that wait. ``session/tool_runner.py`` has them."""

    def allowed_by(self, rule: str) -> Sequence[e.PendingTool]:
        """Those that need not wait, now that there is this rule."""
        ...

    async def revise(self, answer: op.ApprovalAnswer) -> bool:
        """See ``ToolRunner.revise``."""
        ...


class Decisions:
    """Each pending call is claimed by whoever decides first; the others are told that nothing waits any more."""

    def __init__(
        self,
        log: EventLog,
        gate: Gate[Decision],
        questions: Questions,
        rules: Rules,
        calls: WaitingCalls,
    ) -> None:
        self._log = log
        self._gate = gate
        self._questions = questions
        self._rules = rules
        self._calls = calls

    async def take(self, operation: op.ExecApproval, complain: Callable[[op.ExecApproval, str], Awaitable[None]]) -> bool:
        """One by one, in the order given. Whether each of them decided.

        What is allowed "always" holds for what waits too, but for that which this answer decides itself. An edit that cannot run decides
        nothing, and one that costs or does something else than what was shown is asked anew.
        """
        taken, granted = True, list[str]()
        for answer in operation.approvals:
            pending = self._log.state.pending.get(answer.tool_call_id)
            if pending is None or not self._gate.claim(answer.tool_call_id):
                await complain(operation, f"No pending approval to process for '{answer.tool_call_id}'.")
                taken = False
                continue
            try:
                asked_anew = answer.approved and await self._revised(answer)
            except ToolError as error:
                await complain(operation, str(error))
                taken = False
                continue
            if not asked_anew:
                granted += await to_the_end(self._decide(pending, answer, operation.sent_by))
            taken = taken and not asked_anew
        for rule in granted:
            await self._approve_covered(rule, operation.sent_by)
        return taken

    async def _revised(self, answer: op.ApprovalAnswer) -> bool:
        """Whether the edit is asked anew."""
        anew = True
        try:
            anew = await self._calls.revise(answer)
            return anew
        finally:
            if anew:
                self._gate.release(answer.tool_call_id)

    async def _decide(self, pending: e.PendingTool, answer: op.ApprovalAnswer, sent_by: str) -> list[str]:
        """The rule that it granted, if it did."""
        changed = e.ToolStateChange(
            tool_call_id=pending.tool_call_id,
            tool=pending.tool,
            state="approved" if answer.approved else "rejected",
            note=answer.feedback or "",
            arguments=answer.arguments,
            sent_by=sent_by,
            reason=answer.reason,
        )
        always = answer.remember if answer.approved and pending.remember_rule else ""
        await self._settle(changed, answer, pending.remember_rule, always)
        return [pending.remember_rule] if always else []

    async def _approve_covered(self, rule: str, sent_by: str) -> None:
        for pending in self._calls.allowed_by(rule):
            if self._gate.claim(pending.tool_call_id):
                changed = e.ToolStateChange(
                    tool_call_id=pending.tool_call_id,
                    tool=pending.tool,
                    state="approved",
                    note="covered by what was just allowed always",
                    sent_by=sent_by,
                    rule=rule,
                )
                await to_the_end(self._settle(changed, op.ApprovalAnswer(tool_call_id=pending.tool_call_id, approved=True)))

    async def _settle(
        self, changed: e.ToolStateChange, answer: op.ApprovalAnswer, rule: str = "", always: Literal["", "session", "project"] = ""
    ) -> None:
        try:
            granted = [await self._rules.grant(rule, always, changed.sent_by)] if always else []
            await self._log.append(changed, *granted)
        except BaseException:
            self._gate.release(changed.tool_call_id)  # what was claimed and not decided would never be answered
            raise
        self._gate.answer(changed.tool_call_id, answer)

    async def abandon_all(self, sent_by: str) -> None:
        """The user typed instead of deciding. What a resumed turn is about to ask again is set aside too: it would wait, and the message
        with it.
        """
        asked = [call.id for call in self._log.state.history.open_calls if call.id in self._log.state.pending]
        for key in [key for key in asked if self._gate.answer_ahead(key, Abandoned())]:
            tool = self._log.state.pending[key].tool
            await to_the_end(self._log.append(e.ToolStateChange(tool_call_id=key, tool=tool, state="abandoned", sent_by=sent_by)))
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
