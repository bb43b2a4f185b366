"""Fields to write in: keys take effect in the order in which they were typed, and on characters as people know them (``graphemes.py``).

Textual gives letters to the widget at once, but looks up bindings (Backspace, arrows) only when the key has gone up to the app: letters
typed fast overtake them. What is written into therefore does what its own bindings say as soon as it has the key.
"""

from __future__ import annotations

from textual import events
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, TextArea
from textual.widgets.input import Selection

from ml_intern.frontends.tui.graphemes import end_after, start_before

JOINERS = "\u200c\u200d"
"""They are typed within emoji, and within words of Persian or Hindi. Textual writes only what is printable."""


async def obeyed(widget: Widget, event: events.Key) -> bool:
    """Whether one of the widget's own bindings was for this key; then it is done, and goes no further."""
    if isinstance(widget, Input | TextArea) and event.character and event.character in JOINERS:
        _write(widget, event.character)
        event.prevent_default()
        event.stop()
        return True
    writes = isinstance(widget, Input | TextArea) and event.is_printable
    active = None if writes else widget.screen.active_bindings.get(event.key)
    if active is None or active.node is not widget or active.binding.priority:
        return False
    if not await widget.app.run_action(active.binding.action, widget):  # pyright: ignore[reportUnknownMemberType]  # an app of whatever result
        return False
    event.prevent_default()
    event.stop()
    return True


def _write(field: Input | TextArea, text: str) -> None:
    if isinstance(field, Input):
        field.insert_text_at_cursor(text)
    else:
        field.insert(text)


class OrderedInput(Input):
    """One line."""

    cursor_blink = reactive(False, init=False)
    """An app that waits for somebody draws nothing."""

    async def _on_key(self, event: events.Key) -> None:
        await obeyed(self, event)

    def action_cursor_left(self, select: bool = False) -> None:
        if select or self.selection.is_empty:
            self._go_to(start_before(self.value, self.cursor_position), select=select)
        else:
            super().action_cursor_left()

    def action_cursor_right(self, select: bool = False) -> None:
        if select or (self.selection.is_empty and not self.cursor_at_end):
            self._go_to(end_after(self.value, self.cursor_position), select=select)
        else:
            super().action_cursor_right()

    def _go_to(self, position: int, *, select: bool) -> None:
        self.selection = Selection(self.selection.start if select else position, position)

    def action_delete_left(self) -> None:
        if self.selection.is_empty:
            self.delete(start_before(self.value, self.cursor_position), self.cursor_position)
        else:
            super().action_delete_left()

    def action_delete_right(self) -> None:
        if self.selection.is_empty:
            self.delete(self.cursor_position, end_after(self.value, self.cursor_position))
        else:
            super().action_delete_right()


class OrderedTextArea(TextArea):
    """Several lines."""

    cursor_blink = reactive(False, init=False)
    """As in ``OrderedInput``."""

    async def _on_key(self, event: events.Key) -> None:
        await obeyed(self, event)

    def get_cursor_left_location(self) -> tuple[int, int]:
        row, column = self.cursor_location
        return (row, start_before(self.document[row], column)) if column else super().get_cursor_left_location()

    def get_cursor_right_location(self) -> tuple[int, int]:
        row, column = self.cursor_location
        line = self.document[row]
        return (row, end_after(line, column)) if column < len(line) else super().get_cursor_right_location()
