"""``ask_user``: a question to whoever sits in front of a frontend."""

from __future__ import annotations

import asyncio
import os

from ml_intern.compute.to_the_end import to_the_end
from ml_intern.protocol.operations import AnswerQuestion
from ml_intern.protocol.question_events import Outcome, QuestionAnswered, QuestionAsked
from ml_intern.session.approvals import Gate
from ml_intern.session.log import EventLog
from ml_intern.tools.base import Answer


class Questions:
    """Questions of one session that wait for ``answer_question``."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._gate: Gate[Answer] = Gate()

    async def ask(self, question: str, options: tuple[str, ...], *, call_id: str) -> Answer:
        """The user's words, or why there are none."""
        question_id = os.urandom(6).hex()
        with self._gate.ask(question_id) as answer:
            await self._log.append(QuestionAsked(question_id=question_id, question=question, options=options, tool_call_id=call_id))
            try:
                await asyncio.wait([answer])
                return answer.result()
            except asyncio.CancelledError:
                await self._end(question_id, None, "interrupted")
                raise

    async def take(self, operation: AnswerQuestion) -> bool:
        """Store and deliver an answer. False when nobody waits for it."""
        reason: Outcome = operation.reason if operation.answer is None else "answered"
        return await self._end(operation.question_id, operation.answer, reason, sent_by=operation.sent_by)

    async def set_all_aside(self, *, sent_by: str = "") -> None:
        """The user spoke of something else: nobody will answer these."""
        for question_id in self._gate.waiting():
            await self._end(question_id, None, "set_aside", sent_by=sent_by)

    async def _end(self, question_id: str, text: str | None, reason: Outcome, *, sent_by: str = "") -> bool:
        if not self._gate.claim(question_id):
            return False
        return await to_the_end(self._store(QuestionAnswered(question_id=question_id, answer=text, sent_by=sent_by, reason=reason)))

    async def _store(self, ended: QuestionAnswered) -> bool:
        await self._log.append(ended)
        return self._gate.answer(ended.question_id, Answer(ended.answer, ended.reason))
