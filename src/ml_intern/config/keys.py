"""The keys of the terminal app that a user may change: what each does, by name, and the key it has unless the settings say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_KEYS: Mapping[str, str] = MappingProxyType({
    "interrupt": "escape",
    "stop": "ctrl+c",
    "leave": "ctrl+d",
    "suspend": "ctrl+z",
    "cards": "f2",
    "page_up": "pageup",
    "page_down": "pagedown",
    "to_end": "end,ctrl+end",
    "fold": "ctrl+o",
    "newline": "shift+enter,ctrl+j",
    "queue": "alt+enter",
    "search_history": "ctrl+r",
    "editor": "ctrl+g",
    "undo": "ctrl+underscore,ctrl+shift+minus",
    "approve": "y",
    "reject": "n",
    "edit": "e",
    "always_session": "s",
    "always_project": "p",
    "approve_all": "a",
    "approve_rest": "A",
})  # fmt: skip
"""Several keys are separated by commas."""
