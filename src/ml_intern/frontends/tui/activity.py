"""One line above the composer: what is going on, and for how long."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from ml_intern.frontends.headless.text import Line, Style, line, width
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.moments import moment
from ml_intern.frontends.tui.theme import palette_of
from ml_intern.protocol import events as e
from ml_intern.protocol.amounts import clock, count_text
from ml_intern.protocol.codec import Envelope

TICK_S = 0.125
SLOW_TICK_S = 1.0
"""Where nothing turns, as while the user is waited for, or where nobody looks: only the seconds change."""
HINT_S = 6.0
CHARS_PER_TOKEN = 4
NARROW_COLUMNS = 60
"""Below it only one time is told."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_WAITING = "waiting for the model"
ASKED = "waiting for you"
RUNNING = "running "
KEYS_OF_BLOCKS = "↑↓ choose a block · Enter unfold · c copy · o open · Esc: write"
"""While the conversation has the keys."""
LEAVES = " again leaves"
"""Ends a hint that holds for its time, whatever happens meanwhile."""
_SHORT: Mapping[str, str] = MappingProxyType({_WAITING: "waiting", ASKED: "your turn"})
"""Where there is little room."""


class ActivityLine(Widget):
    """An ``EventReader``; empty while nothing runs."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "ActivityLine { height: 1; padding: 0 1; background: $background; color: $foreground; }"

    def __init__(self, interrupt_key: str = "Esc", *, id: str | None = None) -> None:
        """``interrupt_key``: the name of the one that interrupts the turn."""
        super().__init__(id=id)
        self._interrupt_key = interrupt_key
        self._doing = ""
        self._since = self._turn_since = self._at = 0.0
        self._received = 0
        self._calls: dict[str, str] = {}
        self._asked: set[str] = set()
        self._hint = ""
        self._until: tuple[type[e.AnyEvent], ...] = ()
        self._beating: Timer | None = None
        self._live = True

    @property
    def busy(self) -> bool:
        """Whether a turn runs."""
        return bool(self._doing)

    def hint(self, text: str, *, until: tuple[type[e.AnyEvent], ...] = (), stays: bool = False, seconds: float = HINT_S) -> None:
        """A word to the user, until the next thing happens or some seconds have passed. One about something that goes on ends with it:
        with one of the events ``until``, or when ``unhint`` says so (``stays``)."""
        self._hint, self._until = text, until
        self.refresh()
        if not until and not stays:
            self.set_timer(seconds, partial(self.unhint, text))

    def unhint(self, text: str) -> None:
        """No longer true; another one stays."""
        if self._hint == text:
            self._hint, self._until = "", ()
            self.refresh()

    def on_mount(self) -> None:
        self.watch(self.screen, "focused", self._keys_moved, init=False)

    def _keys_moved(self) -> None:
        self.refresh()

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self._live = True
        self._end()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        self._live, self._at = live, moment(envelope, live=live)
        if live and self._until and isinstance(envelope.event, (*self._until, e.ErrorRaised)):
            self.unhint(self._hint)
        match event := envelope.event:
            case e.AssistantChunk() | e.ThinkingChunk():
                self._received += len(event.content)
                self._do("writing" if isinstance(event, e.AssistantChunk) else "thinking")
            case e.Processing():
                self._turn_since = self._at
                self._do(_WAITING)
            case e.Retrying():
                self._do(f"waiting {event.delay_s:.0f} s to try again: {event.reason}")
            case e.TurnComplete() | e.Interrupted() | e.SessionShutdown() | e.ConnectionChanged(over=True):
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
            self._do(ASKED if self._asked else f"{RUNNING}{', '.join(sorted(set(waits)))}" if waits else _WAITING)

    def _do(self, doing: str) -> None:
        if doing != self._doing:
            self._since = self._at
            if not self._hint.endswith(LEAVES):  # as long as the key counts, it is said
                self._hint = ""
            self._doing = doing
            self._changed()

    def _end(self) -> None:
        self._doing = ""
        self._received = 0
        self._calls.clear()
        self._asked.clear()
        self._changed()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def pause_s(self) -> float:
        """Until the row changes by itself. A terminal that does not tell of its focus counts as looked at."""
        return SLOW_TICK_S if self._asked or not self.app.app_focus else TICK_S  # pyright: ignore[reportUnknownMemberType]

    def _changed(self) -> None:
        """Now where it happens now; of a past that is read, with the next beat."""
        if self._live:
            self._beat()
        elif self._beating is None and self.is_attached:
            self._beating = self.set_timer(self.pause_s, self._beat)

    def _beat(self) -> None:
        """Draw the row now, and again as long as a turn runs: an idle app sleeps."""
        self.refresh()
        if self._beating is not None:
            self._beating.stop()
        self._beating = self.set_timer(self.pause_s, self._beat) if self._doing and self.is_attached else None

    def render_line(self, y: int) -> Strip:
        columns, base = self.size.width, self.rich_style
        row = self.line(self._now()) if self._doing else line(("dim", self._hint or self._keys_there("")))
        return Pen(columns, palette_of(self)).line(row).apply_style(base).adjust_cell_length(columns, base)

    def line(self, now: float) -> Line:
        """What is said while a turn runs."""
        frame = "◆" if self._asked else _SPINNER[int(now / TICK_S) % len(_SPINNER)]
        style: Style = "warn" if self._asked else "accent"
        room = self.size.width or sys.maxsize
        rows = [line((style, f"{frame} {doing}"), ("dim", " · ".join(("", *told)))) for doing, told in self._wordings(now)]
        return next((row for row in rows if width("".join(text for _, text in row)) <= room), rows[-1])

    def _wordings(self, now: float) -> Iterator[tuple[str, list[str]]]:
        """What is going on, and what is told of it: the longest first. What interrupts it is told as long as there is room for anything."""
        times, turn = clock(now - self._since), clock(now - self._turn_since) if self._turn_since < self._since else ""
        count = count_text(self._received // CHARS_PER_TOKEN) if self._received >= CHARS_PER_TOKEN else ""
        interrupts = f"{self._interrupt_key} interrupts"
        hint = self._hint or self._keys_there(interrupts)
        few = self._interrupt_key if hint == interrupts else hint
        doing, short = self._doing, _SHORT.get(self._doing, self._doing)
        if turn and not 0 < self.size.width < NARROW_COLUMNS:
            yield doing, _some(times, f"turn {turn}", count and f"~{count} tokens", hint)
        yield doing, _some(times, count and f"~{count} tokens", hint)
        yield doing, _some(times, count and f"~{count}", hint)
        yield short, _some(times, hint)
        if short.startswith(RUNNING):
            short = f"{short.count(',') + 1} calls" if "," in short else short.removeprefix(RUNNING)
        yield short, _some(times, hint)
        yield short, _some(times, few)
        yield short, [times]

    def _keys_there(self, in_composer: str) -> str:
        """Of what has the keys; a card says itself which it has."""
        focused = self.screen.focused if self.is_attached else None
        if focused is None or not any(node.has_class("card") for node in focused.ancestors_with_self):
            return KEYS_OF_BLOCKS if focused is not None and focused.id == "conversation" else in_composer
        return ""


def _some(*parts: str) -> list[str]:
    return [part for part in parts if part]
