"""The app's keys reach something, whatever was just removed; it is known when the last one came; after ``fg`` all is drawn anew."""

from __future__ import annotations

import asyncio

from textual import events, on
from textual.app import App
from textual.driver import Driver

from ml_intern.frontends.calm import CALM_S


class KeyedApp(App[int]):
    """Looks after the focus before each key."""

    calm_s: float = CALM_S
    """Before a key decides something on a card that came by itself."""
    _key_at: float = float("-inf")

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self._key_at = asyncio.get_running_loop().time()
            self._hold_focus()
        await super().on_event(event)

    @on(Driver.SignalResume)
    def _draw_anew(self) -> None:
        """Textual does so after ``suspend``; after a signal it thinks that what it drew is still there."""
        self.refresh(layout=True)

    @property
    def confirm_calm_s(self) -> float:
        """Before Enter says yes to what the user's own key asked: it need only be no part of the same burst."""
        return self.calm_s / 2

    def calm_from(self, since: float) -> float:
        """When it will have been calm for long enough after this time, in the event loop's, and after the last key."""
        return max(since, self._key_at) + self.calm_s

    def _hold_focus(self) -> None:
        """A key that is sent to a widget that is gone is lost, and with it all that the app itself would have done with it."""
        screen, focused = self.screen, self.focused
        if focused is not None and focused.is_attached and focused.is_running and focused.screen is screen:
            return
        composers = screen.query("#composer")
        screen.set_focus(composers.first() if composers else next(iter(screen.focus_chain), None))
