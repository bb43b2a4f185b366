"""Ctrl+R: a text of the history, by words of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ml_intern.config.keys import DEFAULT_KEYS
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.composer.history import History
from ml_intern.frontends.tui.key_names import told_key
from ml_intern.frontends.tui.own_keys import OrderedInput
from ml_intern.frontends.tui.screens.frame import FramedScreen


class HistorySearch(FramedScreen[str | None]):
    """Returns the text, or None. It stands where the composer is; the newest text first."""

    DEFAULT_CSS = """
    HistorySearch { align: center bottom; background: $background 50%; }
    HistorySearch .frame, HistorySearch.-narrow .frame { width: 100%; max-width: 100%; height: auto; max-height: 80%; }
    HistorySearch OptionList { height: auto; max-height: 14; border: none; padding: 0; background: $background; }
    HistorySearch OptionList { text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1; }
    HistorySearch OptionList > .option-list--option { padding: 0 1; }
    HistorySearch .none { display: none; padding: 0 1; color: $foreground 60%; }
    HistorySearch Input, HistorySearch Input:focus { padding: 0 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", show=False),
        Binding("down", "move(1)", "Older", show=False, priority=True),
        Binding(DEFAULT_KEYS["search_history"], "move(1)", "Older", id="search_history", show=False, priority=True),
        Binding("up", "move(-1)", "Newer", show=False, priority=True),
    ]

    def __init__(self, history: History, query: str = "") -> None:
        super().__init__()
        self._history = history
        self._query = query
        self._found: list[str] = []

    @property
    def key_lines(self) -> Sequence[str]:
        key = told_key(self.tui.loaded.settings, "search_history")
        return f"↑↓ {key} move · Enter take · Esc leave", f"↑↓ {key} · Enter take · Esc", "Enter take · Esc", "⏎ Esc"

    def compose(self) -> ComposeResult:
        with Vertical(classes="frame") as frame:
            frame.border_title = Content("What you sent before")
            yield Static(classes="none")
            yield OptionList()
            yield OrderedInput(value=self._query, placeholder="Type words of it", compact=True)

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        self.query_one(Input).focus()
        self._show(self._query)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show(event.value)

    @on(Input.Submitted)
    def _taken(self, event: Input.Submitted) -> None:
        event.stop()
        index = self.query_one(OptionList).highlighted
        self.dismiss(self._found[index] if index is not None and self._found else None)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._found[event.option_index])

    def action_move(self, rows: int) -> None:
        options = self.query_one(OptionList)
        if self._found and options.highlighted is not None:
            options.highlighted = (options.highlighted + rows) % len(self._found)

    def _show(self, query: str) -> None:
        self._found = self._history.matching(query)
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(Content(one_line(text)[:200])) for text in self._found])
        options.highlighted = 0 if self._found else None
        none = self.query_one(".none", Static)
        none.update(Content(f"Nothing fits '{one_line(query)[:60]}'." if query.strip() else "Nothing was sent yet."))
        none.display, options.display = not self._found, bool(self._found)
