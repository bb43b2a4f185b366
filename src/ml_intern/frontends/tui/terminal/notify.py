"""A notification of the desktop, by way of the terminal."""

from __future__ import annotations

from ml_intern.config.environ import Environ

_PROGRAMS = ("iterm", "ghostty", "wezterm", "kitty")
"""Terminals that show OSC 9: https://iterm2.com/documentation-escape-codes.html and others after it."""
_OWN_NAMES = ("KITTY_WINDOW_ID", "GHOSTTY_RESOURCES_DIR", "WEZTERM_PANE")
"""Set by such a terminal, and still there inside tmux, which sets the terminal's names to its own."""


def shows_notifications(environ: Environ) -> bool:
    """Whether the terminal is known to show them. Others pass over them, or print them."""
    names = " ".join(environ.get(name) or "" for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL")).lower()
    return any(name in names for name in _PROGRAMS) or any(environ.get(name) for name in _OWN_NAMES)


def notification(text: str, environ: Environ) -> str:
    """Control data that shows the text, which has no control characters."""
    sequence = f"\x1b]9;{text}\x07"
    return through_tmux(sequence) if environ.get("TMUX") else sequence


def through_tmux(sequence: str) -> str:
    """For the terminal around tmux, which keeps what it does not know. It lets this through where ``allow-passthrough`` is on."""
    return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
