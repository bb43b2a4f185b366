"""Small questions: yes or no, and one line of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from ml_intern.frontends.sanitize import plain
from ml_intern.frontends.tui.own_keys import OrderedInput
from ml_intern.frontends.tui.screens.frame import FramedScreen


class Confirm(FramedScreen[bool]):
    """``True`` for yes. Enter is no: what is asked about cannot be taken back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n,escape,enter", "answer(False)", "No", show=False),
    ]

    def __init__(self, question: str, detail: str = "") -> None:
        super().__init__()
        self._question = question
        self._detail = detail

    @property
    def key_lines(self) -> Sequence[str]:
        return "y yes · n, Enter, Esc no", "y yes · Esc no"

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="frame small") as frame:  # what is agreed to can be read to its end
            frame.border_title = Content(plain(self._question))
            yield Static(Content(plain(self._detail or "This cannot be taken back.")))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class AskLine(FramedScreen[str]):
    """One line of text; empty when the user does not want to say anything."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave", show=False)]

    def __init__(self, question: str, *, detail: str = "", value: str = "", masked: bool = False) -> None:
        """``masked``: nobody reads it over the user's shoulder."""
        super().__init__()
        self._question = question
        self._detail = detail
        self._value = value
        self._masked = masked

    @property
    def key_lines(self) -> Sequence[str]:
        return "Enter takes it · Esc leaves it", "Enter · Esc"

    def compose(self) -> ComposeResult:
        with Vertical(classes="frame small") as frame:
            frame.border_title = Content(plain(self._question))
            if self._detail:
                yield Static(Content(plain(self._detail)))
            yield OrderedInput(value=self._value, password=self._masked, compact=True)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss("")
