"""Pictures that models take, by their first bytes."""

from __future__ import annotations

from ml_intern.protocol.messages import Image

MAX_IMAGE_BYTES = 3_750_000
"""5 MB after base64: the least that the providers take for one picture."""


def media_type(data: bytes) -> str:
    """``image/png``, ``image/jpeg``, ``image/gif``, ``image/webp``, or empty."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""


def as_image(data: bytes) -> Image:
    """The bytes as a picture for the model."""
    from base64 import b64encode

    return Image(media_type=media_type(data), data=b64encode(data).decode("ascii"))
