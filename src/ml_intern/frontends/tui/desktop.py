"""What the app gives to the user's desktop: copied text, and links to open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from textual.widgets import Input, TextArea

from ml_intern.config.load import LoadedSettings
from ml_intern.frontends.tui.conversation import Conversation
from ml_intern.frontends.tui.keyed_app import KeyedApp
from ml_intern.frontends.tui.links import browse, forbidden, leads_where_it_says, open_link
from ml_intern.protocol.amounts import counted


class DesktopApp(KeyedApp):
    """Copies and opens. ``hint`` and ``say`` are the app's words to the user."""

    loaded: LoadedSettings
    browser: Callable[[str], bool] = staticmethod(browse)
    """What opens links; false when it cannot."""

    def say(self, text: str, *, hint: str = "", bad: bool = False) -> None:
        """In the conversation."""
        raise NotImplementedError

    def action_suspend_process(self) -> None:
        """In place of Textual's, which stops this process alone: the shell would wait for ever for a script that started it."""
        from ml_intern.frontends.tui.terminal.driver import TerminalDriver

        if not isinstance(self._driver, TerminalDriver):
            return
        if self._driver.can_stop:
            self._suspend_signal()
            self._driver.stop_job()
        else:
            self.hint("there is no shell to go to: this terminal was opened for the app")

    def hint(self, text: str) -> None:
        """Above the composer."""
        raise NotImplementedError

    # ── copying ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def copy_to_clipboard(self, text: str) -> None:
        """To the terminal's clipboard, and by the programs of this machine that have one."""
        super().copy_to_clipboard(text)
        if not self.is_headless:
            from ml_intern.frontends.tui.clipboard import give

            self.run_worker(partial(give, text, self.loaded.environ.as_dict()), group="clipboard", exclusive=True)

    def copied(self, text: str, *, more: str = "") -> None:
        """Copy it, and say so."""
        self.copy_to_clipboard(text)
        rows = text.count("\n") + 1
        what = f"copied {counted(rows, 'line') if rows > 1 else counted(len(text), 'character')}{more}"
        if len(self.screen_stack) > 1:
            self.notify(what)  # the line for hints is behind the screen
        else:
            self.hint(what)

    def on_conversation_copied(self, message: Conversation.Copied) -> None:
        self.copied(message.text)

    def on_text_selected(self) -> None:
        """The mouse was released: what is selected is copied, and stays selected."""
        if text := self.screen.get_selected_text():
            self.copied(text)

    def copy_selection(self) -> bool:
        """Copy what is selected, by mouse or in a text field, and select nothing any more; false when nothing was."""
        text = self.screen.get_selected_text()
        if text:
            self.screen.clear_selection()
        elif isinstance(field := self.focused, TextArea | Input) and (text := field.selected_text):
            field.selection = type(field.selection).cursor(field.selection.end)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        if text:
            self.copied(text, more="; nothing is selected now")
        return bool(text)

    # ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """A page of the web, or a file of the workspace."""
        self.run_worker(partial(self._open, [url], ""), group="links", exclusive=True)

    def on_conversation_opened(self, message: Conversation.Opened) -> None:
        self.run_worker(partial(self._open, message.urls, message.said), group="links", exclusive=True)

    async def _open(self, urls: Sequence[str], said: str) -> None:
        url = urls[0] if len(urls) == 1 else await self._choose_link(urls)
        if not url:
            return
        if why := forbidden(url, self.loaded.cwd):
            self.say(why, bad=True)
            return
        if said and not leads_where_it_says(url, said):
            from ml_intern.frontends.tui.screens.questions import Confirm

            if not await self.push_screen_wait(Confirm("Open this link?", f"“{said.strip()}” leads to\n{url}")):
                return
        if await open_link(url, self.browser):
            self.hint(f"opening {url}")
        else:
            self.copy_to_clipboard(url)
            self.say(f"There is no browser here to open {url}", hint="The address is copied.")

    async def _choose_link(self, urls: Sequence[str]) -> str | None:
        from ml_intern.frontends.headless.text import line
        from ml_intern.frontends.tui.screens.picker import Choice, Picker

        return await self.push_screen_wait(Picker("Open", [Choice(value=url, row=line(url), words=url) for url in urls]))
