"""How the terminal app looks."""

from __future__ import annotations

from typing import Literal

from ml_intern.config.section import Section


class TerminalSettings(Section, frozen=True):
    """How the terminal app looks."""

    theme: Literal["auto", "dark", "light", "ansi"] = "auto"
    """Its colours; ``auto`` follows the terminal's background, ``ansi`` uses the terminal's own sixteen. ``/theme`` changes it."""
    pictures: Literal["auto", "kitty", "sixel", "blocks", "link"] = "auto"
    """How pictures are shown: the best that the terminal says it can, its graphics by kitty's protocol or by sixel, coloured half-blocks,
    or only a link."""
