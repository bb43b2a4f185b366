"""What ``ask_user`` asked, and what came of it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ml_intern.protocol.event_base import Event

NoAnswer: TypeAlias = Literal["declined", "nobody", "expired"]
"""Why whoever was asked gives none: they would not, nobody is there, or nobody answered in time."""
Outcome: TypeAlias = Literal["", "answered", "declined", "set_aside", "interrupted", "nobody", "expired"]

_WORDS: dict[Outcome, str] = {
    "": "not answered",
    "answered": "answered",
    "declined": "declined",
    "set_aside": "set aside",
    "interrupted": "interrupted",
    "nobody": "not answered: nobody is there",
    "expired": "not answered in time",
}


class QuestionAsked(Event, frozen=True):
    wire = "question_asked"
    question_id: str
    question: str
    options: tuple[str, ...] = ()
    tool_call_id: str = ""


class QuestionAnswered(Event, frozen=True):
    """It waits no longer. ``reason``: ``set_aside`` when the user wrote something else; "" in older logs."""

    wire = "question_answered"
    question_id: str
    answer: str | None
    sent_by: str = ""
    reason: Outcome = ""

    @property
    def outcome(self) -> Outcome:
        """``reason``, also where an older log gives none but an answer."""
        return self.reason or ("" if self.answer is None else "answered")

    @property
    def outcome_words(self) -> str:
        """How it ended, as what follows "was"."""
        return _WORDS[self.outcome]


def words_of_refusal(reason: NoAnswer) -> str:
    """How a call ended that was not approved, as what follows "was"."""
    return "rejected" if reason == "declined" else f"refused, {_WORDS[reason]}"
