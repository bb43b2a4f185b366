"""``/theme``: the colours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ml_intern.config.edit import put_value
from ml_intern.config.load import user_file
from ml_intern.errors import ConfigError
from ml_intern.frontends.headless.text import line
from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.screens.themes import ThemePicker

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

_ABOUT = {
    "auto": "what the terminal says of its background",
    "dark": "light text on a dark background",
    "light": "dark text on a light background",
    "ansi": "the terminal's own sixteen colours",
}


async def choose_theme(app: TuiApp, rest: str) -> None:
    """``/theme [name]``; without a name a picker that shows each one as the cursor comes to it. It is kept in the user's settings."""
    word = rest.lower()
    if not word:
        picked = await app.push_screen_wait(ThemePicker([(name, line(name), about) for name, about in _ABOUT.items()], app.wear))
        if picked is None:
            return
        word = picked
    if word not in theme.WORDS:
        app.say(f"There is no theme {rest}.", hint=f"There are: {', '.join(theme.WORDS)}.", bad=True)
        return
    app.wear(word)
    try:
        await asyncio.to_thread(put_value, user_file(app.loaded.environ), ("terminal", "theme"), word)
    except ConfigError as error:
        app.say(f"The theme is {word} until you leave, for it could not be kept. {error.message}", hint=error.hint, bad=True)
    else:
        app.hint(f"the theme is {word}, also the next time")
