"""Picture files → what the terminal is sent. Blocks: runs in the pictures' thread, and Pillow is imported there.

Whatever a file holds is data of others: its bytes and its pixels are bounded before anything is unpacked.
"""

from __future__ import annotations

import base64
import io
import struct
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from ml_intern.config.brought_file import read_named
from ml_intern.frontends.tui.pictures import sixel
from ml_intern.frontends.tui.pictures.wish import Loaded, Pixels, Wish
from ml_intern.frontends.tui.terminal.abilities import Colour

MAX_BYTES = 32_000_000
MAX_PIXELS = 40_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class Unreadable(Exception):
    """Why the file is not shown, in a few words."""


def load(wish: Wish) -> Loaded:
    """Read the file and make of it what the wish's way needs; a file that cannot be read says why."""
    try:
        picture = _opened(base64.b64decode(wish.data, validate=True) if wish.data else read_named(Path(wish.path), MAX_BYTES + 1))
        size = picture.size
        columns, rows = _cells(size, wish)
        if wish.way == "kitty":
            return Loaded(size=size, columns=columns, rows=rows, png=_png(picture, columns, rows, wish))
        if wish.way == "link":
            return Loaded(size=size)
        flat = _flat(picture, wish.background or (0, 0, 0))
        pixels = _pixels(flat, columns, rows)
        if wish.way == "blocks":
            return Loaded(size=size, columns=columns, rows=rows, pixels=pixels)
        width, height = wish.cell
        exact = flat.resize((columns * width, rows * height), Image.Resampling.LANCZOS)
        return Loaded(size=size, columns=columns, rows=rows, pixels=pixels, sixel=sixel.encode(exact))
    except Unreadable as error:
        return Loaded(problem=str(error))
    except OSError as error:
        return Loaded(problem=error.strerror or "it is damaged, or no picture")
    except _DAMAGE:
        return Loaded(problem="it is damaged, or too large")


_DAMAGE = (
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    MemoryError,
    ZeroDivisionError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow's decoders raise for files that are not as they should be."""


def _opened(data: bytes) -> Image.Image:
    """The picture in colours with alpha, upright."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)  # as Pillow's documentation advises
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise Unreadable(f"it has {width} × {height} pixels, more than {MAX_PIXELS // 1_000_000} million")
        if picture.mode.startswith("I"):  # 16 bits of grey: Pillow would cut them off at 255
            return picture.point(lambda grey: grey / 256).convert("L").convert("RGBA")  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType]
        return ImageOps.exif_transpose(picture.convert("RGBA") if not picture.getexif() else picture).convert("RGBA")


def _cells(size: tuple[int, int], wish: Wish) -> tuple[int, int]:
    """How many it takes: never more pixels than it has, its shape kept as well as cells allow."""
    width, height = (1, 2) if wish.way == "blocks" else wish.cell
    in_cells = (size[0] / width, size[1] / height)
    scale = min(wish.columns / in_cells[0], wish.rows / in_cells[1], 1.0)
    return max(round(in_cells[0] * scale), 1), max(round(in_cells[1] * scale), 1)


def _flat(picture: Image.Image, background: Colour) -> Image.Image:
    behind = Image.new("RGBA", picture.size, (*background, 255))
    return Image.alpha_composite(behind, picture).convert("RGB")


def _pixels(flat: Image.Image, columns: int, rows: int) -> Pixels:
    data = flat.resize((columns, 2 * rows), Image.Resampling.LANCZOS).tobytes()
    rgb = [(data[at], data[at + 1], data[at + 2]) for at in range(0, len(data), 3)]
    return [rgb[start : start + columns] for start in range(0, len(rgb), columns)]


def _png(picture: Image.Image, columns: int, rows: int, wish: Wish) -> bytes:
    """No larger than it is shown: it goes through the terminal's own line, perhaps over SSH."""
    shown = picture if wish.background is None else _flat(picture, wish.background)
    shown.thumbnail((columns * wish.cell[0], rows * wish.cell[1]), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    shown.save(out, "PNG")
    return out.getvalue()
