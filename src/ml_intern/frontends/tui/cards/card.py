"""What cards have in common: a title, a body that scrolls, and below it the row of keys, which is always seen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from ml_intern.frontends.tui.cells import wrapped
from ml_intern.frontends.tui.composer.composer import Composer
from ml_intern.frontends.tui.key_names import told_key
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.frontends.tui.own_keys import OrderedInput, obeyed
from ml_intern.frontends.tui.selected_rows import follow_pointer
from ml_intern.protocol.amounts import counted

SHORT_COLUMNS, NARROW_COLUMNS = 72, 50
"""Below the one keys are told in one word each, below the other the title leaves its key out."""
MOVES = frozenset({"scroll_body", "next_card", "leave"})
"""Actions that decide nothing: their keys count at once, held down as well."""


class CardBody(VerticalScroll, can_focus=False):
    """Says when another part of it is seen."""

    class Moved(Message):
        """Scrolled, or of another size."""

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())
        self.call_after_refresh(follow_pointer, self.screen)

    def on_resize(self) -> None:
        self.post_message(self.Moved())

    @property
    def below(self) -> int:
        """Rows that are not seen yet."""
        return max(round(self.max_scroll_y - self.scroll_y), 0)


class Card(Vertical, can_focus=True):
    """It decides nothing itself: it says what the user decided."""

    DEFAULT_CSS = """
    Card { height: 1fr; border: round $warning; padding: 0 1; background: $surface; }
    Card:focus-within { border: round $primary; }
    Card.-tight { border: none; }
    Card > CardBody { height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Card > .title { height: 1; text-style: bold; color: $warning; text-wrap: nowrap; text-overflow: ellipsis; }
    Card > .keys { height: auto; color: $foreground 60%; }
    Card.-asks > .keys { color: $warning; text-style: bold; }
    Card > OrderedInput { display: none; }
    Card.-words > OrderedInput { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_body(-1)", "Up", show=False),
        Binding("down", "scroll_body(1)", "Down", show=False),
        Binding("pageup", "scroll_body(-10)", "Page up", show=False),
        Binding("pagedown", "scroll_body(10)", "Page down", show=False),
        Binding("tab", "next_card", "The next card", show=False),
        Binding("escape", "leave", "Back to the composer; it decides nothing", show=False),
    ]

    class Left(Message):
        """Back to the composer, or with ``onwards`` to the next card."""

        def __init__(self, *, onwards: bool) -> None:
            super().__init__()
            self.onwards = onwards

    class Resized(Message):
        """It may need more rows, or fewer."""

    def __init__(self) -> None:
        super().__init__(classes="card")
        self.calm_from = float("-inf")
        """In the event loop's time: keys before it decide nothing, for the card came under the user's fingers by itself."""
        self.why_calm = "This is the next card"
        self.price_words = ""
        """After its name, where others wait too."""
        self.by_key = ""
        """The last one that counted."""
        self.scrolled = CardBody()
        self.words = OrderedInput(compact=True)
        self._title, self._keys = Static(classes="title"), Static(classes="keys")
        self._counter = ""
        self._of = 1
        self._said = ""

    @abstractmethod
    def body(self) -> Widget:
        """What is shown."""

    def editors(self) -> Iterable[Widget]:
        """What else is between the body and the keys."""
        return ()

    @abstractmethod
    def body_rows(self, columns: int) -> int:
        """How many rows that takes."""

    @property
    @abstractmethod
    def name_shown(self) -> str:
        """What it is about."""

    @abstractmethod
    def key_words(self, columns: int) -> str:
        """The keys that the card has now, and what they do, in words that are made for so many columns."""

    def asks_same(self, other: Card) -> bool:
        """Whether the other one, which takes its place, asks for the same."""
        return self.name_shown == other.name_shown

    @property
    def field(self) -> Widget | None:
        """Where words are written now, if they are."""
        return self.words if self.has_class("-words") else None

    def compose(self) -> ComposeResult:
        yield self._title
        with self.scrolled:
            yield self.body()
        yield self.words
        yield from self.editors()
        yield self._keys

    # ── how many rows ────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, columns: int) -> int:
        """What the card would like to have."""
        inner = max(columns - (2 if self.has_class("-tight") else 4), 4)
        frame = 0 if self.has_class("-tight") else 2
        return frame + 1 + self.body_rows(inner - 1) + self.has_class("-words") + len(self._key_rows(inner))

    def _key_rows(self, columns: int) -> list[str]:
        before = "" if self._said or self.has_focus_within else f"{told_key(own_app(self).loaded.settings, 'cards')} decides it · "
        return wrapped(before + (self._said or self.key_words(columns)), columns)

    def show_keys(self) -> None:
        """Draw the row of keys as it is now."""
        if self.is_mounted:
            self._keys.update(Content("\n".join(self._key_rows(max(self.content_size.width, 4)))))
            self.post_message(self.Resized())

    def say(self, text: str) -> None:
        """In place of the keys, until the next change."""
        self._said = text
        self.show_keys()

    def counted(self, place: int, of: int) -> None:
        """Which of those that wait this is."""
        self._counter, self._of = (f"[{place}/{of}] " if of > 1 else ""), of
        self.show_title()
        self.show_keys()

    def show_title(self) -> None:
        """With what is not seen of the body."""
        if self.is_mounted:
            below = self.scrolled.below
            has_keys = self.screen.focused is self  # has_focus is set only after our handler of Focus
            by = " PgDn" if has_keys and self.content_size.width >= NARROW_COLUMNS else ""  # what it is about goes first
            more = f"{counted(below, 'more line')} ↓{by} · " if below and not self.has_class("-editing") else ""
            self._title.update(Content(f"{self._counter}{more}{self.name_shown}{self.price_words if self._of > 1 else ''}"))

    def on_mount(self) -> None:
        self.show_title()
        self.show_keys()

    @on(CardBody.Moved)
    def _body_moved(self, message: CardBody.Moved) -> None:
        message.stop()
        self.show_title()

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @on(events.Focus)
    @on(events.Blur)
    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    @on(events.Resize)
    def _keys_moved(self) -> None:
        self.show_title()
        self.show_keys()

    async def _on_key(self, event: events.Key) -> None:
        """In the order in which they were typed: a letter that was on its way when the focus moved goes where the focus is."""
        receiver, active = self.field or self.screen.focused, self.screen.active_bindings.get(event.key)
        sends = event.key == "enter" and isinstance(receiver, Composer)
        if receiver not in (None, self) and (event.is_printable or sends or (active is not None and active.node is receiver)):
            event.prevent_default()
            event.stop()
            receiver.post_message(events.Key(event.key, event.character))
        elif not self.has_focus:
            return
        elif event.is_printable and not self._is_card_key(event):
            event.prevent_default()
            event.stop()
            self._write_on(event)
        elif self._decides(event.key) and (why := self._why_early(event)):
            event.prevent_default()
            event.stop()
            self.say(why)
            if not self.has_class("-asks"):  # that stays: the next key answers it, or takes it back
                self.set_timer(own_app(self).calm_s, lambda: self.say(""))
        else:
            self.by_key = event.key
            await obeyed(self, event)

    async def _on_paste(self, event: events.Paste) -> None:
        if self.has_focus:
            event.prevent_default()
            event.stop()
            self._write_on(event)

    def _is_card_key(self, event: events.Key) -> bool:
        """Whether the card knows this printable key; any other begins a text."""
        active = self.screen.active_bindings.get(event.key)
        return active is not None and active.node is self

    def _decides(self, key: str) -> bool:
        """Whether the card does something at this key now but move, whatever key the user gave to it."""
        active = self.screen.active_bindings.get(key)
        return active is not None and active.node is self and active.binding.action.partition("(")[0] not in MOVES

    def _write_on(self, event: events.Key | events.Paste) -> None:
        """In the composer, and at once: what follows belongs to the text, whatever letters it has."""
        composer = self.screen.query_one(Composer)
        self.screen.set_focus(composer)
        again = events.Key(event.key, event.character) if isinstance(event, events.Key) else events.Paste(event.text)
        composer.post_message(again)

    def _why_early(self, event: events.Key) -> str:
        """Why this key does not count yet; empty when it does. The calm begins anew: a key that is held down never counts."""
        if event.time >= self.calm_from:
            return ""
        self.calm_from = max(self.calm_from, event.time + own_app(self).calm_s)
        return f"{self.why_calm}: look at it, then press the key again."

    def start_over(self) -> None:
        """The user comes to it anew: what it asks once more is taken back."""

    def ask_words(self, placeholder: str) -> None:
        """A line to write in; ``Input.Submitted`` brings it."""
        self.words.placeholder = placeholder
        self._said = ""
        self.add_class("-words")
        self.screen.set_focus(self.words)

    def close_words(self) -> bool:
        """Whether there was such a line."""
        was = self.has_class("-words")
        self.remove_class("-words")
        return was

    # ── moving ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def action_scroll_body(self, rows: int) -> None:
        self.scrolled.scroll_relative(y=rows, animate=False)

    def action_next_card(self) -> None:
        self.post_message(self.Left(onwards=True))

    def action_leave(self) -> None:
        """Out of the words; else back to the composer. It never decides."""
        if self.close_words():
            self.screen.set_focus(self)
            self.show_keys()
        else:
            self.post_message(self.Left(onwards=False))
