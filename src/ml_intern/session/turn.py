"""One turn: ask the policies, ask the model, answer its calls, until it has nothing left to call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from msgspec import Struct

from ml_intern.errors import ContextOverflow, MlInternError, StoreError
from ml_intern.models.base import ModelRequest, Reply
from ml_intern.protocol.events import (
    Compacted,
    ErrorRaised,
    GuardTriggered,
    Interrupted,
    SessionTerminated,
    ToolFinished,
    TurnComplete,
)
from ml_intern.protocol.messages import AssistantMessage, Message
from ml_intern.session.affordable import affordable
from ml_intern.session.compaction import Compactor
from ml_intern.session.entrance import Entrance
from ml_intern.session.history import UNKNOWN_OUTCOME
from ml_intern.session.inbox import Inbox
from ml_intern.session.log import EventLog
from ml_intern.session.model_call import ModelCaller
from ml_intern.session.model_port import ModelPort, compact_at_tokens
from ml_intern.session.money_questions import MoneyQuestions
from ml_intern.session.policies.base import PROCEED, Ask, Compact, Nudge, Policy, Proceed, StepView, Stop, Verdict
from ml_intern.session.step_view import step_view
from ml_intern.session.tool_runner import ToolRunner
from ml_intern.session.toolbox import Toolbox

logger = logging.getLogger(__name__)
MAX_OVERFLOWS = 3
"""Compactions that one turn may be forced into by a provider's refusal."""


class TurnParts(Struct, frozen=True, kw_only=True):
    """What a turn works with. ``stream`` and ``system`` are fixed for the session: they are part of the cached prefix."""

    log: EventLog
    runner: ToolRunner
    caller: ModelCaller
    compactor: Compactor
    entrance: Entrance
    money: MoneyQuestions
    policies: Sequence[Policy]
    system: str
    tools: Toolbox
    stream: bool = True
    attended: bool = True
    """Whether a person is there to answer."""


class Turn:
    """Runs once. Ends the log with exactly one of turn_complete, interrupted or error."""

    def __init__(self, parts: TurnParts, model: ModelPort, inbox: Inbox) -> None:
        self._p = parts
        self._log = parts.log
        self._state = parts.log.state
        self._inbox = inbox
        self.model = model
        self._overflows = 0
        self._room_tokens: int | None = None

    async def run(self) -> None:
        """The turn, with its end written whatever happens. ``CancelledError`` (an interrupt) and ``StoreError`` are raised again."""
        try:
            stop = await self._loop()
        except StoreError:
            raise  # nothing can be written
        except MlInternError as error:
            await self._close_with(ErrorRaised(error=error.message, kind=type(error).__name__, hint=error.hint))
        except Exception as error:  # the boundary: a defect ends the turn, not the session
            logger.exception("the turn failed")
            await self._close_with(ErrorRaised(error=f"{type(error).__name__}: {error}", kind="Defect", hint="See the log file."))
        except BaseException:
            await self._close_with(self._inbox.interrupted())
            raise
        else:
            await self._end(stop)

    async def _close_with(self, end: ErrorRaised | Interrupted) -> None:
        """Every call has its answer before the turn ends, however it ends."""
        answers = [
            ToolFinished(tool=call.name, tool_call_id=call.id, output=UNKNOWN_OUTCOME, success=False, error_kind="interrupted")
            for call in self._state.history.open_calls
        ]
        await self._log.append(*answers, end)

    async def compact(self) -> None:
        """In place of a turn: make room now, and say how it went."""
        try:
            await self._compact_now()
        except StoreError:
            raise
        except MlInternError as error:
            await self._log.append(ErrorRaised(error=error.message, kind=type(error).__name__, hint=error.hint))
        except BaseException:
            await self._log.append(self._inbox.interrupted())
            raise

    async def _compact_now(self) -> None:
        """Because the user asked: says so even when there is nothing to gain."""
        result = await self._p.compactor.compact(self.model, self._request(), trigger="manual")
        if not result.changed:
            tokens = self._context_tokens()
            await self._log.append(Compacted(old_tokens=tokens, new_tokens=tokens))

    async def _loop(self) -> Stop:
        await self._p.tools.open_turn()
        await self._p.runner.answer(self._state.history.open_calls)  # those that a resume left waiting for approval
        while True:
            await self._deliver_steering()
            if stop := await self._consult():
                return stop
            outcome = await self._ask_model()
            if outcome is None:
                continue
            reply, verdict = outcome
            if isinstance(verdict, Stop):
                return verdict
            if isinstance(verdict, Nudge):
                await self._log.append(GuardTriggered(guard=verdict.guard, message=verdict.message))
            elif reply.message.tool_calls:
                await self._p.runner.answer(reply.message.tool_calls)
            elif not self._inbox.messages and not await self._p.entrance.hold_back():
                return Stop("done")

    async def _deliver_steering(self) -> None:
        messages, self._inbox.messages = self._inbox.messages, []
        stored = len(self._state.history.user_seqs())
        try:
            await self._p.entrance.let_in(messages, window=self.model.window, steering=True)
        except asyncio.CancelledError:
            if len(self._state.history.user_seqs()) == stored:  # its hooks were interrupted
                self._inbox.unread[:0] = messages
            raise

    async def _consult(self) -> Stop | None:
        """Every policy in its order, before a step."""
        if self._inbox.compact:
            self._inbox.compact = False
            await self._compact_now()
        view = await self._view()
        for policy in self._p.policies:
            verdict = policy.before_step(view)
            while isinstance(verdict, Ask):
                if not await self._p.money.ask(verdict):
                    return Stop("declined", verdict.reason)
                view = await self._view()
                verdict = policy.before_step(view)  # a yes that changes nothing is asked again
            match verdict:
                case Proceed():
                    pass
                case Nudge() as nudge:
                    await self._log.append(GuardTriggered(guard=nudge.guard, message=nudge.message))
                case Compact():
                    if not (await self._p.compactor.compact(self.model, self._request())).fits:
                        return await self._exhausted("It is still over the threshold after compaction.")
                    return await self._consult()  # a summary costs money: the cap is looked at again
                case Stop() as stop:
                    return stop
        return None

    async def _ask_model(self) -> tuple[Reply, Verdict] | None:
        """The reply and what the policies say of it; None when the context had to be compacted instead."""
        model = self.model  # it may be switched while this one answers
        try:
            return await self._p.caller.ask(model, self._request(), self._verdict_on)
        except ContextOverflow as error:
            self._overflows += 1
            model.learn_window(error.limit_tokens or int(self._context_tokens() * 0.9))
            fits = self._overflows <= MAX_OVERFLOWS and (await self._p.compactor.compact(model, self._request())).fits
            if not fits:
                raise ContextOverflow(error.message, hint="Start a new session, or use a model with a larger window.") from error
            return None

    def _verdict_on(self, reply: Reply) -> Verdict:
        view = step_view(self._state, self.model, self._context_tokens(), None, attended=self._p.attended)
        for policy in self._p.policies:
            verdict = policy.after_reply(view, reply)
            if not isinstance(verdict, Proceed):
                return verdict
        return PROCEED

    async def _view(self) -> StepView:
        context = self._context_tokens()
        cost, self._room_tokens = await affordable(self.model, self._state.spending, context)
        return step_view(self._state, self.model, context, cost, attended=self._p.attended)

    def _context_tokens(self) -> int:
        return self._p.compactor.context_tokens(self._request())

    def _request(self) -> ModelRequest:
        effort = self._state.effective_effort.get(self._state.model, self._state.effort)
        return ModelRequest(
            system=self._p.system,
            tools=self._p.tools.schemas,
            messages=self._state.history.messages,
            session_id=self._log.session_id,
            effort=effort,
            max_output_tokens=self._room_tokens,
            stream=self._p.stream,
        )

    async def _exhausted(self, why: str) -> Stop:
        await self._log.append(
            SessionTerminated(
                reason="compaction_failed",
                context_usage=self._context_tokens(),
                context_threshold=compact_at_tokens(self.model),
                error=why,
                user_message="The context is full and cannot be made smaller. Start a new session, or use a model with a larger window.",
            )
        )
        return Stop("context_exhausted", why)

    async def _end(self, stop: Stop) -> None:
        final = last_text(self._state.history.messages)
        await self._log.append(
            TurnComplete(
                history_size=len(self._state.history.messages),
                final_response=final if stop.reason == "done" else None,
                reason=stop.reason,
                detail=stop.detail,
                steps=self._state.steps,
            )
        )


def last_text(messages: Sequence[Message]) -> str | None:
    """What the model said last, if it said it last."""
    last = messages[-1] if messages else None
    return last.text if isinstance(last, AssistantMessage) and last.text else None
