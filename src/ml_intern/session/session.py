"""A session: operations come in, one turn runs at a time, everything that happens goes to the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, assert_never

from msgspec import Struct, field

from ml_intern.errors import MlInternError, SessionClosed
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.session.approvals import Abandoned, Decision, Gate
from ml_intern.session.log import EventLog
from ml_intern.session.model_port import ModelPort
from ml_intern.session.permissions import Mode
from ml_intern.session.questions import Questions
from ml_intern.session.recovery import recover
from ml_intern.session.turn import Inbox, Turn, TurnParts


class OpenedModel(Struct, frozen=True):
    """A model that was switched to; ``effective_effort`` differs from the preference when the provider refuses that."""

    port: ModelPort
    effective_effort: str | None
    note: str = ""


class ModelDirectory(Protocol):
    """Where models come from."""

    async def open(self, model_id: str, effort: str | None) -> OpenedModel:
        """Raises ``ConfigError`` or ``ModelError`` when the model cannot be used."""
        ...


class SessionParts(Struct, frozen=True, kw_only=True):
    """What a session is made of; ``app.py`` puts it together. ``remember_in_project`` keeps a rule for this folder."""

    turn: TurnParts
    gate: Gate[Decision]
    questions: Questions
    models: ModelDirectory
    remember_in_project: Callable[[str], None]
    base_mode: Mode
    close: Callable[[], Awaitable[None]]
    """Gives back tools, processes, the lease."""
    known_redaction: Callable[[str], bool] = field(default=lambda _: False)


class Session:
    """One conversation, owned by this process."""

    def __init__(self, parts: SessionParts, model: ModelPort) -> None:
        self._p = parts
        self.log: EventLog = parts.turn.log
        self.state = parts.turn.log.state
        self._model = model
        self._inbox = Inbox()
        self._work: asyncio.Task[None] | None = None
        self._turn: Turn | None = None
        self._interrupting = False
        self._closed = False
        self._update_mode()

    async def start(self) -> None:
        """After a resume: answer what a crash left open, and go on waiting for approvals that were asked for."""
        if await recover(self.log, self._p.known_redaction):
            self._begin(self._go_on())

    @property
    def busy(self) -> bool:
        """Whether a turn or a compaction runs."""
        return self._work is not None and not self._work.done()

    def events(self, *, after_seq: int = 0) -> AsyncIterator[Envelope]:
        """Stored events after ``after_seq``, then live ones until the session closes."""
        return self.log.events(after_seq=after_seq)

    async def submit(self, operation: op.AnyOperation) -> None:
        """Take an operation. What comes of it is told by events. Raises ``SessionClosed`` after ``shutdown``."""
        if self._closed:
            raise SessionClosed("This session is closed.", hint="Resume it to go on.")
        match operation:
            case op.UserInput():
                await self._user_input(operation)
            case op.ExecApproval():
                await self._exec_approval(operation)
            case op.AnswerQuestion():
                if not await self._p.questions.answer(operation.question_id, operation.answer):
                    await self._complain(f"No question '{operation.question_id}' waits for an answer.")
            case op.Interrupt():
                await self._interrupt()
            case op.Compact():
                await self._compact()
            case op.Undo():
                await self._undo(operation.before_message)
            case op.Shutdown():
                await self.aclose()
            case op.SwitchModel() | op.SetEffort() | op.SetAutoApproval() | op.SetTitle():
                await self._change(operation)
            case op.New() | op.Resume() | op.Fork():
                await self._complain(f"'{type(operation).__name__.lower()}' is for the host of a session, not for the session.")
            case _:
                assert_never(operation)

    async def _change(self, operation: op.SwitchModel | op.SetEffort | op.SetAutoApproval | op.SetTitle) -> None:
        match operation:
            case op.SwitchModel():
                await self._switch_model(operation.model)
            case op.SetEffort():
                await self.log.append(e.EffortChanged(effort=operation.effort, effective=operation.effort))
            case op.SetAutoApproval():
                await self._set_auto_approval(operation)
            case op.SetTitle():
                await self.log.append(e.SessionUpdate(session_id=self.log.session_id, auto_approval={}, title=operation.title))
            case _:
                assert_never(operation)

    # ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _user_input(self, message: op.UserInput) -> None:
        if not message.text.strip() and not message.images:
            await self._complain("The message is empty.", hint="Say what you want done.")
            return
        self._inbox.messages.append(message)
        if self.busy:
            await self._abandon_questions()
        else:
            self._begin(self._run_turns())

    async def _run_turns(self) -> None:
        """A turn for what is in the inbox, and another one if something came too late for it."""
        while self._inbox.messages:
            messages, self._inbox.messages = self._inbox.messages, []
            added = [e.UserMessageAdded(content=message.text, images=message.images) for message in messages]
            await self.log.append(*added, e.Processing(message="Processing user input"))
            await self._run_turn()

        if self._inbox.compact:  # asked for too late for the turn's last step
            self._inbox.compact = False
            await Turn(self._p.turn, self._model, self._inbox).compact()

    async def _go_on(self) -> None:
        """The turn that a resume found waiting for approval, and what came meanwhile."""
        await self._run_turn()
        await self._run_turns()

    async def _run_turn(self) -> None:
        self._turn = Turn(self._p.turn, self._model, self._inbox)
        try:
            await self._turn.run()
        finally:
            self._turn = None

    def _begin(self, work: Awaitable[None]) -> None:
        self._interrupting = False
        self._work = asyncio.ensure_future(self._supervised(work))

    async def _supervised(self, work: Awaitable[None]) -> None:
        """An interrupt between a turn's first event and its first step must still end it in the log."""
        try:
            await work
        finally:
            if self.state.turn_running:
                await self.log.append(e.Interrupted())

    async def _interrupt(self) -> None:
        """Cancel once: a second cancellation would tear up the clean-up of the first."""
        if self.busy and not self._interrupting:
            assert self._work is not None
            self._interrupting = True
            await asyncio.sleep(0)  # a task that is cancelled before its first step would never write its end
            self._work.cancel()

    async def _stop_work(self) -> None:
        await self._interrupt()
        if self._work is not None:
            await asyncio.wait([self._work])

    async def _compact(self) -> None:
        if self.busy:
            self._inbox.compact = True
        else:
            self._begin(Turn(self._p.turn, self._model, self._inbox).compact())

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _exec_approval(self, operation: op.ExecApproval) -> None:
        for answer in operation.approvals:
            pending = self.state.pending.get(answer.tool_call_id)
            if pending is None or not self._p.gate.is_open(answer.tool_call_id):
                await self._complain(f"No pending approval to process for '{answer.tool_call_id}'.")
                continue
            await self._decide(pending, answer)

    async def _decide(self, pending: e.PendingTool, answer: op.ApprovalAnswer) -> None:
        if answer.approved and answer.remember and pending.remember_rule:
            await self.log.append(e.PermissionGranted(rule=pending.remember_rule, scope=answer.remember))
            if answer.remember == "project":
                self._p.remember_in_project(pending.remember_rule)
        changed = e.ToolStateChange(
            tool_call_id=pending.tool_call_id,
            tool=pending.tool,
            state="approved" if answer.approved else "rejected",
            note=answer.feedback or "",
            arguments=answer.arguments,
        )
        await self.log.append(changed)
        self._p.gate.answer(pending.tool_call_id, answer)

    async def _abandon_questions(self) -> None:
        """The user typed instead of deciding."""
        for key in self._p.gate.waiting():
            tool = self.state.pending[key].tool if key in self.state.pending else ""
            await self.log.append(e.ToolStateChange(tool_call_id=key, tool=tool, state="abandoned"))
            self._p.gate.answer(key, Abandoned())
        await self._p.questions.decline_all()

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _undo(self, before_message: int | None) -> None:
        await self._stop_work()
        seqs = self.state.history.user_seqs()
        index = len(seqs) - 1 if before_message is None else before_message
        await self.log.append(e.UndoComplete(cut_seq=seqs[index] if 0 <= index < len(seqs) else 0))

    async def _switch_model(self, model_id: str) -> None:
        try:
            opened = await self._p.models.open(model_id, self.state.effort)
        except MlInternError as error:
            await self._complain(error.message, hint=error.hint)
            return
        previous, self._model = self._model, opened.port
        await self.log.append(e.ModelSwitched(model=model_id, previous=previous.model_id))
        if opened.effective_effort != self.state.effort or opened.note:
            await self.log.append(e.EffortChanged(effort=self.state.effort, effective=opened.effective_effort, note=opened.note))
        if self._turn is not None:
            self._turn.model = opened.port  # the old one is closed with the session: its reply may still stream

    async def _set_auto_approval(self, operation: op.SetAutoApproval) -> None:
        spending = self.state.spending
        cap = spending.cap_usd if operation.cost_cap_usd is None else operation.cost_cap_usd
        remaining = None if cap is None else max(0.0, cap - spending.committed_usd)
        auto_approval = {
            "enabled": operation.enabled,
            "cost_cap_usd": cap,
            "estimated_spend_usd": spending.committed_usd,
            "remaining_usd": remaining,
        }
        await self.log.append(e.SessionUpdate(session_id=self.log.session_id, auto_approval=auto_approval))
        self._update_mode()

    def _update_mode(self) -> None:
        self._p.turn.runner.mode = Mode.YOLO if self.state.auto_approval else self._p.base_mode

    async def _complain(self, text: str, *, hint: str = "") -> None:
        await self.log.append(e.ErrorRaised(error=text, hint=hint, kind="BadOperation", ends_turn=False))

    async def aclose(self) -> None:
        """Interrupt what runs, give everything back, end the event stream. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._stop_work()
            await self.log.append(e.SessionShutdown())
        finally:
            self.log.close()
            await self._model.aclose()
            await self._p.close()
