"""The port to services that carry a question to people and bring back what they clicked. Slack has one; others may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct


class Choice(Struct, frozen=True, kw_only=True):
    """A button."""

    label: str
    value: str
    style: Literal["", "good", "bad"] = ""


class Card(Struct, frozen=True, kw_only=True):
    """A question to people. ``text`` and ``code`` are data: shown as they are, whatever is in them."""

    key: str
    """Comes back with the click."""
    title: str
    text: str
    code: str = ""
    choices: tuple[Choice, ...]


class Click(Struct, frozen=True, kw_only=True):
    """Somebody chose. ``user`` is the service's own id of the account, as the service vouches for it; ``name`` is for people.

    ``words`` are what was written in the form that this choice opened, None before. ``form`` opens one (see ``Reply.asks``).
    """

    user: str
    where: str
    key: str
    value: str
    name: str = ""
    words: str | None = None
    form: str = ""


class Reply(Struct, frozen=True, kw_only=True):
    """``text`` is told to the one who clicked, and nobody else; ``asks`` opens a form for words of theirs, under that label."""

    text: str = ""
    asks: str = ""


OnClick: TypeAlias = Callable[[Click], Awaitable[Reply]]
"""What becomes of a click."""


class RemoteAnswers(Protocol):
    """One connection to a service. Methods raise ``ServiceError``, and ``start`` also ``ConfigError``."""

    @property
    def service(self) -> str:
        """Its name, for the audit."""
        ...

    @property
    def code_limit_chars(self) -> int:
        """How much of ``Card.code`` a message shows whole."""
        ...

    async def start(self, on_click: OnClick) -> None:
        """Connect; from now on clicks arrive, one at a time."""
        ...

    async def ask(self, card: Card) -> str:
        """Show the card. Returns the id of the message."""
        ...

    async def close_card(self, message: str, title: str, outcome: str) -> None:
        """Take the buttons away and say what became of it."""
        ...

    async def aclose(self) -> None:
        """Hang up."""
        ...
