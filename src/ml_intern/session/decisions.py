"""What the user decides of calls that wait, and what becomes of those when they type instead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec.structs import replace

from ml_intern.compute.to_the_end import to_the_end
from ml_intern.errors import ToolError
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.shown_call import asks_same
from ml_intern.session.approvals import Abandoned, Decision, Gate
from ml_intern.session.log import EventLog
from ml_intern.session.questions import Questions
from ml_intern.session.rules import Rules

Complain: TypeAlias = Callable[[op.ExecApproval, str], Awaitable[None]]
"""Tells whoever sent it."""
Shown: TypeAlias = Mapping[str, e.PendingTool]
"""What waited when an answer was given: a yes is to that, and to no other price."""


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
        self._taking = asyncio.Lock()

    async def take(self, operation: op.ExecApproval, complain: Complain) -> bool:
        """One by one, in the order given. Whether each of them decided.

        What is allowed "always" holds for what waits too, but for that which this answer decides itself. An edit that cannot run decides
        nothing, and one that costs or does something else than what was shown is asked anew. What a resumed turn is about to ask again
        is decided once it has, and counts as decided.
        """
        shown = dict(self._log.state.pending)
        open_now = self._kept_until_asked(operation, shown, complain)
        return await self._take(replace(operation, approvals=open_now), shown, complain)

    def _kept_until_asked(self, operation: op.ExecApproval, shown: Shown, complain: Complain) -> tuple[op.ApprovalAnswer, ...]:
        """The answers to what is open, the others being kept until it is."""
        expected = [key for key in self._gate.expected() if key in shown]
        early = {answer.tool_call_id: answer for answer in reversed(operation.approvals) if answer.tool_call_id in expected}
        if early:
            kept = replace(operation, approvals=tuple(reversed(early.values())))

            async def decide() -> None:
                await self._take(kept, shown, complain)

            self._gate.answer_once_asked(early, decide)
        return tuple(answer for answer in operation.approvals if answer is not early.get(answer.tool_call_id))

    async def _take(self, operation: op.ExecApproval, shown: Shown, complain: Complain) -> bool:
        """After what is being taken: of an edit that is asked anew, say, its answers come before that is over."""
        taken, granted = True, list[str]()
        async with self._taking:
            for answer in operation.approvals:
                try:
                    if rule := await self._take_one(answer, shown, operation.sent_by):
                        granted.append(rule)
                    elif rule is None:
                        taken = False
                except ToolError as error:
                    await complain(operation, str(error))
                    taken = False
            for rule in granted:
                await self._approve_covered(rule, operation.sent_by)
        return taken

    async def _take_one(self, answer: op.ApprovalAnswer, shown: Shown, sent_by: str) -> str | None:
        """The rule that it granted, or ""; None when it is asked anew instead. Raises ``ToolError`` for what decides nothing."""
        key = answer.tool_call_id
        pending = self._log.state.pending.get(key)
        if pending is None or not self._gate.is_open(key):
            raise ToolError(f"No pending approval to process for '{key}'.")
        if answer.approved and key in shown and not asks_same(pending, shown[key]):
            raise ToolError(f"The call '{key}' is not what was shown when it was approved: decide again.")
        self._gate.claim(key)
        if answer.approved and await self._revised(answer):
            return None
        return await to_the_end(self._decide(pending, answer, sent_by))

    async def _revised(self, answer: op.ApprovalAnswer) -> bool:
        """Whether the edit is asked anew."""
        anew = True
        try:
            anew = await self._calls.revise(answer)
            return anew
        finally:
            if anew:
                self._gate.release(answer.tool_call_id)

    async def _decide(self, pending: e.PendingTool, answer: op.ApprovalAnswer, sent_by: str) -> str:
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
        return pending.remember_rule if always else ""

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
        """The user typed instead of deciding. What a resumed turn is about to ask again is set aside too, unless it is decided: it would
        wait, and the message with it.
        """
        asked = {key: pending.tool for key, pending in self._log.state.pending.items() if key in self._gate.expected()}
        for key in asked:
            self._gate.answer_ahead(key, Abandoned())
        for key, tool in asked.items():
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
