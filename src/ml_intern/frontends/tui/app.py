"""The app: it reads the session's events into its parts, and takes the user's operations to the session."""

from __future__ import annotations

import asyncio
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.worker import WorkerFailed

from ml_intern.config.keys import DEFAULT_KEYS
from ml_intern.config.load import LoadedSettings
from ml_intern.errors import MlInternError
from ml_intern.frontends.first_run.due import has_key
from ml_intern.frontends.headless.options import PATIENCE
from ml_intern.frontends.own_errors import is_anothers_error
from ml_intern.frontends.tui.activity import LEAVES, ActivityLine
from ml_intern.frontends.tui.app_parts import AppParts
from ml_intern.frontends.tui.cards.dock import CardDock
from ml_intern.frontends.tui.composer.composer import Composer
from ml_intern.frontends.tui.key_names import keys_of, told_key
from ml_intern.frontends.tui.outbox import Outbox
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op

if TYPE_CHECKING:
    from ml_intern.frontends.tui.backend import Backend, EventReader, Opening
    from ml_intern.frontends.tui.commands.recall import Recall
    from ml_intern.protocol.codec import Envelope

QUIT_WINDOW_S = 2.0
"""Within this time a second Ctrl-C, or Ctrl-D, leaves; as long it is said."""
SLICE_S = 0.008
"""How long events are read at a stretch: between two stretches keys are handled."""

MODEL_NEWS = (e.Ready, e.LlmCall, e.ModelSwitched, e.ResumedFrom, e.Compacted, e.TurnComplete)
"""Events after which the size of the window may be known, or another one."""


class TuiApp(AppParts):
    """``opening`` opens the session; the app closes it. Returns the exit code."""

    quit_window_s: float = QUIT_WINDOW_S

    class Started(Message):
        """There is a composer now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(DEFAULT_KEYS["interrupt"], "interrupt", "Interrupt", id="interrupt", show=False),
        Binding(DEFAULT_KEYS["stop"], "stop", "Copy, interrupt or clear the text; twice: leave", id="stop", show=False, priority=True),
        Binding(DEFAULT_KEYS["suspend"], "suspend_process", "Suspend (fg comes back)", id="suspend", show=False, priority=True),
        Binding(DEFAULT_KEYS["leave"], "leave", "Leave; twice while a turn runs or a card waits", id="leave", show=False),
        Binding(DEFAULT_KEYS["cards"], "cards", "Go to what waits for you", id="cards", show=False, priority=True),
        Binding(DEFAULT_KEYS["page_up"], "scroll(-1)", "Scroll up", id="page_up", show=False, priority=True),
        Binding(DEFAULT_KEYS["page_down"], "scroll(1)", "Scroll down", id="page_down", show=False, priority=True),
        Binding(DEFAULT_KEYS["to_end"], "to_end", "Back to the end of the conversation", id="to_end", show=False, priority=True),
        Binding(DEFAULT_KEYS["fold"], "fold", "Fold or unfold details", id="fold", show=False, priority=True),
    ]

    def __init__(self, opening: Opening, loaded: LoadedSettings, *, theme_name: str = "", first: str = "") -> None:
        """``first``: a command that is run as soon as the session is open."""
        super().__init__(loaded, theme_name=theme_name)
        self._first = first
        self._opening = opening
        self._backend: Backend | None = None
        self._unopened: MlInternError | None = None
        self._outbox = Outbox(self._not_taken)
        self._readers: list[EventReader] = []
        self._armed = ("", float("-inf"))
        self._leaving = False
        self._started = False

    # ── the parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def backend(self) -> Backend | None:
        """The session's host, once it is open."""
        return self._backend

    @property
    def unopened(self) -> MlInternError | None:
        """Why there is no session; None where there is one, or one is being opened."""
        return self._unopened

    @property
    def sender(self) -> str:
        """The name of this terminal in a session that it has joined; else empty."""
        return "" if self._backend is None else self._backend.sender

    @cached_property
    def recall(self) -> Recall:
        """What commands tell of the session."""
        from ml_intern.frontends.tui.commands.recall import Recall

        return Recall()

    def on_mount(self) -> None:
        settings = self.loaded.settings
        self.set_keymap({action: ",".join(keys_of(settings, action)) for action in settings.keys})
        self.composer.focus()
        self.call_after_refresh(self._start)

    @property
    def takes_keys(self) -> bool:
        """See ``KeyedApp``."""
        return self._started and super().takes_keys

    async def on_tui_app_started(self) -> None:
        await self.give_keys()  # here, so that nothing is drawn between them and what waits for the drawing
        # it imports much: what was typed is on the screen before; the first refresh may have begun without it
        self.composer.call_after_refresh(self.composer.call_after_refresh, self._open_session)

    def _start(self) -> None:
        self._started = True
        self.post_message(self.Started())

    def _open_session(self) -> None:
        self._readers[:0] = self._parts_that_read()
        self.run_worker(self._read_session, name="session", exclusive=False)
        self.ask_terminal()

    def _parts_that_read(self) -> list[EventReader]:
        """In their order, ahead of those that were added meanwhile. Without a session there is nothing to read: some are imported here."""
        from ml_intern.frontends.tui.cards.attention import Attention
        from ml_intern.frontends.tui.take_over import TakeOver
        from ml_intern.frontends.tui.transcript import Transcript

        return [
            self.recall,
            self.waiting_lines,
            Transcript(self.conversation, lambda: self.sender),
            TakeOver(self),
            self.query_one(CardDock),
            self.query_one(ActivityLine),
            self.status,
            self.welcome,
            self.sight,
            Attention(self, self.loaded.settings.terminal_notifications),
        ]

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_reader(self, reader: EventReader) -> None:
        """One more part that reads events, from the next one on."""
        self._readers.append(reader)

    async def _read_session(self) -> None:
        try:
            backend = self._backend = await self._opening()
        except MlInternError as error:
            self._not_opened(error)
            return
        self._outbox.open(backend)
        keep = True
        try:
            while (moved := await self._read_one(backend, keep=keep)) is not None:
                keep = isinstance(moved, e.NewComplete) and not moved.clear_screen
        except MlInternError as error:  # the store: what follows cannot be shown
            self.say(error.message, hint=error.hint, bad=True)
        self.waiting_lines.given_up()

    def _not_opened(self, error: MlInternError) -> None:
        """What was sent in the meantime is the user's again."""
        self._unopened = error
        self.status.missing = "no session" if has_key(self.loaded) else "no model"
        self.say(error.message, hint=error.hint, bad=True)
        for operation in self._outbox.take_back():
            self._refuse(operation, error)

    def reopen(self, loaded: LoadedSettings) -> None:
        """Try once more to open the session, with settings that may have what was missing."""
        self.loaded, self._unopened = loaded, None
        self.status.missing = ""
        self.run_worker(self._read_session, name="session", exclusive=False)

    async def _read_one(self, backend: Backend, *, keep: bool) -> e.AnyEvent | None:
        """Read one session from its first event; returns the first event of another one that took its place."""
        session, last = backend.session_id, backend.state.last_seq
        for reader in self._readers:
            reader.begin(keep=keep)
        loop = asyncio.get_running_loop()
        slice_ends = loop.time() + SLICE_S
        async for envelope in backend.events(after_seq=0):
            if envelope.session != session:
                return envelope.event
            self._tell(envelope, live=envelope.seq is None or envelope.seq > last)
            if envelope.seq == last:
                self.status.takes(backend.context_window)
                self.conversation.show_changes()
                self._begin_with_first()
            if loop.time() > slice_ends:
                await asyncio.sleep(0)
                slice_ends = loop.time() + SLICE_S
        return None

    def _begin_with_first(self) -> None:
        first, self._first = self._first, ""
        if first:
            from ml_intern.frontends.tui.commands.catalog import dispatch

            dispatch(self, first)

    def _tell(self, envelope: Envelope, *, live: bool) -> None:
        if is_anothers_error(envelope.event, self.sender):
            return
        for reader in self._readers:
            reader.read(envelope, live=live)
        if live and isinstance(envelope.event, MODEL_NEWS) and self._backend is not None:
            self.status.takes(self._backend.context_window)

    # ── the user ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, operation: op.AnyOperation) -> None:
        """To the session, as soon as it is open. Where it could not be opened, a model opens it, and all else is refused."""
        if isinstance(operation, op.New | op.Resume):  # a fork goes on with the same conversation
            self.composer.shell.forget()
        match operation, self._unopened:
            case _, None:
                if isinstance(operation, op.UserInput):
                    self.waiting_lines.sent(operation)
                self._outbox.send(operation)
            case op.SwitchModel(), _:
                self.reopen(self.loaded.with_model(operation.model))
            case op.New(), _:
                self.reopen(self.loaded)
            case _, error:
                self._refuse(operation, error)

    def _refuse(self, operation: op.AnyOperation, error: MlInternError) -> None:
        if isinstance(operation, op.UserInput):
            self._put_back(operation)
            hint = "/setup takes a key, /model chooses a model, /new tries once more."
            self.say("Not sent: there is no session. Your text is in the composer.", hint=hint, bad=True)
        elif not isinstance(operation, op.Interrupt):
            self._complain(error)

    def _not_taken(self, operation: op.AnyOperation, error: MlInternError) -> None:
        """By the session that is open: what was said is the user's again."""
        if isinstance(operation, op.UserInput):
            self._put_back(operation)
        self._complain(error)

    def _put_back(self, message: op.UserInput) -> None:
        if not self.waiting_lines.unsent(message):
            self.composer.put_back(message.text)

    def _complain(self, error: MlInternError) -> None:
        self.say(error.message, hint=error.hint, bad=True)

    async def on_composer_submitted(self, message: Composer.Submitted) -> None:
        from ml_intern.frontends.tui.commands.catalog import dispatch

        self.conversation.to_end()  # what was sent, and what comes of it, is seen
        if not dispatch(self, message.text):
            self.send(op.UserInput(text=message.text, images=message.images))

    def action_interrupt(self) -> None:
        self.send(op.Interrupt())

    def action_stop(self) -> None:
        """Ctrl-C copies what is selected. Else the first stops a shell line, clears the composer or interrupts the turn, and a second one
        soon after leaves."""
        if self.copy_selection():
            return
        if self._pressed_again("stop"):
            self.leave()
            return
        again = f"{told_key(self.loaded.settings, 'stop')}{LEAVES}"
        if self.composer.shell.running:
            self.composer.shell.stop()
        elif self._stop_clears and (dropped := self.composer.drop()) != "nothing":
            again = f"↑ brings it back · {again}" if dropped == "kept" else again
        else:
            self.send(op.Interrupt())
        self.hint(again, seconds=self.quit_window_s)

    @property
    def _stop_clears(self) -> bool:
        """While a turn runs it is what Ctrl-C stops, unless it waits for the user, who is writing."""
        waits = self.query_one(CardDock).waiting > 0 and self.composer.has_focus
        return len(self.screen_stack) == 1 and (waits or not self.figures.turn_running)

    def action_leave(self) -> None:
        """At rest at once. While something runs or waits, one key too many must not end it: a second one soon after leaves."""
        at_rest = not self.figures.turn_running and self.query_one(CardDock).waiting == 0
        if at_rest or self._pressed_again("leave"):
            self.leave()
        else:
            self.hint(f"{told_key(self.loaded.settings, 'leave')}{LEAVES}", seconds=self.quit_window_s)

    def _pressed_again(self, action: str) -> bool:
        """Whether it was pressed just before, or the app leaves already; else this was the first of two."""
        now = asyncio.get_running_loop().time()
        before, at = self._armed
        if self._leaving or (before == action and now - at < self.quit_window_s):
            return True
        self._armed = (action, now)
        return False

    def leave(self, code: int = 0) -> None:
        """Close the session and end with this exit code; asked again, end without waiting for the session any longer."""
        if self._leaving:
            self.exit(code)
            return
        self._leaving = True
        self.hint(f"closing the session · {told_key(self.loaded.settings, 'stop')} leaves at once")
        self.run_worker(partial(self._close_and_exit, code), name="closing")

    async def _close_and_exit(self, code: int) -> None:
        await self._outbox.aclose()
        if self._backend is not None:
            await self._backend.aclose()
        self.exit(code)

    async def on_unmount(self) -> None:
        """Textual waits for this; the terminal is still ours."""
        await self._outbox.aclose()
        if self._backend is not None:
            closing = asyncio.ensure_future(self._backend.aclose())
            done, _ = await asyncio.wait([closing], timeout=PATIENCE.close_s)
            for task in done:
                task.result()

    @property
    def failure(self) -> Exception | None:
        """What ended the app, if not its user."""
        error = self._exception
        return error.error if isinstance(error, WorkerFailed) and isinstance(error.error, Exception) else error

    def _fatal_error(self) -> None:
        """Textual would print every local variable, secrets among them: ``run_app`` raises ``failure``, and ``cli.main`` tells of it."""
        self._close_messages_no_wait()
