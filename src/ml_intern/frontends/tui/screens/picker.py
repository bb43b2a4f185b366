"""Choosing one of many: type to search, arrows to move, Enter to take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ml_intern.frontends.headless.text import Line, lines
from ml_intern.frontends.sanitize import plain
from ml_intern.frontends.tui.own_keys import OrderedInput
from ml_intern.frontends.tui.screens.columns import Cells, Column, laid_out, widths
from ml_intern.frontends.tui.screens.frame import FramedScreen
from ml_intern.frontends.tui.screens.search import best
from ml_intern.frontends.tui.screens.styled import content

if TYPE_CHECKING:
    from textual.signal import Signal

Value = TypeVar("Value")
ROW_PADDING = 2
KEYS = ("↑↓ move · Enter take · Esc leave", "Enter take · Esc", "⏎ Esc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Generic[Value]):
    """``row`` stands in the list, ``words`` are searched, ``about`` is shown beside it."""

    value: Value
    words: str
    row: Line = ()
    cells: Cells = ()
    """In place of ``row``, where the picker has columns."""
    about: tuple[Line, ...] = ()


class Picker(FramedScreen[Value | None], Generic[Value]):
    """``None`` when the user leaves it. ``head`` is a row above the list."""

    columns: ClassVar[tuple[Column, ...]] = ()
    """Of what has ``cells``."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False, priority=True),
        Binding("up,ctrl+p", "move('cursor_up')", show=False, priority=True),
        Binding("down,ctrl+n", "move('cursor_down')", show=False, priority=True),
        Binding("pageup", "move('page_up')", show=False, priority=True),
        Binding("pagedown", "move('page_down')", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Picker Input { padding: 0 1; margin: 0 0 1 0; background: $surface; }
    Picker Input:focus { background: $surface; }
    Picker #head { height: auto; color: $foreground 60%; padding: 0 1; }
    Picker #panes { height: 1fr; layout: vertical; }
    Picker OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    Picker OptionList { height: 1fr; border: none; padding: 0; background: $background; scrollbar-size-vertical: 1; }
    Picker OptionList > .option-list--option { padding: 0 1; }
    Picker #about { height: 9; max-height: 50%; border-top: solid $primary 40%; padding: 0 1; scrollbar-size-vertical: 1; }
    Picker .frame { max-width: 170; }
    Picker.-wide #panes { layout: horizontal; }
    Picker.-wide #about { height: 1fr; max-height: 100%; width: 40%; border-top: none; border-left: solid $primary 40%; }
    """

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice[Value]] = (),
        *,
        head: str = "",
        at: Value | None = None,
        empty: str = "Nothing is there.",
        search: str = "",
    ) -> None:
        super().__init__()
        self._title = title
        self._choices = tuple(choices)
        self._shown: tuple[Choice[Value], ...] = ()
        self._head = head
        self._at = at
        self._empty = empty
        self._search = search
        self._moved_there = False
        self._room = 0
        """Cells of a row, once there is a list on the screen."""
        self._wide: tuple[int, ...] = ()
        self._rows: dict[int, Content] = {}
        """In columns, of those that were offered, by identity."""

    @property
    def key_lines(self) -> Sequence[str]:
        return KEYS

    def compose(self) -> ComposeResult:
        with Vertical(classes="frame") as frame:
            frame.border_title = Content(plain(self._title))
            yield OrderedInput(self._search, placeholder="Type to search", compact=True)
            if self._head:
                yield Static(Content(self._head), id="head")
            with Container(id="panes"):
                yield OptionList()
                with VerticalScroll(id="about", can_focus=False):
                    yield Static()

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        self.query_one(Input).focus()
        self.filter()
        laid_out_now = cast("Signal[object]", self.screen_layout_refresh_signal)  # pyright: ignore[reportUnknownMemberType]  # of any screen
        laid_out_now.subscribe(self, lambda _: self._fit())

    def _fit(self) -> None:
        """The rows to the room that there is; the cursor stays."""
        listed = self.query_one(OptionList)
        room = listed.content_region.width - ROW_PADDING - listed.styles.scrollbar_size_vertical
        if room == self._room:
            return
        self._room = room
        if self.columns:
            self._rows.clear()
            for place, row in enumerate(self._drawn()):
                listed.replace_option_prompt_at_index(place, row)

    # ── choices ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def query_text(self) -> str:
        """What is searched for."""
        return self.query_one(Input).value.strip()

    @property
    def chosen(self) -> Choice[Value] | None:
        """The one that the cursor is on."""
        place = self.query_one(OptionList).highlighted
        return self._shown[place] if place is not None and place < len(self._shown) else None

    def offer(self, choices: Sequence[Choice[Value]], *, empty: str | None = None) -> None:
        """Other choices; the cursor stays where the user put it, if that is still there, and until then goes to what it was meant for."""
        if self._moved_there and (now := self.chosen) is not None:
            self._at = now.value
        self._choices = tuple(choices)
        self._rows.clear()
        self._empty = self._empty if empty is None else empty
        if self.is_mounted:
            self.filter()

    def order(self, query: str, choices: Sequence[Choice[Value]]) -> list[Choice[Value]]:
        """Those that fit, the best first."""
        return best(query, choices, key=lambda choice: choice.words)

    def filter(self) -> None:
        """Show what fits the search."""
        query = self.query_text
        self._shown = tuple(self.order(query, self._choices)) if query else self._choices
        place = 0 if query else next((i for i, choice in enumerate(self._shown) if choice.value == self._at), 0)
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(row) for row in self._drawn()])
        listed.highlighted = place if self._shown else None
        if not self._shown:
            self.tell_about(lines("Nothing fits." if self._choices and query else self._empty, "dim"))

    def _drawn(self) -> list[Content]:
        """What is shown, as rows: each is made once for the room that there is."""
        if not self._rows:
            self._wide = widths(self.columns, [choice.cells for choice in self._choices if choice.cells], self._room or sys.maxsize)
        for choice in self._shown:
            if choice.cells and id(choice) not in self._rows:
                self._rows[id(choice)] = content([laid_out(self.columns, choice.cells, self._wide, self._room)])
        return [self._rows[id(choice)] if choice.cells else content([choice.row]) for choice in self._shown]

    @on(Input.Changed)
    def _typed(self) -> None:
        self.filter()
        self.searched(self.query_text)

    def searched(self, query: str) -> None:
        """The user searches for something else."""

    # ── the cursor ───────────────────────────────────────────────────────────────────────────────────────────────────

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        if (choice := self.chosen) is not None:
            self.tell_about(choice.about)
            self.looked_at(choice)

    def looked_at(self, choice: Choice[Value]) -> None:
        """The cursor came to it."""

    def tell_about(self, rows: Sequence[Line]) -> None:
        """What stands beside the list."""
        pane = self.query_one("#about", VerticalScroll)
        pane.query_one(Static).update(content(rows))
        pane.scroll_home(animate=False)

    def action_move(self, how: str) -> None:
        self._moved_there = True
        listed = self.query_one(OptionList)
        moves: dict[str, Callable[[], None]] = {
            "cursor_up": listed.action_cursor_up,
            "cursor_down": listed.action_cursor_down,
            "page_up": listed.action_page_up,
            "page_down": listed.action_page_down,
        }
        moves[how]()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def take(self) -> None:
        """The one that the cursor is on."""
        if (choice := self.chosen) is not None:
            self.dismiss(choice.value)

    def action_leave(self) -> None:
        self.dismiss(None)
