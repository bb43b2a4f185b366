"""A text file with its encoding and its kind of newlines, so that an edit changes nothing but the edit."""

from __future__ import annotations

import re

from msgspec import Struct

from ml_intern.errors import ToolError

_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_LOOK_BYTES = 8192
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x0b\x08\x1b")


class NotText(Exception):
    """The bytes are no text."""


class TextFile(Struct, frozen=True):
    """``text`` with its newlines as they are in the file."""

    text: str
    encoding: str
    bom: bytes

    def encode(self, text: str) -> bytes:
        """New text in the file's own encoding. Raises ``ToolError`` when that has no place for a character."""
        try:
            return self.bom + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            character = text[error.start]
            raise ToolError(
                f"The file is {self.encoding} and cannot hold {character!r} (U+{ord(character):04X}).",
                hint="Use other characters, or convert the file to UTF-8 first.",
            ) from error

    def newline_at(self, start: int, end: int) -> str:
        """The kind of newline around a span: the one inside it, else the nearest before it, else after it, else LF."""
        newlines = re.compile(r"\r\n|\n|\r")
        if inside := newlines.search(self.text, start, end):
            return inside.group()
        before = max(self.text.rfind("\n", 0, start), self.text.rfind("\r", 0, start))
        if before >= 0:
            return "\r\n" if self.text[max(0, before - 1) : before + 1] == "\r\n" else self.text[before]
        after = newlines.search(self.text, end)
        return after.group() if after else "\n"


def decode(data: bytes) -> TextFile:
    """UTF-8, UTF-16 or UTF-32 by their marks, else UTF-8, else Windows-1252 or Latin-1. Raises ``NotText``."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            try:
                return TextFile(data[len(bom) :].decode(encoding), encoding, bom)
            except UnicodeDecodeError:
                break
    look = data[:_LOOK_BYTES]
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in look)
    if b"\0" in look or controls * 10 > len(look):
        raise NotText
    for encoding in ("utf-8", "cp1252"):
        try:
            return TextFile(data.decode(encoding), encoding, b"")
        except UnicodeDecodeError:
            continue
    return TextFile(data.decode("latin-1"), "latin-1", b"")


def split_lines(text: str) -> list[str]:
    """Lines by CR LF, LF or CR only: form feeds and U+2028 inside a string are no line ends. A final newline opens no line."""
    lines = re.split(r"\r\n|\n|\r", text)
    return lines[:-1] if lines[-1] == "" else lines
