"""Keys as people call them."""

from __future__ import annotations

from ml_intern.config.keys import DEFAULT_KEYS
from ml_intern.config.settings import Settings


def key_name(key: str) -> str:
    """Of one in Textual's words: ``ctrl+o`` → ``Ctrl+O``."""
    names = {
        "escape": "Esc",
        "enter": "Enter",
        "space": "Space",
        "up": "↑",
        "down": "↓",
        "pageup": "PgUp",
        "pagedown": "PgDn",
        "tab": "Tab",
        "underscore": "_",
        "minus": "-",
    }
    return "+".join(
        names.get(part, part.capitalize() if len(part) > 1 else part.upper() if "+" in key else part) for part in key.split("+")
    )


def fold_key(settings: Settings) -> str:
    """The key that unfolds what is folded, for a sentence: ``Ctrl-O``, or the user's own."""
    key = settings.keys.get("fold", DEFAULT_KEYS["fold"]).partition(",")[0].strip()
    return key_name(key).replace("+", "-")
