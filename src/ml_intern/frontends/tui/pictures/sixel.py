"""Pictures as sixels. Format: https://vt100.net/docs/vt3xx-gp/chapter14.html."""

from __future__ import annotations

import re
from collections.abc import Iterator

from PIL import Image

MAX_COLOURS = 256
BAND = 6
"""Rows of pixels that one row of sixels holds, the lowest bit at the top."""
_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)
_TO_SIXEL = bytes((value & 63) + 63 for value in range(256))


def encode(picture: Image.Image) -> str:
    """One control string that paints every pixel of it, from the cursor to the right and down."""
    reduced = picture.convert("RGB").quantize(MAX_COLOURS, dither=Image.Dither.NONE)
    width, height = reduced.size
    palette = reduced.getpalette("RGB") or []
    indices = reduced.tobytes()
    used = sorted(set(indices))
    colours = "".join(f"#{colour};2;{_percent(palette[3 * colour : 3 * colour + 3])}" for colour in used)
    bands = (_band(indices[start : start + BAND * width], width) for start in range(0, width * height, BAND * width))
    return f'\x1bP0;1;0q"1;1;{width};{height}{colours}{"-".join(bands)}\x1b\\'


def _percent(colour: list[int]) -> str:
    return ";".join(str(round(part * 100 / 255)) for part in colour)


def _band(indices: bytes, width: int) -> str:
    rows = [indices[start : start + width] for start in range(0, len(indices), width)]
    return "$".join(f"#{colour}{line}" for colour, line in _lines(rows, width))


def _lines(rows: list[bytes], width: int) -> Iterator[tuple[int, str]]:
    """For each colour its sixels. Whole rows at once, as one number each: a loop over pixels would take seconds."""
    for colour in sorted(set(b"".join(rows))):
        bits = 0
        for place, row in enumerate(rows):
            mark = bytes(colour) + bytes((1 << place,)) + bytes(255 - colour)
            bits |= int.from_bytes(row.translate(mark), "big")
        sixels = bits.to_bytes(width, "big").translate(_TO_SIXEL).rstrip(b"?")
        yield colour, _RUN.sub(lambda run: b"!%d%c" % (len(run[0]), run[1][0]), sixels).decode("ascii")
