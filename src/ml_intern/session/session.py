"""A session: operations come in, one turn runs at a time, everything that happens goes to the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import assert_never

from msgspec import Struct

from ml_intern.errors import MlInternError, SessionClosed
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.session.approvals import Decision, Gate
from ml_intern.session.auto_approval import AutoApproval
from ml_intern.session.decisions import Decisions
from ml_intern.session.log import EventLog
from ml_intern.session.model_directory import ModelDirectory
from ml_intern.session.model_port import ModelPort
from ml_intern.session.permissions import Mode
from ml_intern.session.questions import Questions
from ml_intern.session.recovery import recover
from ml_intern.session.rewind import Rewinder
from ml_intern.session.rules import Rules
from ml_intern.session.session_jobs import SessionJobs
from ml_intern.session.turn import TurnParts
from ml_intern.session.work import Work


async def _nothing_shared() -> None:
    """Of a session that has no traces."""


class SessionParts(Struct, frozen=True, kw_only=True):
    """What a session is made of; ``app.py`` puts it together."""

    turn: TurnParts
    gate: Gate[Decision]
    questions: Questions
    models: ModelDirectory
    rewinder: Rewinder
    rules: Rules
    base_mode: Mode
    close: Callable[[], Awaitable[None]]
    """Gives back tools, processes, the lease."""
    known_redaction: Callable[[str], bool] = lambda _: False
    jobs: SessionJobs | None = None
    review_traces: Callable[[], Awaitable[None]] = _nothing_shared
    """Reads again whether the user shares traces. Raises ``MlInternError``."""


class Session:
    """One conversation, owned by this process."""

    def __init__(self, parts: SessionParts, model: ModelPort) -> None:
        self._p = parts
        self.log: EventLog = parts.turn.log
        self.session_id, self.state = self.log.session_id, self.log.state
        self._work = Work(parts.turn, model)
        self._decisions = Decisions(self.log, parts.gate, parts.questions, parts.rules, parts.turn.runner)
        self._changing = asyncio.Lock()
        """Held by operations that start or stop work: one of them at a time."""
        self._closed = False
        self._auto_approval = AutoApproval(self.log, parts.base_mode)
        parts.turn.runner.mode = self._auto_approval.mode

    async def start(self) -> None:
        """After a resume: tell of a rewind cut short, answer what a crash left open, and go on waiting for approvals asked for."""
        await self._p.rewinder.tell_cut_short()
        if await recover(self.log, self._p.gate, self._p.known_redaction):
            self._work.go_on()

    @property
    def busy(self) -> bool:
        """Whether a turn or a compaction runs."""
        return self._work.busy

    @property
    def context_window(self) -> int | None:
        """Tokens that the model in use takes; None when nobody knows."""
        return self._work.model.window

    @property
    def jobs(self) -> SessionJobs | None:
        """Its jobs, to look at and to end; None where there can be none."""
        return self._p.jobs

    def events(self, *, after_seq: int = 0) -> AsyncIterator[Envelope]:
        """Stored events after ``after_seq``, then live ones until the session closes."""
        return self.log.events(after_seq=after_seq)

    async def submit(self, operation: op.AnyOperation) -> None:
        """Take an operation. What comes of it is told by events. Raises ``SessionClosed`` after ``shutdown``."""
        if self._closed:
            raise SessionClosed("This session is closed.", hint="Resume it to go on.")
        match operation:
            case op.UserInput() | op.Compact() | op.Undo() | op.Rewind():
                async with self._changing:
                    await self._start_or_stop(operation)
            case op.Interrupt():
                await self._work.interrupt()
            case op.ExecApproval() | op.AnswerQuestion():
                await self.answer(operation)
            case op.SwitchModel() | op.SetEffort() | op.SetAutoApproval() | op.SetTitle():
                await self._change(operation)
            case op.ReviewTraceSharing():
                await self._review_traces(operation)
            case op.ChangeRule() | op.ShowRules() | op.TryCall():
                await self._p.rules.take(operation, self._auto_approval.mode())
            case op.Shutdown():
                await self.aclose()
            case op.New() | op.Resume() | op.Fork():
                await self._complain(operation, f"'{type(operation).__name__.lower()}' is for the host of a session, not for the session.")
            case _:
                assert_never(operation)

    async def answer(self, operation: op.ExecApproval | op.AnswerQuestion) -> bool:
        """Take an answer to what waits. Whether it decided: somebody else may have been faster. Raises ``SessionClosed``."""
        if self._closed:
            raise SessionClosed("This session is closed.", hint="Resume it to go on.")
        if isinstance(operation, op.ExecApproval):
            return await self._decisions.take(operation, self._complain)
        if not (taken := await self._p.questions.take(operation)):
            await self._complain(operation, f"No question '{operation.question_id}' waits for an answer.")
        return taken

    async def _start_or_stop(self, operation: op.UserInput | op.Compact | op.Undo | op.Rewind) -> None:
        match operation:
            case op.UserInput():
                await self._user_input(operation)
            case op.Compact():
                self._work.compact()
            case op.Undo():
                await self._undo(operation.before_message)
            case op.Rewind():
                await self._p.rewinder.rewind(operation, self._work.stop)

    async def _change(self, operation: op.SwitchModel | op.SetEffort | op.SetAutoApproval | op.SetTitle) -> None:
        match operation:
            case op.SwitchModel():
                await self._switch_model(operation)
            case op.SetEffort():
                await self._set_effort(operation)
            case op.SetAutoApproval():
                await self._auto_approval.take(operation, self._complain)
            case op.SetTitle():
                await self.log.append(e.SessionUpdate(session_id=self.log.session_id, auto_approval={}, title=operation.title))
            case _:
                assert_never(operation)

    # ── the conversation ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _user_input(self, message: op.UserInput) -> None:
        if not message.text.strip() and not message.images:
            await self._complain(message, "The message is empty.", hint="Say what you want done.")
            return
        self._work.say(message)
        await self._decisions.abandon_all(message.sent_by)

    async def _undo(self, before_message: int | None) -> None:
        """The last turn, steering included; or everything from the n-th message that the user wrote."""
        await self._work.stop()
        seqs = self.state.turn_seqs if before_message is None else self.state.history.user_seqs()
        index = len(seqs) - 1 if before_message is None else before_message
        await self.log.append(e.UndoComplete(cut_seq=seqs[index] if 0 <= index < len(seqs) else 0))

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _switch_model(self, operation: op.SwitchModel) -> None:
        try:
            opened = await self._p.models.open(operation.model, self.state.effort)
        except MlInternError as error:
            await self._complain(operation, error.message, hint=error.hint)
            return
        switched = e.ModelSwitched(model=operation.model, previous=self._work.model.model_id)
        await self.log.append(*([opened.probe] if opened.probe else []), switched)
        if opened.effective_effort != self.state.effort or opened.note:
            await self.log.append(e.EffortChanged(effort=self.state.effort, effective=opened.effective_effort, note=opened.note))
        self._work.use_model(opened.port)  # the old one is closed with the session: its reply may still stream

    async def _set_effort(self, operation: op.SetEffort) -> None:
        if (effort := operation.effort) is not None and effort not in op.EFFORTS:
            await self._complain(operation, f"'{effort}' is no reasoning effort.", hint=f"Choose one of {', '.join(op.EFFORTS)}, or none.")
        else:
            await self.log.append(e.EffortChanged(effort=effort, effective=effort))

    async def _review_traces(self, operation: op.ReviewTraceSharing) -> None:
        try:
            await self._p.review_traces()
        except MlInternError as error:
            await self._complain(operation, error.message, hint=error.hint)

    async def _complain(self, operation: op.AnyOperation, text: str, *, hint: str = "") -> None:
        await self.log.append(e.ErrorRaised(error=text, hint=hint, kind="BadOperation", ends_turn=False, sent_by=operation.sent_by))

    async def aclose(self) -> None:
        """Interrupt what runs, give everything back, end the event stream. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._work.close()
            await self.log.append(e.SessionShutdown())
        finally:
            self.log.close()
            try:
                await self._work.model.aclose()
            finally:
                await self._p.close()
