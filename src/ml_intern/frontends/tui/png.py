"""PNG files → few coloured cells. Enough of the format for plots: 8 bits, no interlace; anything else raises ``NotDrawable``.

Format: https://www.w3.org/TR/png-3/ (sections 5, 7 and 9).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MAX_PIXELS = 4_000_000
SAMPLES = 3
"""In each direction, for one pixel that is drawn."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type: grey, RGB, palette, grey with alpha, RGB with alpha."""

Colour = tuple[int, int, int]


class NotDrawable(Exception):
    """The file is no PNG that is drawn here."""


class Png:
    """A picture's size, and its pixels when they are asked for."""

    def __init__(self, data: bytes) -> None:
        self._chunks = list(_chunks(data))
        if not self._chunks or self._chunks[0][0] != b"IHDR" or len(self._chunks[0][1]) != 13:
            raise NotDrawable("no header")
        self.width, self.height, depth, self._kind, _, _, interlace = struct.unpack(">IIBBBBB", self._chunks[0][1])
        if depth != 8 or interlace or self._kind not in _CHANNELS or not 0 < self.width * self.height <= MAX_PIXELS:
            raise NotDrawable(f"{self.width} × {self.height}, {depth} bits, colour type {self._kind}, interlace {interlace}")

    def scaled(self, columns: int, rows: int, background: Colour) -> list[list[Colour]]:
        """That many pixels over a background, each the mean of some samples of the part of the picture that it stands for."""
        down = [_samples(y, rows, self.height) for y in range(rows)]
        across = [_samples(x, columns, self.width) for x in range(columns)]
        needed = {y for samples in down for y in samples}
        lines = {y: line for y, line in enumerate(self._lines()) if y in needed}
        if len(lines) != len(needed):
            raise NotDrawable("its data ends early")
        return [[self._mean([(lines[y], x) for y in ys for x in xs], background) for xs in across] for ys in down]

    def _mean(self, samples: list[tuple[bytes, int]], background: Colour) -> Colour:
        colours = [self._colour(line, x, background) for line, x in samples]
        red, green, blue = (sum(channel) // len(colours) for channel in zip(*colours, strict=True))
        return red, green, blue

    def _colour(self, line: bytes, x: int, background: Colour) -> Colour:
        match self._kind:
            case 0:
                return line[x], line[x], line[x]
            case 2:
                return line[3 * x], line[3 * x + 1], line[3 * x + 2]
            case 3:
                entry = self._palette[3 * line[x] : 3 * line[x] + 3]
                return (entry[0], entry[1], entry[2]) if len(entry) == 3 else background
            case 4:
                return _over((line[2 * x],) * 3, line[2 * x + 1], background)
            case _:
                at = 4 * x
                return _over((line[at], line[at + 1], line[at + 2]), line[at + 3], background)

    @property
    def _palette(self) -> bytes:
        return next((data for name, data in self._chunks if name == b"PLTE"), b"")

    def _lines(self) -> Iterator[bytes]:
        """Rows of samples, their filters undone."""
        step = _CHANNELS[self._kind]
        length = self.width * step
        data = _inflated(b"".join(data for name, data in self._chunks if name == b"IDAT"), (length + 1) * self.height)
        above = bytes(length)
        for start in range(0, len(data) - length, length + 1):
            above = _unfiltered(data[start], bytearray(data[start + 1 : start + 1 + length]), above, step)
            yield above


def _samples(place: int, of: int, size: int) -> list[int]:
    """Where to look for the pixel at ``place`` of ``of``, in a row of ``size``."""
    return sorted({min(int((place + (i + 0.5) / SAMPLES) * size / of), size - 1) for i in range(SAMPLES)})


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not data.startswith(_SIGNATURE):
        raise NotDrawable("no PNG")
    at = len(_SIGNATURE)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _inflated(data: bytes, size: int) -> bytes:
    """No more than the picture needs: a small file can hold gigabytes of zeros."""
    try:
        return zlib.decompressobj().decompress(data, size)
    except zlib.error as error:
        raise NotDrawable(f"its data is damaged: {error}") from error


def _unfiltered(kind: int, line: bytearray, above: bytes, step: int) -> bytes:
    match kind:
        case 0:
            pass
        case 1:
            for i in range(step, len(line)):
                line[i] = (line[i] + line[i - step]) & 255
        case 2:
            return bytes((x + up) & 255 for x, up in zip(line, above, strict=True))
        case 3:
            for i, up in enumerate(above):
                left = line[i - step] if i >= step else 0
                line[i] = (line[i] + (left + up) // 2) & 255
        case 4:
            _undo_paeth(line, above, step)
        case _:
            raise NotDrawable(f"filter {kind}")
    return bytes(line)


def _undo_paeth(line: bytearray, above: bytes, step: int) -> None:
    for i, up in enumerate(above):
        left, corner = (line[i - step], above[i - step]) if i >= step else (0, 0)
        estimate = left + up - corner
        to_left, to_up, to_corner = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
        nearest = left if to_left <= to_up and to_left <= to_corner else up if to_up <= to_corner else corner
        line[i] = (line[i] + nearest) & 255


def _over(colour: tuple[int, ...], alpha: int, background: Colour) -> Colour:
    red, green, blue = ((front * alpha + back * (255 - alpha)) // 255 for front, back in zip(colour, background, strict=True))
    return red, green, blue
