"""Kitty's graphics protocol with placeholders: a picture is sent once, and shown wherever cells name it and a place in it.

https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders. The cells are ordinary text, so that what scrolls, cuts or
covers them need not know of pictures.
"""

from __future__ import annotations

import base64
import unicodedata

from ml_intern.frontends.tui.terminal.notify import through_tmux

CHUNK = 4_096
"""Characters of base64 at a time."""
PLACEHOLDER = "\U0010eeee"
MOST = 96
"""Columns or rows that can be named here; the protocol has 297."""
_FUSED = frozenset(b"\x00\x01\x02\x03\x04\x06\x07\x08\x09\x0a\x0b\x0c\x0f\x11\x13\x14\x42")
"""Behind U+03: marks that normalization may join with a letter, which the protocol leaves out; U+0653 and U+0654 are others."""


def _left_out(code: int) -> bool:
    return code in (0x653, 0x654) or (code >> 8 == 0x03 and code & 0xFF in _FUSED)


_MARKS = tuple(
    mark
    for mark in (chr(code) for code in range(0x300, 0x800) if not _left_out(code))
    if unicodedata.combining(mark) == 230 and not unicodedata.decomposition(mark)
)[:MOST]
"""What stands for 0, 1, 2, …: Unicode's marks above a letter that have no decomposition, in order."""


def transmission(picture: int, png: bytes, columns: int, rows: int, *, multiplexed: bool) -> str:
    """Control data that hands the terminal a picture under a number, to be shown over that many cells. It answers nothing (``q=2``)."""
    data = base64.b64encode(png).decode("ascii")
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    head = f"a=T,U=1,q=2,f=100,i={picture},c={columns},r={rows},"
    keys = [f"{head if not number else 'q=2,'}m={int(number < len(chunks) - 1)}" for number in range(len(chunks))]
    return "".join(_command(each, chunk, multiplexed) for each, chunk in zip(keys, chunks, strict=True))


def deletion(picture: int, *, multiplexed: bool) -> str:
    """Control data that makes the terminal forget it."""
    return _command(f"a=d,d=I,q=2,i={picture}", "", multiplexed)


def placeholders(row: int, columns: int) -> str:
    """The cells of one row of a picture: each names its row and its column. Their colour names the picture."""
    return "".join(PLACEHOLDER + _MARKS[row] + _MARKS[column] for column in range(columns))


def _command(keys: str, data: str, multiplexed: bool) -> str:
    command = f"\x1b_G{keys};{data}\x1b\\"
    return through_tmux(command) if multiplexed else command
