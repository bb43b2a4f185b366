"""``ask_user``: a question to whoever sits in front of a frontend."""

from __future__ import annotations

import os

from ml_intern.compute.to_the_end import to_the_end
from ml_intern.protocol.events import QuestionAnswered, QuestionAsked
from ml_intern.session.approvals import Gate
from ml_intern.session.log import EventLog


class Questions:
    """Questions of one session that wait for ``answer_question``."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._gate: Gate[str | None] = Gate()

    async def ask(self, question: str, options: tuple[str, ...], *, call_id: str) -> str | None:
        """The user's words, or None when they declined or nobody is there."""
        question_id = os.urandom(6).hex()
        with self._gate.ask(question_id) as answer:
            await self._log.append(QuestionAsked(question_id=question_id, question=question, options=options, tool_call_id=call_id))
            return await answer

    async def answer(self, question_id: str, answer: str | None, *, sent_by: str = "") -> bool:
        """Store and deliver an answer. False when nobody waits for it."""
        if not self._gate.claim(question_id):
            return False
        return await to_the_end(self._answer(QuestionAnswered(question_id=question_id, answer=answer, sent_by=sent_by)))

    async def _answer(self, answered: QuestionAnswered) -> bool:
        await self._log.append(answered)
        return self._gate.answer(answered.question_id, answered.answer)

    async def decline_all(self, *, sent_by: str = "") -> None:
        """The user spoke of something else: nobody will answer these."""
        for question_id in self._gate.waiting():
            await self.answer(question_id, None, sent_by=sent_by)
