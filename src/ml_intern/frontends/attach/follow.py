"""Follows a session that another process has open, and hands on what is typed: messages, and answers to what waits."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from msgspec.structs import replace

from ml_intern.errors import MlInternError
from ml_intern.frontends.attach.cards import approval_card, chosen, question_card
from ml_intern.frontends.attach.front import Front
from ml_intern.frontends.attach.keyboard import LONGEST_LINE
from ml_intern.frontends.attach.views import View
from ml_intern.frontends.calm import CALM_S
from ml_intern.frontends.headless.text import line
from ml_intern.frontends.own_errors import is_anothers_error
from ml_intern.protocol import operations as op
from ml_intern.protocol.call_states import DECIDED
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import (
    ApprovalRequired,
    ConnectionChanged,
    QuestionAnswered,
    QuestionAsked,
    ToolStateChange,
    UserMessageAdded,
)
from ml_intern.protocol.senders import OWNER_DECIDED, decided_words
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.entrance import TOO_LONG
from ml_intern.session.message_length import too_long
from ml_intern.session.state import SessionState

DONE, FAILED = 0, 1
YES, NO = ("y", "yes"), ("n", "no")
IDLE = "Enter sends a message · Ctrl-C leaves, the session goes on · /help"
RUNNING = "Enter sends: it reaches the model at its next step · Esc interrupts · Ctrl-C leaves, the turn goes on"
WAITING = "y approves · n rejects · words reject and tell the model why · Ctrl-C leaves, it goes on waiting"
ASKED = "type the answer, or its number · - declines · Ctrl-C leaves, it goes on waiting"
SOON = "one moment: what is typed now was meant for something else · Ctrl-C leaves"
IN_A_FILE = "Save it to a file of the working folder and name that in the message."
CLEARS = "Ctrl-U clears the line."
WATCHING = "watching only · Ctrl-C leaves"
HELP = """\
A line is the session's next message; while a turn runs it reaches the model at its next step.
/interrupt (or Esc)  stops the turn      /quit (or Ctrl-C, Ctrl-D)  leaves; the session goes on in its process"""


class Joined(Protocol):
    """What this frontend uses of a session (``session/remote.py``)."""

    @property
    def session_id(self) -> str: ...

    @property
    def state(self) -> SessionState: ...

    @property
    def busy(self) -> bool: ...

    @property
    def context_window(self) -> int | None: ...

    @property
    def sender(self) -> str: ...

    async def submit(self, operation: op.AnyOperation) -> None: ...

    def events(self, *, after_seq: int | None = None) -> AsyncIterator[Envelope]: ...

    async def aclose(self) -> None: ...


class Follower:
    """``run`` until the session ends or the user leaves. A ``Typist``."""

    def __init__(
        self, host: Joined, view: View, *, answers: bool, clock: Callable[[], float] | None = None, calm_s: float = CALM_S
    ) -> None:
        """``answers``: somebody is at the keyboard and may take part, so that what waits is asked here too."""
        self._host = host
        self._view = view
        self._answers = answers
        self._front = Front(clock or asyncio.get_running_loop().time, calm_s)
        self._asked = ""
        self._refused = ""
        """What was typed and not taken, if it would be as a message."""
        self._own: set[str] = set()
        self._joined_at_seq = host.state.last_seq
        self._code = DONE
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, *, after_seq: int) -> int:
        """The exit code: 0 when the session ended or was left, 1 when its process died, 128 + n for a signal other than Ctrl-C."""
        try:
            async for envelope in self._host.events(after_seq=after_seq):
                await self._tell(envelope)
                if (envelope.seq or 0) >= self._joined_at_seq or envelope.seq is None:
                    self._ask()
        finally:
            for task in self._tasks:
                task.cancel()
        return self._code

    @property
    def hint(self) -> str:
        """What can be done now."""
        state = self._host.state
        if not self._answers:
            return WATCHING
        if self._waits and not self._front.calm:
            return SOON
        if self._asked in state.pending:
            return WAITING
        return ASKED if self._asked in state.questions else RUNNING if self._host.busy else IDLE

    # ── what is typed ────────────────────────────────────────────────────────────────────────────────────────────────

    def key(self) -> None:
        """See ``Typist``."""
        self._front.key()

    @property
    def about(self) -> str:
        """See ``Typist``."""
        return self._front.card

    def decides(self, text: str, about: str) -> bool:
        """See ``Typist``."""
        return self._answers and text.lower() in ("y", "n") and about == self._asked and about in self._host.state.pending

    def typed(self, text: str, about: str | None = None) -> bool:
        """See ``Typist``. ``about`` is None where whole lines come, of which nobody knows when they were begun."""
        text = text.strip()
        if not text or not self._answers:
            return True
        if text.startswith("/"):
            self._command(text)
        elif (self.about if about is None else about) != (self._asked if self._waits else ""):
            return self._not_for_this(text, about)
        else:
            return self._take(text)
        return True

    def full(self) -> None:
        """See ``Typist``."""
        self._say(
            f"More came than the {LONGEST_LINE:,} characters that the line holds: Enter sends no part of a message. {IN_A_FILE} {CLEARS}"
        )

    @property
    def _waits(self) -> bool:
        return self._asked in self._host.state.pending or self._asked in self._host.state.questions

    def _not_for_this(self, text: str, about: str | None) -> bool:
        """It was begun for something else: nobody approves with a word that they were in the middle of, or rejects with a message."""
        again, self._refused = text == self._refused and self._front.calm, ""
        if again:
            return self._send(text)
        drop = about is None or text.lower() in (*YES, *NO)
        elsewhere = bool(self.about if about is None else about)
        why = "while the question before was answered elsewhere" if elsewhere else "before this had stood here for a moment"
        if drop:
            self._say(f"That came {why}, so it was not taken. Once more, please.")
        else:
            self._refused = text
            aside = ", and sets aside what waits" if self._waits else ""
            self._say(f"That was begun {why}, so it answers nothing. Enter again sends it as a message{aside} · Ctrl-U clears it.")
        self._front.refused()
        return drop

    def _take(self, text: str) -> bool:
        if (pending := self._host.state.pending.get(self._asked)) is not None:
            approved = text.lower() in YES
            feedback = None if approved or text.lower() in NO else text
            answer = op.ApprovalAnswer(tool_call_id=pending.tool_call_id, approved=approved, feedback=feedback)
            self._answer(op.ExecApproval(approvals=(answer,)))
        elif question := self._host.state.questions.get(self._asked):
            self._answer(op.AnswerQuestion(question_id=question.question_id, answer=chosen(question, text)))
        else:
            return self._send(text)
        return True

    def _send(self, text: str) -> bool:
        """False for a message that the model would not get whole: nothing of it is sent."""
        message = op.UserInput(text=text)
        if problem := too_long(message, window=self._host.context_window, used=self._host.state.context_tokens):
            self._say(f"The message was not sent. {problem.words} {TOO_LONG} {CLEARS}")
            return False
        if self._host.busy:
            self._say("Sent: it reaches the model at its next step.")
        self._submit(message)
        return True

    def escape(self) -> None:
        """See ``Typist``: interrupt what runs."""
        if self._answers and self._host.busy:
            self._say("Interrupting.")
            self._submit(op.Interrupt())

    def _command(self, text: str) -> None:
        match text:
            case "/interrupt":
                self.escape()
            case "/quit" | "/exit":
                self.leave()
            case _:
                words = (
                    ""
                    if text == "/help"
                    else f"{text} is a command of the app: ml-intern --resume {short_id(self._host.session_id)} joins there.\n"
                )
                self._view.say([line(("dim", f"· {row}")) for row in (words + HELP).splitlines()])

    def on_signal(self, number: signal.Signals) -> None:
        """Every signal leaves; the session is not touched."""
        if number != signal.SIGINT:
            self._code = 128 + number
        self.leave()

    def leave(self) -> None:
        """End ``run``."""
        self._spawn(self._host.aclose())

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _tell(self, envelope: Envelope) -> None:
        match event := envelope.event:
            case ApprovalRequired() | QuestionAsked() if self._answers:
                return  # asked one by one, and only while they wait
            case _ if is_anothers_error(event, self._host.sender):
                return
            case ConnectionChanged() if event.state == "gone":
                self._code = FAILED
            case ToolStateChange() if event.state in DECIDED:
                note = f": {event.note}" if event.note else ""
                self._tell_decision(event.tool_call_id, f"{event.tool} {event.state}", event.sent_by, note)
                if event.arguments is None:
                    return
                envelope = replace(envelope, event=replace(event, state="changed", note="as edited"))  # what runs now
            case QuestionAnswered() if self._answers:
                self._tell_decision(event.question_id, event.outcome_words, event.sent_by, f": {event.answer}" if event.answer else "")
                return
            case UserMessageAdded() if event.sent_by == self._host.sender:
                envelope = replace(envelope, event=replace(event, sent_by=""))
            case _:
                pass
        await self._view.show(envelope)

    def _tell_decision(self, key: str, what: str, sent_by: str, note: str) -> None:
        own = sent_by == self._host.sender
        where = "" if own or not self._answers else f" {decided_words(sent_by) if sent_by else OWNER_DECIDED}"
        late = " Your answer came after that, and was not taken." if key in self._own and not own else ""
        self._view.say([line(("dim", f"  {what}{where}{note}{late}"))])

    def _ask(self) -> None:
        """The first that waits, once."""
        if not self._answers:
            return
        state = self._host.state
        if self._waits:
            return
        before, self._asked = self._asked, next(iter((*state.pending, *state.questions)), "")
        if before != self._asked:
            self._front.put(self._asked, elsewhere=bool(before) and before not in self._own)
        if pending := state.pending.get(self._asked):
            self._view.say(approval_card(pending))
        elif question := state.questions.get(self._asked):
            self._view.say(question_card(question))

    def _say(self, text: str) -> None:
        self._view.say([line(("dim", f"· {text}"))])

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, operation: op.AnyOperation) -> None:
        self._own.add(self._asked)
        self._submit(operation)

    def _submit(self, operation: op.AnyOperation) -> None:
        self._spawn(self._hand_on(operation))

    async def _hand_on(self, operation: op.AnyOperation) -> None:
        try:
            await self._host.submit(operation)
        except MlInternError as error:
            self._view.say([line(("bad", f"✗ {error}"))])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
