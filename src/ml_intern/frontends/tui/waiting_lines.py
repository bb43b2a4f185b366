"""Messages that were sent and have not arrived: they wait for the next step, or for the end of the turn."""

from __future__ import annotations

from textual.strip import Strip
from textual.widget import Widget

from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.frontends.tui.theme import palette_of
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.ran_words import without_ran_words

MOST_ROWS = 4


class WaitingLines(Widget):
    """An ``EventReader``; no row while nothing waits. A session that was joined tells of a message in the same events."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "WaitingLines { height: 0; padding: 0 1; background: $background; color: $foreground; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sent: list[op.UserInput] = []
        """Handed to the session and not heard of since, oldest first. It tells of them in this order, with secrets taken out."""
        self._lost: list[op.UserInput] = []
        """Given back when the process died that had them."""
        self._later: tuple[str, ...] = ()
        self._kept: tuple[str, ...] = ()
        self._drawn: list[Line] = []
        self._begun = False
        self._running = False

    def sent(self, message: op.UserInput) -> None:
        """A message goes to the session; while a turn runs it waits there."""
        self._sent.append(message)
        self._changed()

    def unsent(self, message: op.UserInput) -> bool:
        """The session did not take it: it is the user's again, once. False when it did not wait here any more."""
        waited = any(one is message for one in self._sent)
        if waited:
            self._sent = [one for one in self._sent if one is not message]
            self._put_back([message.text])
            self._changed()
        return waited or any(one is message for one in self._lost)

    def given_up(self) -> None:
        """Nothing more will be heard: the store has failed, or the session is closed. What it had not said to have is the user's again."""
        own, self._sent, self._running = self._sent, [], False
        self._put_back([*(one.text for one in own), *own_app(self).composer.queue.take_all()])
        self._changed()

    @property
    def kept(self) -> tuple[str, ...]:
        """What no log holds yet, and would be lost with this process: what the process of a joined session has is not."""
        return (*(() if own_app(self).sender else tuple(one.text for one in self._sent)), *self._later)

    def keep_back(self, texts: tuple[str, ...]) -> None:
        """What waits for the end of the turn, oldest first."""
        self._later = texts
        self._changed()

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``. What was sent before the first session was open is for that one."""
        if self._begun:
            self._sent.clear()
        self._begun, self._running = True, False
        self._changed()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        match event := envelope.event:
            case e.Processing():
                self._running = True
            case e.UserMessageAdded(sent_by=sender) if live and sender == own_app(self).sender:
                del self._sent[:1]
            case e.ErrorRaised(kind="HookBlocked") if live:
                del self._sent[:1]
                self._running = self._running and not event.ends_turn
            case e.Interrupted() | e.TurnComplete() | e.ErrorRaised(ends_turn=True):
                self._running = False
                if live and isinstance(event, e.Interrupted):
                    self._give_back(event)
            case e.SessionShutdown() if live:
                self._sent.clear()
            case e.ConnectionChanged(over=True) if live:
                self._lose()
            case _:
                return
        self._changed()

    def _give_back(self, event: e.Interrupted) -> None:
        """What the interrupt kept from being read, and what was to follow: nothing is sent unasked, nothing is lost."""
        unread = [one.content for one in event.unread if one.sent_by == own_app(self).sender]
        own, self._sent = self._sent[: len(unread)], self._sent[len(unread) :]
        self._put_back([*(one.text for one in own), *unread[len(own) :], *own_app(self).composer.queue.take_all()])

    def _lose(self) -> None:
        """The process of a joined session took with it what it had not read; where it was only left, it reads that in time."""
        app, self._running = own_app(self), False
        own, self._sent = self._sent, []
        if app.backend is not None and app.backend.vacated:
            self._lost = own
            self._put_back([*(one.text for one in own), *app.composer.queue.take_all()])

    def _put_back(self, texts: list[str]) -> None:
        if texts:
            own_app(self).composer.put_back("\n".join(texts))

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self) -> list[Line]:
        """The newest last; of many the oldest are counted."""
        steering = [message.text for message in self._sent] if self._running else []
        told = [("handed over, read at the next step", without_ran_words(text)) for text in steering] + [
            ("waits for the end of the turn", without_ran_words(text)) for text in self._later
        ]
        more = len(told) - MOST_ROWS
        shown = told[-(MOST_ROWS - 1) :] if more > 0 else told
        rows = [line(("dim", f"↳ {how}: {' '.join(text.split())}")) for how, text in shown]
        if self._later:
            last = " ".join(without_ran_words(self._later[-1]).split())
            rows[-1] = line(("dim", f"↳ waits for the end of the turn (↑ takes it back): {last}"))
        return [line(("dim", f"↳ {more + 1} more")), *rows] if more > 0 else rows

    def _changed(self) -> None:
        if (rows := self.rows()) != self._drawn:  # a past that is read changes nothing here, thousands of times
            self._drawn = rows
            self.styles.height = len(rows)
            self.refresh()
        if self.kept != self._kept:
            self._kept = self.kept
            own_app(self).composer.save_draft()

    def render_line(self, y: int) -> Strip:
        columns, base, rows = self.size.width, self.rich_style, self._drawn
        row = Pen(columns, palette_of(self)).line(rows[y]) if y < len(rows) else Strip.blank(columns, base)
        return row.apply_style(base).adjust_cell_length(columns, base)
