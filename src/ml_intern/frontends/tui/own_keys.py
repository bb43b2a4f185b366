"""Keys in the order in which they were typed.

Textual gives letters to the widget at once, but looks up bindings (Backspace, arrows) only when the key has gone up to the app: letters
typed fast overtake them. What is written into therefore does what its own bindings say as soon as it has the key.
"""

from __future__ import annotations

from textual import events
from textual.widget import Widget
from textual.widgets import Input, TextArea


async def obeyed(widget: Widget, event: events.Key) -> bool:
    """Whether one of the widget's own bindings was for this key; then it is done, and goes no further."""
    writes = isinstance(widget, Input | TextArea) and event.is_printable
    active = None if writes else widget.screen.active_bindings.get(event.key)
    if active is None or active.node is not widget or active.binding.priority:
        return False
    if not await widget.app.run_action(active.binding.action, widget):  # pyright: ignore[reportUnknownMemberType]  # an app of whatever result
        return False
    event.prevent_default()
    event.stop()
    return True


class OrderedInput(Input):
    """One line."""

    async def _on_key(self, event: events.Key) -> None:
        await obeyed(self, event)


class OrderedTextArea(TextArea):
    """Several lines."""

    async def _on_key(self, event: events.Key) -> None:
        await obeyed(self, event)
