"""To what a line that is typed belongs: to a card only when it was begun after a calm moment under that card."""

from __future__ import annotations

from collections.abc import Callable

STALE_S = 1.5
"""After a question was answered elsewhere: what is typed meanwhile was meant for that one, not for the next."""
NEVER = float("-inf")


class Front:
    """Who types does not look: a card that has just come up gets no key, for the key was meant for what stood there before."""

    def __init__(self, clock: Callable[[], float], calm_s: float) -> None:
        self._clock = clock
        self._calm_s = calm_s
        self._card = ""
        self._since = NEVER
        self._key_at = NEVER
        self._calm = False
        self._left = ""
        self._left_at = NEVER

    def put(self, card: str, *, elsewhere: bool) -> None:
        """Another card, or none, is there now. ``elsewhere``: the one before was answered by somebody else."""
        if elsewhere:
            self._left, self._left_at = self._card, self._clock()
        self._card = card
        self._unsettle()

    def refused(self) -> None:
        """What was typed was not taken and the user told so: the next line is begun in the knowledge of it, after another calm moment."""
        self._left_at = NEVER
        self._unsettle()

    def key(self) -> None:
        """A key came; before it is calm this puts calm off."""
        if not self.calm:
            self._key_at = self._clock()

    @property
    def calm(self) -> bool:
        """Whether it was calm for long enough since the card came up. Then it stays so."""
        self._calm = self._calm or self._clock() >= max(self._since, self._key_at) + self._calm_s
        return self._calm

    @property
    def card(self) -> str:
        """What a line that begins now is about: a card's id, perhaps of one that was just answered elsewhere; empty for a message."""
        if self._clock() - self._left_at < STALE_S:
            return self._left
        return self._card if self.calm else ""

    def _unsettle(self) -> None:
        self._since, self._calm = self._clock(), False
