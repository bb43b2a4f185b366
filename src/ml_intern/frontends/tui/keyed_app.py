"""The app's keys reach something, whatever was just removed or is still being made; it is known when the last one came; after ``fg`` all
is drawn anew.
"""

from __future__ import annotations

import asyncio
from collections import deque

from textual import events, on
from textual.app import App
from textual.driver import Driver
from textual.message import Message

from ml_intern.frontends.calm import CALM_S

MOST_EARLY = 4_096
"""Keys and pastes that wait."""


class TakesKeys(Message):
    """From now on there is somebody to have them: a screen posts it when it is mounted."""


class KeyedApp(App[int]):
    """Looks after the focus before each key. What is typed before there is anything that could have it waits, in its order."""

    calm_s: float = CALM_S
    """Before a key decides something on a card that came by itself."""

    def __init__(self) -> None:
        super().__init__()
        self._key_at = float("-inf")
        self._early: deque[events.Event] = deque(maxlen=MOST_EARLY)

    @property
    def takes_keys(self) -> bool:
        """Whether what is on the screen can have them: one that is being opened over the first has nothing with the focus yet."""
        return len(self.screen_stack) == 1 or self.screen.is_mounted

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self._early.append(event)  # also behind those that still wait
        await self.give_keys()

    @on(TakesKeys)
    async def give_keys(self) -> None:
        """To what can have them now, in their order."""
        while self._early and self.takes_keys:
            self._key_at = asyncio.get_running_loop().time()
            self._hold_focus()
            await super().on_event(self._early.popleft())

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
