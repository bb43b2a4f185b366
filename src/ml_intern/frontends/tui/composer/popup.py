"""The list of suggestions above the composer. The composer keeps the focus and tells it what to do."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.composer.suggestions import Suggestion


class Popup(OptionList, can_focus=False):
    """Hidden while there is nothing to offer."""

    DEFAULT_CSS = """
    Popup { height: auto; max-height: 9; border: none; background: $panel; display: none; padding: 0 1; }
    Popup.-open { display: block; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._suggestions: Sequence[Suggestion] = ()

    @property
    def is_open(self) -> bool:
        """Whether something is offered."""
        return self.has_class("-open")

    @property
    def chosen(self) -> Suggestion | None:
        """The one under the cursor."""
        if not self.is_open or self.highlighted is None:
            return None
        return self._suggestions[self.highlighted]

    def offer(self, suggestions: Sequence[Suggestion]) -> None:
        """In place of what was offered before; nothing closes it."""
        self._suggestions = suggestions
        self.set_class(bool(suggestions), "-open")
        self.clear_options()
        widest = max((len(each.label) for each in suggestions), default=0)
        for each in suggestions:
            detail = f"  {one_line(each.detail)}" if each.detail else ""
            self.add_option(Option(Content(f"{one_line(each.label):<{min(widest, 40)}}{detail}")))
        if suggestions:
            self.highlighted = 0

    def move(self, rows: int) -> None:
        """Up or down, around at the ends."""
        if self._suggestions and self.highlighted is not None:
            self.highlighted = (self.highlighted + rows) % len(self._suggestions)
