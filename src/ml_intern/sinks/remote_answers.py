"""Asks people elsewhere what a session waits for, and turns the clicks of those who may into operations. Every click is audited."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from ml_intern.config.answer_settings import AnswerSettings
from ml_intern.errors import MlInternError
from ml_intern.gateways.remote_answers import Card, Choice, Click, RemoteAnswers, Reply
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.amounts import usd
from ml_intern.protocol.call_states import DECIDED
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.display import Text
from ml_intern.protocol.invisible import marked
from ml_intern.protocol.senders import decided_words
from ml_intern.protocol.shown_call import asks_same, shown_call, warning

logger = logging.getLogger(__name__)

APPROVE, ALWAYS, REJECT, REJECT_WITH_WORDS = "approve", "approve_session", "reject", "reject_with_words"
DECLINE, IN_WORDS = "decline", "in_words"
_YES = (APPROVE, ALWAYS)
_ASKS = {REJECT_WITH_WORDS: "Why not? The model reads it.", IN_WORDS: "Your answer"}
"""Choices that open a form, and its label."""
TEXT_CHARS = 2_700
"""What fits the text of a card; of the rest its length is told."""
MOST_OPTIONS = 8
CLOSING_S = 3.0
LONGEST_NAME = 80
_LATE = "late", "That was decided already, or belongs to a session that is not open here."
_CHANGED = "changed", "What is asked has changed since that card was posted: decide on the new one."
_KEPT = "kept", "The session is about to ask that again: your answer counts then, a yes only if nothing has changed."
ASKED_ANEW = "it changed, and is asked anew"


class Waiting(Protocol):
    """What waits for an answer in the session (``SessionState``)."""

    @property
    def pending(self) -> Mapping[str, e.PendingTool]: ...

    @property
    def questions(self) -> Mapping[str, e.QuestionAsked]: ...


_Asked: TypeAlias = e.PendingTool | e.QuestionAsked


class _Posted(Struct, frozen=True, kw_only=True):
    """A card that people see. ``item`` is the id of the call or question, ``asked`` what the card shows of it.

    One that is not ``open`` stays known, so that a click that was on its way is told. ``kept``: a click that counts once it is asked again.
    """

    item: str
    asked: _Asked
    message: str
    title: str
    expires_at: datetime
    choices: frozenset[str]
    state: Literal["open", "expired", "replaced"] = "open"
    kept: Click | None = None


class AnswerDesk:
    """One session's desk. ``answer`` (whether it decided) and ``append`` are the session's; ``scrub`` takes secrets out of a text."""

    def __init__(
        self,
        service: RemoteAnswers,
        settings: AnswerSettings,
        waiting: Waiting,
        *,
        answer: Callable[[op.ExecApproval | op.AnswerQuestion], Awaitable[bool]],
        append: Callable[[e.RemoteAnswered | e.ToolLog], Awaitable[None]],
        scrub: Callable[[str], str],
        now: Callable[[], datetime],
        about: str,
    ) -> None:
        """``about`` says which session it is, for people."""
        self._service = service
        self._settings = settings
        self._waiting = waiting
        self._answer = answer
        self._append = append
        self._scrub = scrub
        self._now = now
        self._about = about
        self._posted: dict[str, _Posted] = {}
        self._expiring: set[asyncio.Task[None]] = set()
        self._working: asyncio.Task[None] | None = None

    def start(self, events: AsyncGenerator[Envelope]) -> None:
        """Returns at once. ``events`` are those from now on; what waits already is asked first."""
        self._working = asyncio.create_task(self._work(events), name="remote answers")

    async def aclose(self) -> None:
        """After the log was closed: what is open is said to be closed, within a short while."""
        if self._working is not None:
            _, late = await asyncio.wait([self._working], timeout=CLOSING_S)
            for task in late:
                task.cancel()
            await asyncio.wait([self._working])
        for task in self._expiring:
            task.cancel()
        await asyncio.gather(*self._expiring, return_exceptions=True)
        await self._service.aclose()

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _work(self, events: AsyncGenerator[Envelope]) -> None:
        try:
            await self._service.start(self.clicked)
        except MlInternError as error:
            await self._append(e.ToolLog(tool="messaging", label=f"{self._service.service} answers", log=str(error)))
            await events.aclose()
            return
        try:
            for item in (*self._waiting.pending.values(), *self._waiting.questions.values()):
                await self._ask(item)
            async for envelope in events:
                await self._read(envelope.event)
        finally:
            await events.aclose()
        for card in self._seen():
            await self._say_closed(card, "the session was closed")
        self._posted.clear()

    async def _read(self, event: e.AnyEvent) -> None:
        match event:
            case e.ApprovalRequired():
                for tool in event.tools:
                    await self._ask(tool)
            case e.QuestionAsked():
                await self._ask(event)
            case e.ToolStateChange() if event.state in DECIDED:
                await self._close(event.tool_call_id, self._decided(event.state, event.sent_by, event.note), event.sent_by)
            case e.ToolStateChange(state="changed"):  # by an edit elsewhere: it is asked anew, as it is now
                await self._replace(event.tool_call_id, event.note)
            case e.ToolFinished():
                await self._close(event.tool_call_id, "over")
            case e.QuestionAnswered():
                await self._close(event.question_id, self._decided(event.outcome_words, event.sent_by, event.answer or ""))
            case e.TurnComplete() | e.Interrupted():
                for item in {card.item for card in self._posted.values()}:
                    await self._close(item, "the turn is over")
            case _:
                pass

    async def _ask(self, item: _Asked) -> None:
        """Once; anew when it is not what is shown already. A no that was kept is to whatever it is now."""
        item_id, kept = _id(item), None
        if (before := next((card for card in self._seen() if card.item == item_id), None)) is not None:
            if _same(before.asked, item) or not _same(item, self._waits(item_id)):
                return  # it waited already when the connection was made, and its event comes after
            kept = await self._replace(item_id, ASKED_ANEW)
        key = os.urandom(12).hex()  # of this card alone: a click on an older one is not taken for it
        expires_at = self._now() + timedelta(seconds=self._settings.expires_s)
        card = self._approval(key, item, expires_at) if isinstance(item, e.PendingTool) else self._question(key, item, expires_at)
        choices = frozenset(choice.value for choice in card.choices)
        self._posted[key] = _Posted(
            item=item_id, asked=item, message="", title=card.title, expires_at=expires_at, choices=choices, kept=kept
        )
        try:
            message = await self._service.ask(card)
        except MlInternError as error:
            self._posted.pop(key, None)
            logger.warning("A question could not be asked on %s: %s", self._service.service, error)
            return
        self._posted[key] = msgspec.structs.replace(self._posted[key], message=message)
        expiring = asyncio.create_task(self._expire(key), name="a question expires")
        self._expiring.add(expiring)
        expiring.add_done_callback(self._expiring.discard)

    async def _expire(self, key: str) -> None:
        """Its buttons go."""
        await asyncio.sleep(self._settings.expires_s)
        if (card := self._posted.get(key)) is not None and card.state == "open":
            self._posted[key] = msgspec.structs.replace(card, state="expired")
            await self._say_closed(card, f"expired here {self._when()}: it can still be answered in the terminal")

    def _decided(self, how: str, sent_by: str, words: str) -> str:
        """Who, where, when, and with which words."""
        where = decided_words(sent_by) if sent_by else "in its terminal"
        said = f": {_bounded(self._scrub(words), 500)}" if words else ""
        return f"{how} {where}, {self._when()}{said}"

    def _when(self) -> str:
        return f"{self._now().astimezone():%Y-%m-%d %H:%M %Z}"

    def _approval(self, key: str, tool: e.PendingTool, expires_at: datetime) -> Card:
        """All of what will run, or no way to approve it: nobody approves what they do not see."""
        invisible, tool = warning(tool), shown_call(tool)
        code = self._scrub(msgspec.json.format(msgspec.json.encode(tool.arguments), indent=2).decode())
        limit = self._service.code_limit_chars
        text = [self._about, self._scrub(tool.block_reason or tool.reason), *_costs(tool), invisible]
        text += [_bounded(self._scrub(item.text), TEXT_CHARS // 2) for item in tool.display if isinstance(item, Text) and not item.language]
        choices = [Choice(label="Approve", value=APPROVE, style="good")]
        if self._settings.allow_remember and tool.remember_rule:
            text.append(f"Always in this session would allow: {self._scrub(tool.remember_rule)}")
            choices.append(Choice(label="Always in this session", value=ALWAYS))
        if len(code) > limit:
            left_out = f"Below are the first {limit:,} of {len(code):,} characters; {len(code) - limit:,} are left out."
            text.append(f"{left_out} What is not shown whole cannot be approved here: approve it in the terminal.")
            choices = []
        choices += [Choice(label="Reject", value=REJECT, style="bad"), Choice(label="Reject with a reason …", value=REJECT_WITH_WORDS)]
        shown = _bounded("\n".join(filter(None, text)), TEXT_CHARS)
        title = f"{tool.tool} needs an approval"
        return Card(key=key, title=title, text=f"{shown}\n{_until(expires_at)}", code=code[:limit], choices=tuple(choices))

    def _question(self, key: str, question: e.QuestionAsked, expires_at: datetime) -> Card:
        """Options as buttons, and a form for words."""
        options = question.options[:MOST_OPTIONS]
        choices = [Choice(label=self._scrub(marked(option)) or "(empty)", value=f"option_{place}") for place, option in enumerate(options)]
        more = len(question.options) - len(options)
        left_out = [f"{more} more options are in the terminal."] if more else []
        text = "\n".join([self._about, _bounded(self._scrub(marked(question.question)), TEXT_CHARS), *left_out, _until(expires_at)])
        choices += [Choice(label="In words …", value=IN_WORDS), Choice(label="No answer", value=DECLINE)]
        return Card(key=key, title="ml-intern asks", text=text, choices=tuple(choices))

    def _seen(self) -> list[_Posted]:
        """The cards that no other has replaced."""
        return [card for card in self._posted.values() if card.state != "replaced"]

    def _waits(self, item: str) -> _Asked | None:
        """What is asked now, which may be ahead of the events that were read."""
        return self._waiting.pending.get(item) or self._waiting.questions.get(item)

    async def _replace(self, item: str, outcome: str) -> Click | None:
        """What is asked is not what the card shows. A no that was kept for it goes on to the next card."""
        kept: Click | None = None
        for key in [key for key, card in self._posted.items() if card.item == item and card.state != "replaced"]:
            card = self._posted[key]
            self._posted[key] = msgspec.structs.replace(card, state="replaced", kept=None)
            await self._say_closed(card, outcome)
            if card.kept is not None and card.kept.value in _YES:
                await self._lapse(card, card.kept)
            else:
                kept = card.kept
        return kept

    async def _close(self, item: str, outcome: str, sent_by: str = "") -> None:
        """It is over; ``sent_by`` decided it, if anybody did."""
        for key in [key for key, card in self._posted.items() if card.item == item]:
            card = self._posted.pop(key)
            if card.state != "replaced":
                await self._say_closed(card, outcome)
            if card.kept is not None and self._sender(card.kept) != sent_by:
                await self._lapse(card, card.kept)

    async def _lapse(self, card: _Posted, click: Click) -> None:
        try:
            await self._append(self._audit(click, card, "lapsed"))
        except MlInternError as error:  # the session is being closed
            logger.warning("An answer on %s does not count, and that could not be noted: %s", self._service.service, error)

    async def _say_closed(self, card: _Posted, outcome: str) -> None:
        try:
            await self._service.close_card(card.message, card.title, outcome)
        except MlInternError as error:
            logger.warning("A question on %s could not be closed: %s", self._service.service, error)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def clicked(self, click: Click) -> Reply:
        """Audit a click and do what it says, if it may. One that opens a form has decided nothing yet."""
        card = self._posted.get(click.key)
        outcome, told = self._judge(click, card)
        if outcome == "taken" and click.words is None and click.value in _ASKS:
            return Reply(asks=_ASKS[click.value])
        try:
            if outcome == "taken" and card is not None:
                outcome, told = await self._answered(click, card)
            await self._append(self._audit(click, card, outcome))
        except MlInternError as error:
            return Reply(text=f"That was not taken: {error.message}")
        return Reply(text=told)

    async def _answered(self, click: Click, card: _Posted) -> tuple[str, str]:
        """The audit must not say more than what became of it."""
        if not await self._answer(self._operation(card.item, click)):
            return _LATE  # somebody was faster
        if card.item not in self._waiting.pending:
            return "taken", ""
        if (now := self._posted.get(click.key)) is not None and now.state != "replaced":
            self._posted[click.key] = msgspec.structs.replace(now, kept=click)
        return _KEPT

    def _audit(self, click: Click, card: _Posted | None, outcome: str) -> e.RemoteAnswered:
        return e.RemoteAnswered(
            service=self._service.service,
            user=click.user,
            where=click.where,
            keys=(card.item,) if card else (),
            answer=click.value if card and click.value in card.choices else "",
            outcome=outcome,
        )

    def _judge(self, click: Click, card: _Posted | None) -> tuple[str, str]:
        if click.user not in self._settings.allowed_users:
            return "foreign", "You are not on the list of who may answer (messaging.answers.allowed_users)."
        if card is None or (asked := self._waits(card.item)) is None:
            return _LATE
        if card.state == "replaced" or not _same(card.asked, asked):
            return _CHANGED
        if card.state == "expired" or self._now() >= card.expires_at:
            return "expired", "That question has expired here: answer it in the terminal."
        if click.value not in card.choices:
            return "unreadable", "That answer is none of those that were offered."
        return "taken", ""

    def _operation(self, item: str, click: Click) -> op.ExecApproval | op.AnswerQuestion:
        sender = self._sender(click)
        if (question := self._waiting.questions.get(item)) is not None:
            return op.AnswerQuestion(question_id=item, answer=_answer(question, click), sent_by=sender)
        approved = click.value in _YES
        by = f"Rejected by {click.user} on {self._service.service}"
        feedback = None if approved else f"{by}: {click.words.strip()}" if click.words and click.words.strip() else f"{by}."
        remember = "session" if click.value == ALWAYS else ""
        answer = op.ApprovalAnswer(tool_call_id=item, approved=approved, feedback=feedback, remember=remember)
        return op.ExecApproval(approvals=(answer,), sent_by=sender)

    def _sender(self, click: Click) -> str:
        name = " ".join(click.name.split())[:LONGEST_NAME]
        return f"{name} ({click.user}) on {self._service.service}" if name else f"{click.user} on {self._service.service}"


def _id(item: _Asked) -> str:
    return item.tool_call_id if isinstance(item, e.PendingTool) else item.question_id


def _same(one: _Asked, other: _Asked | None) -> bool:
    """Whether an answer to the one is an answer to the other."""
    if isinstance(one, e.PendingTool):
        return isinstance(other, e.PendingTool) and asks_same(one, other)
    return one == other


def _answer(question: e.QuestionAsked, click: Click) -> str | None:
    if click.value == DECLINE:
        return None
    return click.words or None if click.value == IN_WORDS else question.options[int(click.value.removeprefix("option_"))]


def _costs(tool: e.PendingTool) -> list[str]:
    """What it may do, its worst case, and what that leaves."""
    rows = [f"It may: {', '.join(tool.risk)}."] if tool.risk else []
    if tool.estimated_cost_usd is not None:
        rows.append(f"It costs at most {usd(tool.estimated_cost_usd)}.")
    elif "spends" in tool.risk:
        rows.append("What it costs is not known.")
    if tool.remaining_cap_usd is not None:
        rows.append(f"{usd(tool.remaining_cap_usd)} is left of the budget.")
    if tool.recurring:
        rows.append("It recurs until its schedule is deleted.")
    return rows


def _bounded(text: str, limit: int) -> str:
    left_out = len(text) - limit
    return text if left_out <= 0 else f"{text[:limit]} … ({left_out:,} characters are left out)"


def _until(expires_at: datetime) -> str:
    return f"It can be answered here until {expires_at.astimezone():%Y-%m-%d %H:%M %Z}."
