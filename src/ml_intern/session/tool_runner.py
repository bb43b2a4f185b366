"""Answers the calls of one reply: parse → risk → permission / approval / budget → run → bound → log.

Every call gets exactly one ``tool_output``, whatever happens to it. ``error_kind`` of a failure is one of: malformed,
unknown_tool, invalid_arguments, denied, rejected, abandoned, over_budget, timeout, interrupted, tool_error, unknown_outcome, crash.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ml_intern.compute.to_the_end import to_the_end
from ml_intern.errors import OutcomeUnknown, ToolError
from ml_intern.protocol.events import PendingTool, ToolCalled, ToolFinished, ToolLog
from ml_intern.protocol.messages import JsonObject, ToolCall
from ml_intern.protocol.operations import ApprovalAnswer
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled
from ml_intern.session.approvals import Abandoned, Decision, Gate, as_object, edited_arguments, why_refused
from ml_intern.session.around_calls import AroundCalls, as_asked, changed, weighed
from ml_intern.session.budget import Budget
from ml_intern.session.call_failures import checked, crash, failure, interrupted
from ml_intern.session.call_plan import CallPlan, Fitted, nobody_to_ask, pending_of, question_of, state_change
from ml_intern.session.clock import Clock
from ml_intern.session.hooks.verdict import Verdict
from ml_intern.session.log import EventLog
from ml_intern.session.overlap import overlaps
from ml_intern.session.permissions import Judgement, Mode, Outcome, Permissions
from ml_intern.session.questions import Questions
from ml_intern.session.toolbox import Toolbox
from ml_intern.tools.base import Answer, Effect, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.limiter import limit

logger = logging.getLogger(__name__)
T = TypeVar("T")

UNKNOWN = "unknown_outcome"
"""What the call asked for may have been done: its tool settles its reservation."""


class ToolRunner:
    """Runs the calls of one session."""

    def __init__(
        self,
        *,
        tools: Toolbox,
        permissions: Permissions,
        gate: Gate[Decision],
        questions: Questions,
        log: EventLog,
        spill_dir: Path,
        clock: Clock,
        around: AroundCalls | None = None,
    ) -> None:
        self._tools = tools
        self._around = around or AroundCalls()
        self._permissions = permissions
        self._gate = gate
        self._questions = questions
        self._log = log
        self._spill_dir = spill_dir
        self._clock = clock
        self._budget = Budget(log.state.spending)
        self._plans: Sequence[CallPlan] = ()
        self.mode: Callable[[], Mode] = lambda: Mode.ASK

    async def answer(self, calls: Sequence[ToolCall]) -> None:
        """Run a batch. Cancelled, it still answers every call before it raises."""
        if not calls:
            self._gate.forget_ahead()
            return
        self._plans = plans = [CallPlan(call=call, arguments=as_object(call.arguments)) for call in calls]
        new = [plan for plan in plans if plan.call.id not in self._log.state.pending and not self._gate.ahead(plan.call.id)]
        known = [ToolCalled(tool=plan.call.name, arguments=plan.arguments, tool_call_id=plan.call.id) for plan in new]
        try:
            if known:
                await self._log.append(*known)
            await self._around.before_batch()
            self._budget.start_batch()
            for plan in plans:
                await self._prepare(plan)
                if plan.failure is not None:
                    self._budget.withdraw(plan.call.id)
            with ExitStack() as questions:
                await self._ask(plans, questions)
                await self._run_all(plans)
        except asyncio.CancelledError:
            await self._answer_rest(plans)
            raise
        finally:
            self._plans = ()
            self._gate.forget_ahead()
            self._around.after_batch()
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # a tool swallowed the interrupt

    # ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _prepare(self, plan: CallPlan) -> None:
        """Parse and judge; whatever goes wrong with that is the call's answer."""
        name = plan.call.name
        plan.tool = self._tools.get(name)
        if plan.tool is None:
            names = ", ".join(sorted(tool.name for tool in self._tools.all()))
            plan.failure = failure("unknown_tool", f"There is no tool '{name}'. The tools are: {names}.")
            return
        if refused := await self._tried(plan, self._parse_and_judge(plan, plan.tool), f"ERROR: Wrong arguments for '{name}'"):
            plan.failure = refused

    async def _tried(self, plan: CallPlan, judging: Awaitable[T], wrong: str) -> T | ToolOutput:
        """What the judging says, or in place of it why the call, or the user's edit of it, cannot be judged."""
        name = plan.call.name
        try:
            return await judging
        except ToolError as error:
            return failure("tool_error", str(error))
        except msgspec.ValidationError as error:
            return failure("invalid_arguments", f"{wrong}: {error}. The call was not run.")
        except (msgspec.DecodeError, RecursionError) as error:
            return failure("malformed", f"ERROR: Tool call to '{name}' had malformed JSON arguments: {error}. The call was not run.")
        except Exception as error:  # the boundary: a tool that cannot say its risk does not run
            logger.exception("tool %s could not be judged", name)
            return crash(name, error, "could not be judged", "It was not run.")

    async def _parse_and_judge(self, plan: CallPlan, tool: Tool[Any]) -> None:
        """The user's hooks speak first: they may block it or change it, and what they let pass is judged all the same."""
        args: ToolArgs = tool.parse(plan.call.arguments)
        verdict = await self._around.before_judging(plan.call, plan.arguments)
        if verdict.blocked:
            plan.failure = failure("denied", f"{verdict.blocked} The call was not run.")
            return
        plan.args = await tool.prepare(await self._heard(plan, tool, verdict) or args)
        self._judge(plan, verdict)
        if plan.pending is not None and plan.call.id not in self._log.state.pending:
            await self._let_hooks_answer(plan, tool, plan.pending, as_asked(verdict))
        elif plan.pending is not None:
            await self._go_on(plan, self._log.state.pending[plan.call.id])

    async def _let_hooks_answer(self, plan: CallPlan, tool: Tool[Any], pending: PendingTool, earlier: Verdict) -> None:
        """What they change is judged anew, by ``earlier`` too; then their word counts for that."""
        verdict = await self._around.before_asking(pending)
        if verdict.blocked:
            plan.pending, plan.failure = None, failure("rejected", f"{verdict.blocked} The call was not run.")
            return
        if (args := await self._heard(plan, tool, verdict)) is not None:
            plan.args, plan.pending = await tool.prepare(args, shown=plan.args), None
            self._judge(plan, earlier)
        if verdict.permission == "allow" and plan.pending is not None and not plan.pending.block_reason:
            plan.pending = None

    async def _heard(self, plan: CallPlan, tool: Tool[Any], verdict: Verdict) -> ToolArgs | None:
        """What hooks said to the model goes ahead of the answer; the arguments as they changed them, None when they did not."""
        plan.note += f"[From a hook of the user's: {verdict.context}]\n" if verdict.context else ""
        if verdict.arguments is None or verdict.arguments == plan.arguments:
            return None
        plan.arguments, plan.note = verdict.arguments, plan.note + changed("A hook of the user's", verdict.arguments)
        await self._log.append(state_change(plan, "changed", "changed by a hook", verdict.arguments))
        return tool.parse_object(verdict.arguments)

    def _judge(self, plan: CallPlan, verdict: Verdict) -> None:
        assert plan.tool is not None and plan.args is not None
        tool, call = plan.tool, plan.call
        plan.risk, plan.verdict = tool.risk(plan.args), verdict
        judgement = self._judgement(plan, tool)
        if judgement.outcome is Outcome.DENY:
            plan.failure = failure("denied", f"Not permitted: {judgement.reason} The call was not run.")
            return
        cost = self._budget.judge(call.id, plan.risk, self.mode())
        if judgement.outcome is Outcome.ASK or cost.blocked:
            plan.pending = pending_of(plan, judgement, cost, self.mode())
        elif call.id in self._log.state.pending:
            plan.pending = self._log.state.pending[call.id]  # asked before a restart: the answer still counts

    def _judgement(self, plan: CallPlan, tool: Tool[Any]) -> Judgement:
        judgement = self._permissions.judge(plan.call.name, tool.subject(plan.args), plan.risk, self.mode())
        return weighed(judgement, plan.verdict)

    def allowed_by(self, rule: str) -> list[PendingTool]:
        """The calls that wait and would run unasked now that there is this rule. One that costs is never among them: only its own card
        showed its price; nor is one that a person must decide for another reason.
        """
        waiting = [(plan.pending, plan, plan.tool) for plan in self._plans if plan.decision is not None]
        return [pending for pending, plan, tool in waiting if pending and tool and self._is_allowed_by(rule, plan, tool)]

    def _is_allowed_by(self, rule: str, plan: CallPlan, tool: Tool[Any]) -> bool:
        if Effect.SPENDS in plan.risk.effects:
            return False
        judgement = self._judgement(plan, tool)
        return judgement.outcome is Outcome.ALLOW and rule in judgement.rules

    async def revise(self, answer: ApprovalAnswer) -> bool:
        """Judge and price a call that waits as the answer edits it. Whether it is asked anew, for what was shown holds no more. Raises
        ``ToolError`` for an edit that cannot run.
        """
        plan = next((plan for plan in self._plans if plan.call.id == answer.tool_call_id and plan.decision is not None), None)
        if plan is None or (edited := edited_arguments(plan.arguments, answer)) == plan.arguments:
            return False
        fitted = await self._fit(plan, edited)
        if isinstance(fitted, ToolOutput):
            raise ToolError(fitted.text)
        if plan.decision is None or plan.decision.done():
            raise ToolError("This call waits no more.")
        if not plan.costs_or_does_other(fitted):
            return False
        plan.pending = self._edited(plan, fitted)
        change = state_change(plan, "changed", "changed by the user", edited)
        await to_the_end(self._log.append(change, question_of((plan.pending,))))
        return True

    def _edited(self, plan: CallPlan, fitted: Fitted) -> PendingTool:
        """What is asked of it now that it is edited."""
        assert plan.tool is not None
        plan.take(fitted)
        cost = self._budget.judge(plan.call.id, plan.risk, self.mode())
        self._budget.withdraw(plan.call.id)  # judged again once it is approved
        return pending_of(plan, self._judgement(plan, plan.tool), cost, self.mode())

    async def _go_on(self, plan: CallPlan, earlier: PendingTool) -> None:
        """It was asked before a restart: as it was edited by then."""
        shown = ApprovalAnswer(tool_call_id=plan.call.id, approved=True, arguments=earlier.arguments)
        if (edited := edited_arguments(plan.arguments, shown)) != plan.arguments:
            fitted = await self._fit(plan, edited)
            if isinstance(fitted, Fitted):
                plan.pending = self._edited(plan, fitted)

    async def _ask(self, plans: Sequence[CallPlan], questions: ExitStack) -> None:
        """Open every question, then announce them together. What was decided in the meantime is asked no more."""
        for plan in plans:
            if (decided := self._gate.ahead(plan.call.id)) is not None:
                plan.pending, plan.failure = None, failure(*why_refused(decided))
            elif plan.pending is not None and not self._gate.attended:
                plan.pending, plan.failure = None, nobody_to_ask(plan.pending)
        waiting = [plan for plan in plans if plan.pending is not None]
        for plan in waiting:
            plan.decision = questions.enter_context(self._gate.ask(plan.call.id))
            self._budget.withdraw(plan.call.id)  # judged again once it is approved
        new = [plan.pending for plan in waiting if plan.pending is not None]
        if new:
            await self._log.append(question_of(new))
        await self._gate.asked()

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run_all(self, plans: Sequence[CallPlan]) -> None:
        """Side by side, but one after the other where two touch the same thing."""
        if len(plans) == 1:
            await self._answer_one(plans[0], ())
            return
        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            for index, plan in enumerate(plans):
                before = [tasks[i] for i in range(index) if overlaps(plans[i].risk, plan.risk)]
                tasks.append(group.create_task(self._answer_one(plan, before)))

    async def _answer_one(self, plan: CallPlan, before: Sequence[asyncio.Task[None]]) -> None:
        plan.began_s = self._clock.monotonic()
        try:
            if any(not task.done() for task in before):
                if plan.decision is None:  # else it waits for the user, which is said already
                    await self._log.append(state_change(plan, "waiting"))
                await asyncio.wait(before)
                plan.waited = True
            output = plan.failure or await self._decide_and_run(plan)
        except asyncio.CancelledError:
            await self._finish(plan, plan.failure or interrupted(plan.reported, started=plan.started))
            raise
        await self._finish(plan, output)

    async def _decide_and_run(self, plan: CallPlan) -> ToolOutput:
        if plan.decision is not None and (refusal := await self._take_decision(plan, await plan.decision)):
            return refusal
        if plan.decision is not None or plan.waited:
            await self._log.append(state_change(plan, "running"))
            plan.began_s = self._clock.monotonic()
        return await self._run_watched(plan)

    async def _run_watched(self, plan: CallPlan) -> ToolOutput:
        tool, args = plan.tool, plan.args
        assert tool is not None
        if refusal := await self._around.before_running(plan.call, plan.arguments, plan.risk, lambda: tool.preview(args)):
            return failure("denied", f"{refusal} The call was not run.")
        return await self._around.after_running(plan.call, plan.arguments, await self._run_reserved(plan))

    async def _take_decision(self, plan: CallPlan, answer: Decision) -> ToolOutput | None:
        """Apply the user's edits; returns the refusal, if it is one."""
        if isinstance(answer, Abandoned) or not answer.approved:
            return failure(*why_refused(answer))
        edited = edited_arguments(plan.arguments, answer)
        if edited != plan.arguments:
            fitted = await self._fit(plan, edited)
            if isinstance(fitted, ToolOutput):
                return fitted
            plan.take(fitted)
        plan.note += changed("The user", plan.arguments) if plan.edited else ""
        cost = self._budget.judge(plan.call.id, plan.risk, Mode.YOLO)
        if cost.blocked and cost.remaining_usd is not None:
            return failure("over_budget", f"{cost.blocked} It was not run; the user can raise the cap.")
        return None

    async def _fit(self, plan: CallPlan, edited: JsonObject) -> Fitted | ToolOutput:
        """The call as the user edited it, or why that cannot run."""
        return await self._tried(plan, self._parse_edit(plan, edited), f"The user's edit does not fit {plan.call.name}")

    async def _parse_edit(self, plan: CallPlan, edited: JsonObject) -> Fitted | ToolOutput:
        tool = plan.tool
        assert tool is not None
        args = await tool.prepare(tool.parse_object(edited), shown=plan.args)
        risk = tool.risk(args)
        judgement = self._permissions.judge(plan.call.name, tool.subject(args), risk, Mode.YOLO)
        if judgement.outcome is Outcome.DENY:
            return failure("denied", f"Not permitted: {judgement.reason} The edited call was not run.")
        return Fitted(arguments=edited, args=args, risk=risk)

    async def _run_reserved(self, plan: CallPlan) -> ToolOutput:
        """Set the cost aside first; give it back if the call fails, unless what it started holds on to it."""
        if Effect.SPENDS not in plan.risk.effects or plan.risk.cost_usd is None:
            return await self._run(plan)
        reservation = plan.call.id
        await self._log.append(BudgetReserved(reservation_id=reservation, amount_usd=plan.risk.cost_usd, kind=plan.call.name))
        self._budget.withdraw(reservation)
        output = await self._run(plan)
        spending = self._log.state.spending
        failed = not output.success and output.error_kind != UNKNOWN
        if failed and reservation in spending.reserved and reservation not in spending.held:
            await self._log.append(BudgetSettled(reservation_id=reservation, actual_usd=0.0))
        return output

    async def _run(self, plan: CallPlan) -> ToolOutput:
        assert plan.tool is not None and plan.args is not None
        plan.started = True
        time_limit = asyncio.timeout(plan.tool.timeout_s)
        try:
            async with time_limit:
                return checked(plan.call.name, await plan.tool.run(plan.args, self._context(plan)))
        except ToolError as error:
            return failure(UNKNOWN if isinstance(error, OutcomeUnknown) else "tool_error", str(error))
        except Exception as error:  # the boundary: a crash of one tool hurts its own call alone
            if isinstance(error, TimeoutError) and time_limit.expired():
                return failure("timeout", f"{plan.call.name} was stopped after {plan.tool.timeout_s:g} s.")
            logger.exception("tool %s crashed", plan.call.name)
            return crash(plan.call.name, error, "crashed", "This is a defect of the tool.")

    def _context(self, plan: CallPlan) -> ToolContext:
        call = plan.call

        def report(text: str) -> None:
            text = text.encode("utf-8", "replace").decode()
            plan.reported.append(text)
            self._log.show(ToolLog(tool=call.name, log=text, tool_call_id=call.id))

        async def ask(question: str, options: tuple[str, ...]) -> Answer:
            return await self._questions.ask(question, options, call_id=call.id)

        return ToolContext(call_id=call.id, session_id=self._log.session_id, report=report, emit=self._log.append, ask=ask)

    async def _finish(self, plan: CallPlan, output: ToolOutput) -> None:
        self._budget.withdraw(plan.call.id)
        limited = limit(plan.note + output.text, self._spill_dir)
        await self._log.append(
            ToolFinished(
                tool=plan.call.name,
                tool_call_id=plan.call.id,
                output=limited.text,
                success=output.success,
                duration_s=round(self._clock.monotonic() - plan.began_s, 3) if plan.began_s is not None else 0.0,
                error_kind=output.error_kind,
                display=output.display,
                images=output.images,
                files=output.files,
                spill_path=output.spill_path or str(limited.spill_path or ""),
            )
        )

    async def _answer_rest(self, plans: Sequence[CallPlan]) -> None:
        """After a cancellation between calls: those that nobody answered yet."""
        unanswered = {call.id for call in self._log.state.history.open_calls}
        for plan in plans:
            if plan.call.id in unanswered:
                await self._finish(plan, plan.failure or interrupted(plan.reported, started=plan.started))
