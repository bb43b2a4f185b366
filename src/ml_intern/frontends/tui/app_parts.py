"""The parts of the app and what they do with one another; the session is ``app.py``'s."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult

from ml_intern.config.load import LoadedSettings
from ml_intern.config.paths import home_dir
from ml_intern.frontends.tui.activity import HINT_S, ActivityLine
from ml_intern.frontends.tui.below_line import BelowLine
from ml_intern.frontends.tui.blocks.words import NoticeBlock
from ml_intern.frontends.tui.cards.dock import CardDock
from ml_intern.frontends.tui.composer.composer import Composer
from ml_intern.frontends.tui.conversation import Conversation
from ml_intern.frontends.tui.figures import Figures
from ml_intern.frontends.tui.key_names import fold_key, told_key
from ml_intern.frontends.tui.sight import Sight
from ml_intern.frontends.tui.status_bar import StatusBar
from ml_intern.frontends.tui.themed_app import ThemedApp
from ml_intern.frontends.tui.waiting_lines import WaitingLines
from ml_intern.frontends.tui.welcome import PLACEHOLDER, Welcome

if TYPE_CHECKING:
    from textual.signal import Signal

    from ml_intern.frontends.tui.terminal.abilities import Terminal
    from ml_intern.frontends.tui.terminal.answers import Answer
    from ml_intern.frontends.tui.terminal.asking import Asking
    from ml_intern.protocol.events import AnyEvent


class AppParts(ThemedApp):
    """Lays them out, from the top."""

    TITLE = "ml-intern"
    ENABLE_COMMAND_PALETTE = False
    CSS = "Screen { background: $background; layout: vertical; }"

    def __init__(self, loaded: LoadedSettings, *, theme_name: str) -> None:
        super().__init__(loaded, theme_name=theme_name)
        self.terminal: Terminal | None = None
        """Where there is one that can be asked."""
        self._asking: Asking | None = None
        self._folded = True
        self.waiting_lines = WaitingLines(id="waiting")
        self.status = StatusBar(mode=self._mode(), home=home_dir(loaded.environ), id="status")

        self.sight = Sight(self)
        self.welcome = Welcome(self)

    # ── the terminal ─────────────────────────────────────────────────────────────────────────────────────────────────

    def terminal_open(self, terminal: Terminal) -> None:
        """See ``AsksTerminal``."""
        self.terminal = terminal

    def terminal_closing(self) -> None:
        """See ``AsksTerminal``."""
        if self._asking is not None:
            self._asking.pictures.take_back()

    def terminal_answered(self, answer: Answer) -> None:
        """See ``AsksTerminal``."""
        if self._asking is not None:
            self._asking.answered(answer)

    def ask_terminal(self) -> None:
        """After the first paint: what it asks with is imported here."""
        if self.terminal is not None:
            from ml_intern.frontends.tui.terminal.asking import Asking

            self._asking = Asking(self, self.terminal)
            self._asking.begin()
            resumed = cast("Signal[object]", self.app_resume_signal)  # pyright: ignore[reportUnknownMemberType]  # of an app of whatever result
            resumed.subscribe(self.conversation, self._resumed)

    def _resumed(self, _: object) -> None:
        self.conversation.pictures.send_again()

    def post_display_hook(self) -> None:
        if self._asking is not None:
            self.conversation.after_display()

    # ── the parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        conversation = Conversation(id="conversation")
        conversation.greeting = self.welcome.rows
        conversation.fold_key = fold_key(self.loaded.settings)
        yield conversation
        yield BelowLine(told_key(self.loaded.settings, "to_end"), id="below")
        yield CardDock(id="cards")
        yield self.waiting_lines
        yield ActivityLine(told_key(self.loaded.settings, "interrupt"), id="activity")
        composer = Composer(id="composer")
        composer.placeholder = PLACEHOLDER
        yield composer
        yield self.status

    @property
    def conversation(self) -> Conversation:
        return self.query_one("#conversation", Conversation)

    @property
    def composer(self) -> Composer:
        return self.query_one("#composer", Composer)

    @property
    def figures(self) -> Figures:
        """What was folded from the session's events: also after the app has ended."""
        return self.status.figures

    def _mode(self) -> str:
        settings = self.loaded.settings
        return "read-only" if settings.read_only else "yolo" if settings.yolo_mode else "ask"

    def say(self, text: str, *, hint: str = "", bad: bool = False) -> None:
        """A word of the app's own in the conversation; it is no event, and gone at the next start."""
        self.conversation.add(NoticeBlock.of(text, hint=hint, bad=bad))

    def hint(self, text: str, *, until: tuple[type[AnyEvent], ...] = (), seconds: float = HINT_S) -> None:
        """A word above the composer, until the next thing happens or so long; of something that goes on, until one of these events."""
        self.query_one(ActivityLine).hint(text, until=until, seconds=seconds)

    @contextmanager
    def hinting(self, text: str) -> Generator[Callable[[str], None]]:
        """A word about what goes on in here, gone when it is over. What it gives puts another in its place."""
        activity, told = self.query_one(ActivityLine), [text]

        def change(words: str) -> None:
            told[0] = words
            activity.hint(words, stays=True)

        change(text)
        try:
            yield change
        finally:
            activity.unhint(told[0])

    def on_conversation_left(self) -> None:
        self.composer.focus()

    def on_block_view_end_seen(self, message: Conversation.EndSeen) -> None:
        self.query_one(BelowLine).tell(at_end=message.at_end, news=message.news)

    def action_fold(self) -> None:
        self._folded = not self._folded
        self.conversation.fold_all(self._folded)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The page keys belong to what has the focus, unless that is the composer: it has no pages. Where it has text behind the cursor,
        the key for the end is the text's.
        """
        if action == "scroll":
            return self.focused is not None and self.focused.id == "composer"
        if action == "to_end":
            return not self.conversation.following and (self.focused is self.conversation or self._at_end_of_text())
        return super().check_action(action, parameters)

    def _at_end_of_text(self) -> bool:
        composer = self.composer
        return self.focused is composer and composer.cursor_location == composer.document.end

    def action_scroll(self, pages: int) -> None:
        self.conversation.scroll_relative(y=pages * (self.conversation.size.height - 1), animate=False)

    def action_to_end(self) -> None:
        self.conversation.to_end()

    def action_cards(self) -> None:
        if not self.query_one(CardDock).focus_card():
            self.hint("nothing waits for you")
