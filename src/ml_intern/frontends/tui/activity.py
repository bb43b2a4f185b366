"""One line above the composer: what is going on, and for how long."""

from __future__ import annotations

import asyncio
from functools import partial

from textual.strip import Strip
from textual.widget import Widget

from ml_intern.frontends.headless.tally import clock, tokens
from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.theme import palette_of
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope

TICK_S = 0.125
HINT_S = 6.0
CHARS_PER_TOKEN = 4
NARROW_COLUMNS = 60
"""Below it only one time is told."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_WAITING = "waiting for the model"


class ActivityLine(Widget):
    """An ``EventReader``; empty while nothing runs."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "ActivityLine { height: 1; padding: 0 1; background: $background; color: $foreground; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._doing = ""
        self._since = self._turn_since = 0.0
        self._received = 0
        self._calls: dict[str, str] = {}
        self._asked: set[str] = set()
        self._hint = ""
        self._until: tuple[type[e.AnyEvent], ...] = ()

    @property
    def busy(self) -> bool:
        """Whether a turn runs."""
        return bool(self._doing)

    def hint(self, text: str, *, until: tuple[type[e.AnyEvent], ...] = (), stays: bool = False) -> None:
        """A word to the user, until the next thing happens or some seconds have passed. One about something that goes on ends with it:
        with one of the events ``until``, or when ``unhint`` says so (``stays``)."""
        self._hint, self._until = text, until
        self.refresh()
        if not until and not stays:
            self.set_timer(HINT_S, partial(self.unhint, text))

    def unhint(self, text: str) -> None:
        """No longer true; another one stays."""
        if self._hint == text:
            self._hint, self._until = "", ()
            self.refresh()

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self._end()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        if live and self._until and isinstance(envelope.event, (*self._until, e.ErrorRaised)):
            self.unhint(self._hint)
        match event := envelope.event:
            case e.AssistantChunk() | e.ThinkingChunk():
                self._received += len(event.content)
                self._do("writing" if isinstance(event, e.AssistantChunk) else "thinking")
            case e.Processing():
                self._turn_since = self._now()
                self._do(_WAITING)
            case e.Retrying():
                self._do(f"waiting {event.delay_s:.0f} s to try again: {event.reason}")
            case e.TurnComplete() | e.Interrupted() | e.SessionShutdown():
                self._end()
            case e.ErrorRaised():
                if event.ends_turn:
                    self._end()
            case _:
                self._follow_calls(event)

    def _follow_calls(self, event: e.AnyEvent) -> None:
        match event:
            case e.ToolCalled():
                self._calls[event.tool_call_id] = event.tool
            case e.ToolFinished():
                self._calls.pop(event.tool_call_id, None)
                self._asked.discard(event.tool_call_id)
            case e.ApprovalRequired():
                self._asked.update(tool.tool_call_id for tool in event.tools)
            case e.ToolStateChange(state=state) if state != "waiting":
                self._asked.discard(event.tool_call_id)
            case e.QuestionAsked():
                self._asked.add(event.question_id)
            case e.QuestionAnswered():
                self._asked.discard(event.question_id)
            case _:
                return
        if self._doing:
            waits = [name for call, name in self._calls.items() if call not in self._asked]
            self._do("waiting for you" if self._asked else f"running {', '.join(sorted(set(waits)))}" if waits else _WAITING)

    def _do(self, doing: str) -> None:
        if doing != self._doing:
            self._since, self._hint = self._now(), ""
            self._doing = doing

    def _end(self) -> None:
        self._doing = ""
        self._received = 0
        self._calls.clear()
        self._asked.clear()
        self.refresh()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def on_mount(self) -> None:
        self.set_interval(TICK_S, self._tick)

    def _tick(self) -> None:
        if self._doing:
            self.refresh()

    def render_line(self, y: int) -> Strip:
        columns, base = self.size.width, self.rich_style
        row = self.line(self._now()) if self._doing else line(("dim", self._hint))
        return Pen(columns, palette_of(self)).line(row).apply_style(base).adjust_cell_length(columns, base)

    def line(self, now: float) -> Line:
        """What is said while a turn runs."""
        frame = "◆" if self._asked else _SPINNER[int(now / TICK_S) % len(_SPINNER)]
        times = clock(now - self._since)
        if self._turn_since < self._since and not 0 < self.size.width < NARROW_COLUMNS:
            times += f" · turn {clock(now - self._turn_since)}"
        received = f" · ~{tokens(self._received // CHARS_PER_TOKEN)} tokens" if self._received >= CHARS_PER_TOKEN else ""
        hint = self._hint or ("" if self._in_card() else "Esc interrupts")
        told = " · ".join(filter(None, (times + received, hint)))
        return line(("warn" if self._asked else "accent", f"{frame} {self._doing}"), ("dim", f" · {told}"))

    def _in_card(self) -> bool:
        """A card says itself what Esc does there."""
        focused = self.screen.focused if self.is_attached else None
        return focused is not None and any(node.has_class("card") for node in focused.ancestors_with_self)
