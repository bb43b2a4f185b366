"""Keys as people call them."""

from __future__ import annotations

from ml_intern.config.keys import DEFAULT_KEYS, SIGNS, split_keys
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
        "comma": ",",
        **{name: sign for sign, name in SIGNS.items()},
    }
    return "+".join(
        names.get(part, part.capitalize() if len(part) > 1 else part.upper() if "+" in key else part) for part in key.split("+")
    )


def told_key(settings: Settings, action: str) -> str:
    """The first key of an action of the key table, for a sentence: ``Ctrl-O``, or the user's own."""
    return key_name(keys_of(settings, action)[0]).replace("+", "-")


def keys_of(settings: Settings, action: str) -> tuple[str, ...]:
    """All its keys, in Textual's words."""
    return split_keys(settings.keys.get(action, DEFAULT_KEYS[action]))


def fold_key(settings: Settings) -> str:
    """The key that unfolds what is folded."""
    return told_key(settings, "fold")
