"""Where cards stand that wait for the user: between the conversation and the composer, the oldest on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll

from ml_intern.frontends.tui.own_app import own_app
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp
    from ml_intern.frontends.tui.cards.approval import ApprovalCard
    from ml_intern.frontends.tui.cards.question import QuestionCard

DECIDED = ("approved", "rejected", "abandoned", "cancelled")


class CardDock(VerticalScroll):
    """An ``EventReader``: mounts a card for what waits, removes it when it is decided, here or elsewhere."""

    DEFAULT_CSS = "CardDock { height: auto; max-height: 60%; background: $background; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, can_focus=False)
        self._cards: dict[str, ApprovalCard | QuestionCard] = {}
        self._mine: set[str] = set()
        """What was decided here: its end needs no telling."""

    @property
    def tui(self) -> TuiApp:
        """The app, by its own type."""
        return own_app(self)

    @property
    def waiting(self) -> int:
        """How many cards there are."""
        return len(self._cards)

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self._cards.clear()
        self._mine.clear()
        self.remove_children()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        match envelope.event:
            case e.ApprovalRequired(tools=tools):
                from ml_intern.frontends.tui.cards.approval import ApprovalCard  # the first paint waits for no card

                for tool in tools:
                    self._add(tool.tool_call_id, ApprovalCard(tool))
            case e.QuestionAsked() as question:
                from ml_intern.frontends.tui.cards.question import QuestionCard

                self._add(question.question_id, QuestionCard(question))
            case e.ToolStateChange(state=state, tool_call_id=key) if state in DECIDED:
                self._drop(key, live=live, how=state, sent_by=envelope.event.sent_by)
            case e.ToolFinished(tool_call_id=key):
                self._drop(key, live=live, how="answered")
            case e.QuestionAnswered(question_id=key, sent_by=sent_by):
                self._drop(key, live=live, how="answered", sent_by=sent_by)
            case e.TurnComplete() | e.Interrupted() | e.ErrorRaised(ends_turn=True) | e.UndoComplete():
                for key in list(self._cards):
                    self._drop(key, live=False, how="")
            case _:
                pass

    def focus_card(self) -> bool:
        """The oldest one; False when nothing waits."""
        for card in self._cards.values():
            card.focus()
            return True
        return False

    def _add(self, key: str, card: ApprovalCard | QuestionCard) -> None:
        if key in self._cards:
            self._cards.pop(key).remove()
        self._cards[key] = card
        self.mount(card)
        self.call_after_refresh(self._arrived)

    def _arrived(self) -> None:
        """The keys are the card's, unless the user is writing: nobody approves with the letter of a word."""
        self._count()
        composer = self.tui.composer
        if not composer.text.strip() and composer.has_focus:
            self.focus_card()
        elif composer.has_focus and self._cards:
            self.tui.hint("something waits for you: F2 goes there")

    def _drop(self, key: str, *, live: bool, how: str, sent_by: str | None = None) -> None:
        """``sent_by``: who decided, where the event tells."""
        card = self._cards.pop(key, None)
        if card is None:
            return
        answered_here = key in self._mine
        backend = self.tui.backend
        overtaken = backend is not None and sent_by is not None and sent_by != backend.sender
        if live and (overtaken or not answered_here):
            where = f"by {sent_by}" if sent_by else f"in {backend.owner}" if backend is not None and backend.owner else "elsewhere"
            late = " Your answer came after that, and was not taken." if answered_here else ""
            self.tui.say(f"{card.name_shown} was {how} {where}.{late}")
        self._mine.discard(key)
        had_focus = card.has_focus_within or card.has_focus
        card.remove()
        self._count()
        if had_focus and not self.focus_card():
            self.tui.composer.focus()

    def _count(self) -> None:
        for place, card in enumerate(self._cards.values(), 1):
            if card.is_mounted:
                card.counted(place, len(self._cards))

    # ── what the user decided ────────────────────────────────────────────────────────────────────────────────────────

    def on_approval_card_decided(self, message: ApprovalCard.Decided) -> None:
        message.stop()
        if message.cap_usd is not None:
            self.tui.send(op.SetAutoApproval(enabled=self._auto(), cost_cap_usd=message.cap_usd))
        self._send((message.answer,))

    def on_approval_card_all_approved(self, message: ApprovalCard.AllApproved) -> None:
        """Questions of money are never part of it."""
        from ml_intern.frontends.tui.cards.approval import ApprovalCard
        from ml_intern.frontends.tui.cards.facts import MONEY

        message.stop()
        cards = [card for card in self._cards.values() if isinstance(card, ApprovalCard) and card.tool.tool not in MONEY]
        if message.rest:
            self.tui.send(op.SetAutoApproval(enabled=True))
        self._send(tuple(op.ApprovalAnswer(tool_call_id=card.tool.tool_call_id, approved=True) for card in cards))

    def on_question_card_answered(self, message: QuestionCard.Answered) -> None:
        message.stop()
        self._mine.add(message.question_id)
        self.tui.send(op.AnswerQuestion(question_id=message.question_id, answer=message.answer))

    def on_approval_card_left(self, message: ApprovalCard.Left) -> None:
        self._left(message)

    def on_question_card_left(self, message: QuestionCard.Left) -> None:
        self._left(message)

    def _left(self, message: ApprovalCard.Left | QuestionCard.Left) -> None:
        message.stop()
        cards = list(self._cards.values())
        focused = next((index for index, card in enumerate(cards) if card.has_focus), -1)
        if message.onwards and cards:
            cards[(focused + 1) % len(cards)].focus()
        else:
            self.tui.composer.focus()

    def _send(self, answers: tuple[op.ApprovalAnswer, ...]) -> None:
        self._mine |= {answer.tool_call_id for answer in answers}
        if answers:
            self.tui.send(op.ExecApproval(approvals=answers))

    def _auto(self) -> bool:
        return self.tui.status.figures.auto_approval
