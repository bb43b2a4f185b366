"""Text in terminal cells. Terminals do not agree on how wide some emoji sequences are; those are drawn as their plain parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from rich.cells import cell_len, get_character_cell_size

from ml_intern.frontends.headless.text import TAB
from ml_intern.frontends.headless.text import wrap as wrap_ascii
from ml_intern.frontends.sanitize import plain

LINK_SCHEMES = ("http://", "https://")
"""What may be opened."""
LONGEST_LINE = 8_000
"""Characters of a line that are drawn."""
_LONG_LINE = re.compile(rf"([^\n]{{{LONGEST_LINE}}})([^\n]+)")
_ADDRESS = re.compile(r"https?://[^\s<>\[\]\"'`\\|]+")
_BEHIND_ADDRESS = ".,;:!?*_"
_UNEVEN = re.compile("[\u200b\ufe0e\ufe0f\ufeff\U0001f3fb-\U0001f3ff]|(?<=[\u2190-\u2bff\U0001f000-\U0001faff])[\ufe0f]?\u200d")
"""Zero-width spaces, variation selectors, skin tones, and joiners behind a pictogram: two terminals, two widths."""


def even(text: str) -> str:
    """The text as data: nothing in it commands the terminal, and every terminal gives it the same width."""
    text = plain(text)
    return text if text.isascii() else _UNEVEN.sub("", text)


def drawable(text: str) -> str:
    """What is drawn of it: a line of megabytes would keep the app from everything else. Copying has it whole."""
    text = even(text)
    return text if len(text) <= LONGEST_LINE else _LONG_LINE.sub(_shortened, text)


def _shortened(long: re.Match[str]) -> str:
    return f"{long[1]}… {len(long[2]):,} more characters"


def addresses(text: str) -> Iterator[tuple[int, str]]:
    """Addresses of the web in a text, and where each begins; what ends the sentence around it is not part of it."""
    for found in _ADDRESS.finditer(text) if "://" in text else ():
        address = found[0].rstrip(_BEHIND_ADDRESS)
        for opened, closed in ("()", "{}"):
            while address.endswith(closed) and address.count(closed) > address.count(opened):
                address = address[:-1].rstrip(_BEHIND_ADDRESS)
        yield found.start(), address


def links_in(text: str, most: int = 50) -> list[str]:
    """The first addresses of a text, each once."""
    return list(dict.fromkeys(address for _, address in islice(addresses(plain(text)), most)))


def wrapped(text: str, cells: int) -> list[str]:
    """The text of somebody else in rows of at most that many cells, broken at spaces where there are any."""
    text = drawable(text)
    if text.isascii():
        return wrap_ascii(text, cells)
    return [row for paragraph in text.split("\n") for row in _wrapped_row(paragraph.replace("\t", TAB), max(cells, 2))]


def _wrapped_row(text: str, cells: int) -> Iterator[str]:
    while cell_len(text) > cells:
        fits = _fits(text, cells)
        at_space = text.rfind(" ", 1, fits + 1)
        cut = at_space if at_space > 0 else fits
        yield text[:cut]
        text = text[cut:].removeprefix(" ")
    yield text


def _fits(text: str, cells: int) -> int:
    """How many characters fit; at least one."""
    used = 0
    for position, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > cells:
            return max(position, 1)
    return len(text)
