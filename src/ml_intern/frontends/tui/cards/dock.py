"""Where cards stand that wait for the user: between the conversation and the composer, one at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from ml_intern.frontends.own_errors import is_anothers_error
from ml_intern.frontends.tui.key_names import told_key
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.call_states import DECIDED
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.invisible import marked
from ml_intern.protocol.question_events import words_of_refusal
from ml_intern.protocol.senders import OWNER_DECIDED, decided_words

if TYPE_CHECKING:
    from textual.signal import Signal

    from ml_intern.frontends.tui.app import TuiApp
    from ml_intern.frontends.tui.cards.approval import ApprovalCard
    from ml_intern.frontends.tui.cards.card import Card
    from ml_intern.frontends.tui.cards.question import QuestionCard

TOLD_BY_THE_TURN = ("set aside", "cancelled", "interrupted", "not answered")
"""Unless somebody else did it."""
TIGHT_ROWS = 9
"""With less room a card has no frame."""
OTHERS_ROWS = 6
"""With less room there is no line for the cards that are not seen."""
KEYS_ARE_HERE = "Esc: write here"
"""In the composer, while a card has the keys."""
KEPT_ROWS = 4
"""Of the conversation, where there is room."""


class CardDock(Vertical):
    """An ``EventReader``: mounts a card for what waits, removes it when it is decided, here or elsewhere."""

    DEFAULT_CSS = """
    CardDock { height: 0; background: $background; }
    CardDock > .others { display: none; height: 1; padding: 0 1; color: $warning; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._cards: dict[str, ApprovalCard | QuestionCard] = {}
        self._others = Static(classes="others")
        self._shown = ""
        """The key of the one that is seen whole."""
        self._sent: dict[str, bool] = {}
        """Decided here (whether by a yes), and not confirmed yet: a second key for it has nothing to decide."""
        self._mine: set[str] = set()
        """What was decided here: its end needs no telling."""

    def compose(self) -> ComposeResult:
        yield self._others

    def on_mount(self) -> None:
        laid_out = cast("Signal[object]", self.screen.screen_layout_refresh_signal)  # pyright: ignore[reportUnknownMemberType]  # of any screen
        laid_out.subscribe(self, lambda _: self.fit())

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
        self._mine.clear()
        self._sent.clear()
        self._drop(tuple(self._cards))

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
            case e.ToolStateChange(state=state) as change if state in DECIDED:
                how = words_of_refusal(change.reason) if state == "rejected" else "set aside" if state == "abandoned" else state
                self._over(change.tool_call_id, how, change.sent_by, live=live, rule=change.rule)
            case e.ToolFinished(tool_call_id=key):
                self._drop((key,))
            case e.QuestionAnswered(question_id=key, sent_by=sent_by) as ended:
                self._over(key, ended.outcome_words, sent_by, live=live)
            case e.ErrorRaised(ends_turn=False, error=why) as error:
                if not is_anothers_error(error, self.tui.sender):
                    self._refused(why)
            case e.TurnComplete() | e.Interrupted() | e.ErrorRaised(ends_turn=True) | e.UndoComplete() | e.ConnectionChanged(over=True):
                self._drop(tuple(self._cards))
            case _:
                pass

    def _refused(self, why: str) -> None:
        """What was sent may have been: the cards take keys again."""
        from ml_intern.frontends.tui.cards.edited_card import EditedCard

        for card in (self._cards[key] for key in self._sent.keys() & self._cards.keys()):
            if isinstance(card, EditedCard):
                card.refused(why)
        self._mine -= self._sent.keys()
        self._sent.clear()

    # ── which card is seen, and who has the keys ─────────────────────────────────────────────────────────────────────

    def focus_card(self) -> bool:
        """By the user's own wish, so its keys count at once; False when nothing waits."""
        if not self._cards:
            return False
        self._cards[self._shown].start_over()
        self._go_to(self._shown, by_itself=False)
        return True

    @on(events.DescendantFocus)
    def _keys_come(self) -> None:
        self.tui.composer.placeholder = KEYS_ARE_HERE

    def _go_to(self, key: str, *, by_itself: bool) -> None:
        card = self._cards[key]
        card.calm_from = self.tui.calm_from(self._now()) if by_itself else float("-inf")
        self._show(key)
        self.screen.set_focus(card)

    def _show(self, key: str) -> None:
        self._shown = key
        for other, card in self._cards.items():
            card.display = other == key
        self._tell_others()
        self.fit()

    def _tell_others(self) -> None:
        """Those that are not seen, in one line."""
        names = [f"{card.name_shown}{card.price_words}" for key, card in self._cards.items() if key != self._shown]
        self._tell_costs()
        for place, card in enumerate(self._cards.values(), 1):
            card.counted(place, len(self._cards))
        self._others.update(Content(f"{len(names)} more waiting (Tab): {', '.join(names)}"))

    def _tell_costs(self) -> None:
        from ml_intern.frontends.tui.cards.approval import ApprovalCard
        from ml_intern.frontends.tui.cards.facts import MONEY, together

        cards = [card for card in self._cards.values() if isinstance(card, ApprovalCard) and card.tool.tool not in MONEY]
        words = together([card.tool for card in cards]) if len(cards) > 1 else ""
        for card in cards:
            card.costs_together(words)

    def fit(self) -> None:
        """As many rows as the card would like, as long as all around it is seen too."""
        card = self._cards.get(self._shown)
        if card is None or not self.is_mounted:
            self.styles.height = 0
            return
        around = sum(widget.outer_size.height for widget in self.screen.query("#activity, #composer, #status, Popup") if widget.display)
        room = self.screen.size.height - around
        card.set_class(room < TIGHT_ROWS, "-tight")
        others = len(self._cards) > 1
        room -= KEPT_ROWS if room > 3 * KEPT_ROWS else 1
        self._others.display = others = others and room >= OTHERS_ROWS  # with less, their number is in the title
        self.styles.height = max(min(card.rows(self.size.width or self.screen.size.width) + others, room), 1)

    def on_card_resized(self) -> None:
        self.fit()

    def _add(self, key: str, card: ApprovalCard | QuestionCard) -> None:
        before = self._cards.get(key)
        if before is None or not before.asks_same(card):  # else a resumed turn asks again, and what was sent counts
            approved = self._sent.pop(key, True)  # asked anew: a yes that was sent has decided nothing, a no holds whatever it is now
            if approved:
                self._mine.discard(key)
            for other in self._cards.values():
                if other.has_class("-asks"):  # an Enter would be to more than what it asked about
                    other.start_over()
        had_focus = before is not None and before.has_focus_within
        if before is not None:
            self._same(before, card)
        self._cards[key] = card
        card.display = False
        self.mount(card, before=self._others)
        self._show(key if had_focus or not self._shown else self._shown)
        if before is not None:
            before.display = False
            if had_focus:
                self.screen.set_focus(card)
            before.remove()
        if not had_focus:
            self._wait_for_calm(self._now())

    def _same(self, before: Card, card: Card) -> None:
        """Asked again: what was asked before keeps its keys, unless it is something else now."""
        if before.asks_same(card):
            card.calm_from, card.why_calm = before.calm_from, before.why_calm
        else:
            card.calm_from, card.why_calm = self.tui.calm_from(self._now()), "It has changed"

    def _wait_for_calm(self, since: float) -> None:
        """The keys become the card's when nobody is typing: what is typed until then goes to the composer, and decides nothing."""
        composer = self.tui.composer
        if not self._cards or not composer.has_focus:
            return
        left = self.tui.calm_from(since) - self._now()
        if left > 0:
            self.set_timer(left, lambda: self._wait_for_calm(since))
        elif composer.text.strip():
            self.tui.hint(f"something waits for you: {told_key(self.tui.loaded.settings, 'cards')} goes there")
        else:
            self._go_to(self._shown, by_itself=False)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # ── what is over ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _over(self, key: str, how: str, sent_by: str, *, live: bool, rule: str = "") -> None:
        """``sent_by``: who decided, where the event tells; ``rule``: what decided it, granted for another call. What nobody decided is
        told by the end of its call or turn.
        """
        card = self._cards.get(key)
        if card is None:
            return
        answered_here, backend = key in self._mine, self.tui.backend
        overtaken = backend is not None and sent_by != "" and sent_by != backend.sender
        news = rule != "" or overtaken or not (answered_here or sent_by)
        if live and news and (how not in TOLD_BY_THE_TURN or overtaken):
            where = f"too: {marked(rule)} is always allowed now" if rule else decided_words(sent_by) if sent_by else self._elsewhere
            late = " Your answer came after that, and was not taken." if answered_here else ""
            self.tui.say(f"{card.name_shown} was {how} {where}.{late}")
        self._drop((key,))

    @property
    def _elsewhere(self) -> str:
        backend = self.tui.backend
        return OWNER_DECIDED if backend is not None and backend.owner else "elsewhere"

    def _drop(self, keys: tuple[str, ...]) -> None:
        """All at once, and the focus goes only to what stays: a widget that is gone takes every key with it."""
        gone = [self._cards.pop(key) for key in keys if key in self._cards]
        if not gone:
            return
        self._mine.difference_update(keys)
        for key in keys:
            self._sent.pop(key, None)
        had_focus = any(card.has_focus_within for card in gone)
        if self._shown not in self._cards:
            self._shown = next(iter(self._cards), "")
        if self._shown:
            self._show(self._shown)
        if had_focus and self._shown:
            self._go_to(self._shown, by_itself=True)
        elif had_focus:
            self.screen.set_focus(self.tui.composer)
        for card in gone:
            card.remove()
        if not self._cards:
            self._tell_others()
            self.fit()

    # ── what the user decided ────────────────────────────────────────────────────────────────────────────────────────

    def on_approval_card_decided(self, message: ApprovalCard.Decided) -> None:
        message.stop()
        if message.cap_usd is not None:
            figures = self.tui.status.figures
            self.tui.send(op.SetAutoApproval(enabled=figures.yolo, scope=figures.yolo_scope, cost_cap_usd=message.cap_usd))
        self._send((message.answer,))

    def on_approval_card_all_approved(self, message: ApprovalCard.AllApproved) -> None:
        """Questions of money are never part of it. ``rest``: what this turn still calls, too."""
        from ml_intern.frontends.tui.cards.approval import ApprovalCard
        from ml_intern.frontends.tui.cards.facts import MONEY

        message.stop()
        cards = [card for card in self._cards.values() if isinstance(card, ApprovalCard) and card.tool.tool not in MONEY]
        if message.rest:
            self.tui.send(op.SetAutoApproval(enabled=True, scope="turn"))
            self.tui.say(
                "Until this turn ends nothing more is asked, up to the cap: recurring jobs still ask.", hint="/yolo off asks again."
            )
        self._send(tuple(op.ApprovalAnswer(tool_call_id=card.tool.tool_call_id, approved=True) for card in cards))

    def on_question_card_answered(self, message: QuestionCard.Answered) -> None:
        message.stop()
        self._mine.add(message.question_id)
        self.tui.send(op.AnswerQuestion(question_id=message.question_id, answer=message.answer))

    def on_card_left(self, message: Card.Left) -> None:
        message.stop()
        keys = list(self._cards)
        if message.onwards and keys:
            self._go_to(keys[(keys.index(self._shown) + 1) % len(keys)], by_itself=False)
        else:
            self.screen.set_focus(self.tui.composer)

    def _send(self, answers: tuple[op.ApprovalAnswer, ...]) -> None:
        new = tuple(answer for answer in answers if answer.tool_call_id not in self._sent)
        sent = {answer.tool_call_id: answer.approved for answer in new}
        self._mine |= sent.keys()
        self._sent |= sent
        if new:
            self.tui.send(op.ExecApproval(approvals=new))
