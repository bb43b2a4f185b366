"""Colours: the app's themes for Textual, and a palette for each that blocks are drawn with."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct  # and no dataclass: it stands on the path to the first paint
from rich.style import Style
from textual.theme import Theme
from textual.widget import Widget

from ml_intern.config.environ import Environ

AUTO, DARK, LIGHT, ANSI = "auto", "ml-intern-dark", "ml-intern-light", "ml-intern-ansi"
WORDS: Mapping[str, str] = MappingProxyType({"auto": AUTO, "dark": DARK, "light": LIGHT, "ansi": ANSI})
"""The themes by the words that users know."""
_LIGHT_BACKGROUNDS = ("7", "15")


class Palette(Struct, frozen=True, kw_only=True):
    """Rich styles by the names that styled lines use, and those of Markdown and code."""

    name: str
    styles: Mapping[str, Style]
    markdown: Mapping[str, str]
    code_theme: str
    background: tuple[int, int, int] | None
    """What pictures are laid over; None where only the terminal knows it."""
    selected: Style
    """The gutter beside the selected block."""


def chosen(word: str, environ: Environ, *, light: bool | None = None) -> str:
    """The theme for a word. Where no colours are wanted, the terminal's own: Textual leaves them out.

    ``auto`` goes by the terminal's background: ``light`` is what it answered, else a variable may say it; the
    dark one where nothing does."""
    if "NO_COLOR" in environ.as_dict():
        return ANSI
    name = WORDS.get(word, word)
    if name in (DARK, LIGHT, ANSI):
        return name
    if (environ.get("TERM") or "") in ("linux", "vt100", "vt220", "xterm-mono"):
        return ANSI
    if light is not None:
        return LIGHT if light else DARK
    background = (environ.get("COLORFGBG") or "").rpartition(";")[2]
    return LIGHT if background in _LIGHT_BACKGROUNDS else DARK


def palette_of(widget: Widget) -> Palette:
    """Of the theme that the widget's app shows now."""
    return palette(widget.app.theme)  # pyright: ignore[reportUnknownMemberType]  # an app of whatever result


def palette(theme: str) -> Palette:
    """Of one of our themes; any other gets the terminal's own colours."""
    gold, blue, red, green, code = _INKS.get(theme, _INKS[ANSI])
    styles = {
        "": Style.null(),
        "dim": Style(dim=True),
        "bold": Style(bold=True),
        "tool": Style(bold=True, color=gold),
        "good": Style(color=green),
        "bad": Style(color=red),
        "warn": Style(color=gold),
        "added": Style(color=green),
        "removed": Style(color=red),
        "accent": Style(color=blue),
        "user": Style(bold=True, color=blue),
    }
    markdown = {
        "markdown.h1": f"bold {gold}",
        "markdown.h2": f"bold {gold}",
        "markdown.h3": "bold",
        "markdown.h4": "bold",
        "markdown.code": code,
        "markdown.code_block": code,
        "markdown.item.bullet": gold,
        "markdown.item.number": gold,
        "markdown.link": f"{blue} underline",
        "markdown.link_url": f"{blue} underline",
        "markdown.block_quote": "italic",
    }
    return Palette(
        name=theme,
        styles=MappingProxyType(styles),
        markdown=MappingProxyType(markdown),
        code_theme="ansi_light" if theme == LIGHT else "ansi_dark",
        background=_BACKGROUNDS.get(theme),
        selected=Style(color=gold, bold=True),
    )


_ANSI_VARIABLES = {
    "ansi-background": "ansi_default",
    "ansi-foreground": "ansi_default",
    "border": "ansi_yellow",
    "border-blurred": "ansi_default",
    "block-cursor-foreground": "ansi_black",
    "block-cursor-background": "ansi_yellow",
    "block-cursor-text-style": "bold underline",
    "block-cursor-blurred-text-style": "bold underline",
    "input-cursor-background": "ansi_default",
    "input-cursor-foreground": "ansi_default",
    "input-cursor-text-style": "reverse",
    "input-selection-background": "ansi_blue",
    "input-selection-foreground": "ansi_white",
    "screen-selection-background": "ansi_blue",
    "screen-selection-foreground": "ansi_white",
}
"""What Textual's own style sheets ask of a theme in the terminal's colours; these can be read on light and on dark."""

THEMES: Mapping[str, Theme] = MappingProxyType(
    {
        each.name: each
        for each in (
            Theme(
                name=DARK,
                primary="#ffc850",
                secondary="#5ab4ff",
                accent="#5ab4ff",
                warning="#ffc850",
                error="#ff6b6b",
                success="#7ee08a",
                foreground="#dcdcdc",
                background="#101216",
                surface="#181b21",
                panel="#20242c",
                dark=True,
                variables={"scrollbar-background": "#181b21"},  # Textual makes it black
            ),
            Theme(
                name=LIGHT,
                primary="#8a5a00",
                secondary="#0a5fb4",
                accent="#0a5fb4",
                warning="#8a5a00",
                error="#b3261e",
                success="#1b6e2c",
                foreground="#1e1e1e",
                background="#fbfaf7",
                surface="#f1efe9",
                panel="#e6e3da",
                dark=False,
            ),
            Theme(
                name=ANSI,
                primary="ansi_yellow",
                secondary="ansi_blue",
                accent="ansi_blue",
                warning="ansi_yellow",
                error="ansi_red",
                success="ansi_green",
                foreground="ansi_default",
                background="ansi_default",
                surface="ansi_default",
                panel="ansi_default",
                boost="ansi_default",
                dark=True,
                ansi=True,
                variables=_ANSI_VARIABLES,
            ),
        )
    }
)
"""All of ours, by name. The gold is the original's."""

_INKS: Mapping[str, tuple[str, str, str, str, str]] = MappingProxyType(
    {
        DARK: ("#ffc850", "#5ab4ff", "#ff6b6b", "#7ee08a", "#78dcff"),
        LIGHT: ("#8a5a00", "#0a5fb4", "#b3261e", "#1b6e2c", "#005f73"),
        ANSI: ("yellow", "blue", "red", "green", "cyan"),
    }
)
"""Gold, blue, red, green, and the colour of code in a sentence."""

_BACKGROUNDS: Mapping[str, tuple[int, int, int]] = MappingProxyType({DARK: (0x10, 0x12, 0x16), LIGHT: (0xFB, 0xFA, 0xF7)})
