"""What the terminal can, by what it answered; which questions to ask it; and how pictures are shown there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, assert_never

from ml_intern.config.environ import Environ
from ml_intern.frontends.tui.terminal.answers import Answer, Attributes, Background, CellPixels, KittyGraphics, Program

Way: TypeAlias = Literal["kitty", "sixel", "blocks", "link"]
"""How a picture is shown."""
Colour: TypeAlias = tuple[int, int, int]

SIXEL = 4
USUAL_CELL = (10, 20)
"""Pixels, where the terminal does not say: those of a VT340, which Windows Terminal pretends to have too."""
PLACEHOLDERS = ("kitty", "ghostty")
"""Programs that show pictures at placeholder characters; others take kitty's pictures, but not these."""

_KITTY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_PROGRAM, _CELL, _BACKGROUND, _ATTRIBUTES = "\x1b[>q", "\x1b[16t", "\x1b]11;?\x1b\\", "\x1b[c"
_MUTE = ("dumb", "linux", "vt52", "vt100", "vt220", "xterm-mono", "unknown")


class Terminal(Protocol):
    """The terminal itself, as the driver has it."""

    def raw(self, text: str) -> bool:
        """Write control data, behind what is drawn so far. False while the terminal is somebody else's."""
        ...

    def ask(self, questions: str) -> None:
        """Write these; the answers come to the app."""
        ...

    def cell_pixels(self) -> tuple[int, int] | None:
        """Width and height of a cell, if the system knows them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What is known so far. ``cell`` is in pixels; ``multiplexed``: control data goes through tmux to the terminal outside."""

    graphics: bool = False
    program: str = ""
    sixel: bool = False
    cell: tuple[int, int] = USUAL_CELL
    background: Colour | None = None
    multiplexed: bool = False
    answered: bool = False

    def after(self, answer: Answer) -> Abilities:
        """With what the terminal just said."""
        match answer:
            case Attributes(codes):
                return replace(self, sixel=SIXEL in codes, answered=True)
            case KittyGraphics(works):
                return replace(self, graphics=works)
            case CellPixels(width, height):
                return replace(self, cell=(width, height))
            case Background(colour):
                return replace(self, background=colour)
            case Program(name):
                return replace(self, program=name)
            case _:
                assert_never(answer)

    @property
    def placeholders(self) -> bool:
        """Whether it shows kitty's pictures at placeholder characters."""
        return self.graphics and any(name in self.program.lower() for name in PLACEHOLDERS)

    @property
    def light(self) -> bool | None:
        """Whether its background is light; None when it did not say. Weights: Rec. 709."""
        if self.background is None:
            return None
        red, green, blue = self.background
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 127.5


def questions(environ: Environ) -> str:
    """What to ask this terminal, all at once; empty for one that would not understand. DA1 is the last: it says that all is answered."""
    term = environ.get("TERM") or "dumb"
    if term in _MUTE or environ.get("NO_COLOR") is not None:
        return ""
    # tmux and screen answer for themselves, and take kitty's question for a title; Apple's terminal draws it
    inside = environ.get("TMUX") or term.startswith(("screen", "tmux")) or environ.get("TERM_PROGRAM") == "Apple_Terminal"
    return (_CELL if inside else _KITTY + _PROGRAM + _CELL) + _BACKGROUND + _ATTRIBUTES


def best_way(wanted: str, abilities: Abilities, colours: str | None) -> Way:
    """``wanted`` is ``terminal.pictures``, ``colours`` what Rich knows of the terminal: ``truecolor``, ``256``, … A picture's number is
    written as a colour, so that kitty's way needs all of them."""
    match wanted:
        case "link":
            return "link"
        case "kitty" if colours == "truecolor":
            return "kitty"
        case "sixel":
            return "sixel"
        case "auto" if abilities.placeholders and colours == "truecolor":
            return "kitty"
        case "auto" if abilities.sixel and colours is not None:
            return "sixel"
        case _:
            return "blocks" if colours in ("truecolor", "256") else "link"
