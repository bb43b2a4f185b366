"""The app's themes: our own beside Textual's, one of them put on."""

from __future__ import annotations

from textual.theme import Theme

from ml_intern.config.load import LoadedSettings
from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.desktop import DesktopApp


class ThemedApp(DesktopApp):
    """It has its theme on before the first style sheet is read."""

    def __init__(self, loaded: LoadedSettings, *, theme_name: str) -> None:
        # ahead of Textual's own, which reads it: set afterwards it would have every style sheet read twice before the first paint
        self.theme_word = theme_name or loaded.settings.terminal.theme
        self.set_reactive(ThemedApp.theme, theme.chosen(self.theme_word, loaded.environ))
        super().__init__()
        self.loaded = loaded
        self.terminal_light: bool | None = None
        """Whether its background is light; None until it says so."""

    def get_theme(self, theme_name: str) -> Theme | None:
        """Ours are there from the beginning, before any could be registered."""
        return theme.THEMES.get(theme_name) or super().get_theme(theme_name)

    @property
    def available_themes(self) -> dict[str, Theme]:
        return {**super().available_themes, **theme.THEMES}

    def wear(self, word: str) -> None:
        """Put a theme on: ``auto``, ``dark``, ``light`` or ``ansi``."""
        self.theme_word = word
        self.theme = theme.chosen(word, self.loaded.environ, light=self.terminal_light)
