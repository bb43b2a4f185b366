"""A question of the model's: options to choose from, or words of one's own."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from ml_intern.frontends.tui.cards.card import SHORT_COLUMNS, Card
from ml_intern.frontends.tui.cells import wrapped
from ml_intern.protocol.events import QuestionAsked
from ml_intern.protocol.invisible import marked

MOST_BY_NUMBER = 9


class QuestionCard(Card):
    """Number keys choose, ``w`` writes, ``d`` declines."""

    DEFAULT_CSS = "QuestionCard { border: round $accent; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"choose({number})", show=False) for number in range(1, MOST_BY_NUMBER + 1)),
        Binding("w,enter", "write", "Answer in words"),
        Binding("d", "decline", "Decline"),
    ]

    class Answered(Message):
        """``answer`` None: the user declined."""

        def __init__(self, question_id: str, answer: str | None) -> None:
            super().__init__()
            self.question_id = question_id
            self.answer = answer

    def __init__(self, question: QuestionAsked) -> None:
        super().__init__()
        self.question = question

    def body(self) -> Static:
        return Static(Content(self._text))

    def body_rows(self, columns: int) -> int:
        return len(wrapped(self._text, columns))

    @property
    def _text(self) -> str:
        options = (f"  {number}  {marked(option)}" for number, option in enumerate(self.question.options, 1))
        return "\n".join([marked(self.question.question), *options])

    @property
    def name_shown(self) -> str:
        return "The question"

    def key_words(self, columns: int) -> str:
        if self.has_class("-words"):
            return "Enter sends it · Esc back"
        last = min(len(self.question.options), MOST_BY_NUMBER)
        choose = f"1-{last} choose · " if last > 1 else "1 choose · " if last else ""
        return f"{choose}w words · d decline · Esc back" if columns < SHORT_COLUMNS else f"{choose}w answer in words · d decline · Esc back"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The number of no option is none of its keys."""
        if action != "choose":
            return super().check_action(action, parameters)
        return parameters[0] in range(1, len(self.question.options) + 1)

    def action_choose(self, number: int) -> None:
        self._answer(self.question.options[number - 1])

    def action_write(self) -> None:
        self.ask_words("Your answer")

    def action_decline(self) -> None:
        self._answer(None)

    @on(Input.Submitted)
    def _words_given(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self._answer(event.value)

    def _answer(self, answer: str | None) -> None:
        self.post_message(self.Answered(self.question.question_id, answer))
