"""Where the user writes: several lines, history, suggestions, folded pastes, pictures, a draft that survives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import events, work
from textual.binding import Binding, BindingType
from textual.message import Message

from ml_intern.config.keys import DEFAULT_KEYS
from ml_intern.config.paths import home_dir
from ml_intern.frontends.tui.composer.draft import Draft
from ml_intern.frontends.tui.composer.history import History
from ml_intern.frontends.tui.composer.pastes import Pastes
from ml_intern.frontends.tui.composer.queue import Queue
from ml_intern.frontends.tui.composer.shell import ShellLines
from ml_intern.frontends.tui.key_names import keys_of
from ml_intern.frontends.tui.own_app import own_app
from ml_intern.frontends.tui.own_keys import OrderedTextArea
from ml_intern.frontends.tui.welcome import PLACEHOLDER
from ml_intern.protocol.messages import Image
from ml_intern.protocol.operations import UserInput

if TYPE_CHECKING:
    from ml_intern.frontends.tui.composer.files import WorkspaceFiles
    from ml_intern.frontends.tui.composer.popup import Popup
    from ml_intern.frontends.tui.composer.suggestions import Suggestion
    from ml_intern.session.scrub import Scrubber

DRAFT_AFTER_S = 0.5
SURELY_FITS = 2_000
"""Characters for which nothing has to be imported to say so."""
Dropped = Literal["kept", "lost", "nothing"]


class Composer(OrderedTextArea):
    """What the user is writing. Its only word to the app is ``Submitted``."""

    DEFAULT_CSS = """
    Composer { height: auto; min-height: 3; max-height: 12; border: round $primary 60%; background: $background; padding: 0 1; }
    Composer:focus { border: round $primary; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(DEFAULT_KEYS["newline"], "newline", "New line", id="newline", show=False),
        Binding(DEFAULT_KEYS["queue"], "queue", "Send after the turn that runs (↑ takes it back)", id="queue", show=False),
        Binding(DEFAULT_KEYS["search_history"], "search", "Search the history", id="search_history", show=False),
        Binding(DEFAULT_KEYS["undo"], "undo", "Undo what you wrote", id="undo", show=False),
        Binding(DEFAULT_KEYS["editor"], "edit_outside", "Write in your editor", id="editor", show=False),
    ]

    class Submitted(Message):
        """The user sent this."""

        def __init__(self, text: str, images: tuple[Image, ...] = ()) -> None:
            super().__init__()
            self.text = text
            self.images = images

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, soft_wrap=True, show_line_numbers=False, compact=False, highlight_cursor_line=False)
        self._popup: Popup | None = None
        """There is none until there is something to offer: another widget has the whole screen laid out and drawn again."""
        self._offered_for = ""
        self._pastes = Pastes()
        self._history: History | None = None
        self._draft: Draft | None = None
        self.shell = ShellLines()
        self._saving: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()

    # ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────

    def on_mount(self) -> None:
        self.queue = Queue(own_app(self))
        self.call_after_refresh(self._set_up)

    def _set_up(self) -> None:
        """After the first paint and before the first key: where history and draft are kept."""
        app = own_app(self)
        app.add_reader(self.queue)
        folder = app.loaded.paths.state_dir
        self._history = History(folder / "history.jsonl", self._scrub)
        self._draft = Draft(folder / "drafts", app.loaded.cwd, self._scrub)
        self._load()
        self._suggest()  # for what was typed before the first paint

    def _scrub(self, text: str) -> str:
        return self._scrubber.scrub(text)

    @cached_property
    def _scrubber(self) -> Scrubber:
        """Made for the first text that is kept: the first key does not wait for it."""
        from ml_intern.session.scrub import Scrubber

        return Scrubber(own_app(self).loaded.secrets)

    @cached_property
    def _files(self) -> WorkspaceFiles:
        """Made for the first ``@``."""
        from ml_intern.compute.hidden_paths import HiddenPaths, hidden_paths
        from ml_intern.frontends.tui.composer.files import WorkspaceFiles

        loaded = own_app(self).loaded
        environ = loaded.environ
        hidden = HiddenPaths(hidden_paths(home_dir(environ), environ.as_dict(), (loaded.paths.config_dir, loaded.paths.data_dir)))
        return WorkspaceFiles(loaded.cwd, environ.as_dict(), hidden)

    @work(exclusive=True, group="composer-load")
    async def _load(self) -> None:
        assert self._history is not None and self._draft is not None
        await asyncio.to_thread(self._history.load)
        draft = await asyncio.to_thread(self._draft.load)
        if draft and not self.text:
            self.text = draft
            self.move_cursor(self.document.end)
        elif draft:  # the user was faster: it waits for the next start
            await asyncio.to_thread(self._draft.leave)

    def on_text_area_changed(self) -> None:
        self._stop_timer()
        self._saving = asyncio.get_running_loop().call_later(DRAFT_AFTER_S, self.save_draft)
        self._suggest()
        own_app(self).sight.writing(self.text)

    async def on_unmount(self) -> None:
        """What was typed in the last moment is kept too; no timer and no shell line of ours outlives us."""
        self._stop_timer()
        if self._draft is not None:
            self._draft.save(self._unsaid())
            self._draft.leave()
        await self.shell.aclose()

    def _stop_timer(self) -> None:
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None

    def _unsaid(self) -> str:
        """What waits to be read, and what is being written."""
        return "\n\n".join(text for text in (*own_app(self).waiting_lines.kept, self._pastes.whole(self.text)) if text.strip())

    def save_draft(self) -> None:
        """Now: what is kept has changed."""
        self._stop_timer()
        if self._draft is not None:
            self.run_worker(partial(self._write_draft, self._draft), group="draft")

    async def _write_draft(self, draft: Draft) -> None:
        """One after the other, each with the text of that moment: an old one must not come after what was sent."""
        async with self._writing:
            await asyncio.to_thread(draft.save, self._unsaid())

    # ── suggestions ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _before_cursor(self) -> str:
        return self.get_text_range((0, 0), self.cursor_location)

    @work(exclusive=True, group="suggest")
    async def _suggest(self) -> None:
        from ml_intern.frontends.tui.composer.suggestions import suggest

        before = self._before_cursor
        offered = await suggest(before, self._matching)
        if self.is_attached:
            self._offered_for = before
            self._offer(offered if self.has_focus else ())

    async def _matching(self, query: str) -> list[str]:
        return await self._files.matching(query)

    def _offer(self, suggestions: Sequence[Suggestion]) -> None:
        if self._popup is None and suggestions:
            from ml_intern.frontends.tui.composer.popup import Popup

            self._popup = Popup()
            self.screen.mount(self._popup, before=self)
        if self._popup is not None:
            self._popup.offer(suggestions)

    def _take(self, suggestion: Suggestion) -> None:
        before = self._before_cursor
        rows = before[: suggestion.start].split("\n")
        self.replace(suggestion.insert, (len(rows) - 1, len(rows[-1])), self.cursor_location)
        self._offer(())

    def on_focus(self) -> None:
        self.placeholder = PLACEHOLDER

    def on_blur(self) -> None:
        self._offer(())

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _on_key(self, event: events.Key) -> None:
        if self._key_of_popup(event.key) or self._key_of_text(event.key):
            event.prevent_default()  # else Textual goes on with what ``OrderedTextArea`` does
            event.stop()

    def _key_of_popup(self, key: str) -> bool:
        popup = self._popup
        if popup is None or (chosen := popup.chosen) is None:
            return False
        if self._offered_for != self._before_cursor:  # typed faster than it was looked up: it fits no more
            return False
        match key:
            case "up":
                popup.move(-1)
            case "down":
                popup.move(1)
            case "tab":
                self._take(chosen)
            case "enter":
                whole = self._before_cursor == chosen.insert.rstrip()
                self._take(chosen)
                if chosen.sends or whole:
                    self._submit()
            case "escape":
                self._offer(())
            case _:
                return False
        return True

    def _key_of_text(self, key: str) -> bool:
        if not self.text and key in keys_of(own_app(self).loaded.settings, "leave"):
            own_app(self).action_leave()  # with a text the key may be one of the field's
            return True
        match key:
            case "enter" if self._before_cursor.endswith("\\"):
                self.action_delete_left()
                self.insert("\n")
            case "enter":
                self._submit()
            case "up" if not self.text and (back := self.queue.take_back()) is not None:
                self._show(back)
            case "up" if self.cursor_at_first_line and self._history is not None:
                self._show(self._history.back(self._pastes.whole(self.text)))
            case "down" if self.cursor_at_last_line and self._history is not None:
                self._show(self._history.forward())
            case "escape" if self.shell.running:
                self.shell.stop()
            case _:
                return False
        return True

    def action_queue(self) -> None:
        """For after the turn; when none runs it is sent at once."""
        self._submit(later=own_app(self).figures.turn_running)

    def action_newline(self) -> None:
        self.insert("\n")

    @work(exclusive=True, group="composer-dialogue")
    async def action_search(self) -> None:
        from ml_intern.frontends.tui.composer.search import HistorySearch

        if self._history is not None:
            found = await own_app(self).push_screen_wait(HistorySearch(self._history, self.text.strip()))
            self._show(found)

    @work(exclusive=True, group="composer-dialogue")
    async def action_edit_outside(self) -> None:
        from ml_intern.frontends.tui.cards.editor import edit_outside

        text, problem = await edit_outside(own_app(self), self._pastes.whole(self.text))
        if problem:
            own_app(self).hint(problem)
        else:
            self._show(text.rstrip("\n"))

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        from ml_intern.frontends.tui.composer.images import as_mention

        self.insert(self._pastes.taken(as_mention(text, own_app(self).loaded.cwd)))

    def drop(self) -> Dropped:
        """Empty it: Up brings back what is kept, and the key that undoes does so too."""
        if not self.text:
            return "nothing"
        text = self._pastes.whole(self.text)
        kept = bool(text.strip()) and self._remember(text)
        self.clear()
        self._offer(())
        return "kept" if kept else "lost"

    def put_back(self, text: str) -> None:
        """What could not be sent, ahead of what is being written."""
        self._show(f"{text}\n{self._pastes.whole(self.text)}" if self.text else text)

    def _show(self, text: str | None) -> None:
        if text is None:
            return
        self.text = self._pastes.shown(text)
        self.move_cursor(self.document.end)

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _submit(self, *, later: bool = False) -> None:
        text = self._pastes.whole(self.text)
        if not text.strip():
            return
        self.clear()
        self.history.clear()  # what is undone next is not that it was sent: its marks stand for nothing any more
        self._pastes.forget()
        self._offer(())
        self._remember(text)
        if text.startswith("!") and text[1:].strip():
            self._run_shell(text[1:].strip())
        else:
            self._send(text, later=later)

    def _remember(self, text: str) -> bool:
        """Whether there is a history already."""
        if self._history is None:
            return False
        self._history.add(text)
        self.run_worker(partial(asyncio.to_thread, self._history.save), group="history", exclusive=True)
        return True

    @work(group="send")
    async def _send(self, text: str, *, later: bool = False) -> None:
        """Pictures are read from disk on the way."""
        images: tuple[Image, ...] = ()
        if "@" in text:
            from ml_intern.frontends.tui.composer.images import images_in

            images, problems = await asyncio.to_thread(images_in, text, own_app(self).loaded.cwd)
            for problem in problems:
                own_app(self).say(problem, bad=True)
        told = self.shell.take_told() if not text.startswith("/") else []
        message = await self._fitting(UserInput(text="\n\n".join([*told, text]), images=images))
        if message is None:
            self.put_back(text)
            if told:
                self.shell.untold()
        elif not (later and self.queue.add(message)):
            self.post_message(self.Submitted(message.text, message.images))

    async def _fitting(self, message: UserInput) -> UserInput | None:
        """As it is to be sent; None when the user wants it back."""
        if len(message.text) <= SURELY_FITS:
            return message
        from ml_intern.frontends.tui.composer.too_long import fitting

        return await fitting(own_app(self), message)

    @work(group="shell")
    async def _run_shell(self, line: str) -> None:
        await self.shell.run(line, own_app(self))
