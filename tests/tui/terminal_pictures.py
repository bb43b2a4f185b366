"""Reads what a terminal is sent: sixels back to pixels, kitty's commands back to what they say."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import NamedTuple

Pixels = list[list[tuple[int, int, int] | None]]
SIXEL = re.compile(r"\x1bP[\d;]*q([^\x1b]*)\x1b\\")
_KITTY = re.compile(r"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\")
_STEP = re.compile(r'"(?P<raster>[\d;]+)|#(?P<colour>\d+)(?P<define>;[\d;]+)?|!(?P<times>\d+)(?P<repeated>.)|(?P<one>[?-~])|(?P<move>[$-])')


def pixels_of(sixels: str) -> Pixels:
    """As a terminal paints them; None where nothing was painted."""
    colours: dict[int, tuple[int, int, int]] = {}
    painted: dict[tuple[int, int], tuple[int, int, int]] = {}
    size, colour, x, y, end = (0, 0), 0, 0, 0, 0
    while end < len(sixels):
        step = _STEP.match(sixels, end)
        assert step is not None, f"no sixels: {sixels[end : end + 20]!r}"
        end = step.end()
        if step["raster"]:
            _, _, width, height = map(int, step["raster"].split(";"))
            size = width, height
        elif step["colour"]:
            colour = int(step["colour"])
            if step["define"]:
                red, green, blue = (round(int(part) * 2.55) for part in step["define"].split(";")[2:])
                colours[colour] = red, green, blue
        elif step["move"]:
            x, y = 0, y + 6 * (step["move"] == "-")
        else:
            bits = ord(step["one"] or step["repeated"]) - 63
            run = range(x, x + int(step["times"] or 1))
            painted.update({(at, y + bit): colours[colour] for at in run for bit in range(6) if bits >> bit & 1})
            x = run.stop
    assert all(x < size[0] and y < size[1] for x, y in painted), "painted beyond its size"
    return [[painted.get((x, y)) for x in range(size[0])] for y in range(size[1])]


class Command(NamedTuple):
    """One of kitty's, its chunks joined. ``chunks`` are the lengths of their base64."""

    keys: dict[str, str]
    data: bytes
    chunks: tuple[int, ...]


def kitty_commands(written: str) -> Iterator[Command]:
    """Those that stand in what was written, in order."""
    keys: dict[str, str] = {}
    parts: list[str] = []
    for said, data in _KITTY.findall(written):
        own = dict(part.split("=") for part in said.split(","))
        keys = keys or own
        parts.append(data)
        if own.get("m", "0") == "0":
            yield Command(keys, base64.b64decode("".join(parts)), tuple(map(len, parts)))
            keys, parts = {}, []
