"""Pictures that are sent with a message: named with ``@``, or pasted as a path."""

from __future__ import annotations

import re
from pathlib import Path

from ml_intern.config.brought_file import read_named
from ml_intern.protocol.messages import Image
from ml_intern.tools.files.image_file import MAX_IMAGE_BYTES, as_image, media_type

MOST = 8
_NAMED = re.compile(r"(?:^|(?<=\s))@(?:\"([^\"]+)\"|(\S+))")
_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def images_in(text: str, root: Path) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """The pictures that ``@path`` names in a text, and a sentence for each that cannot be sent. Blocks."""
    found: list[Image] = []
    problems: list[str] = []
    for quoted, bare in _NAMED.findall(text):
        name = quoted or bare
        if not name.lower().endswith(_ENDINGS):
            continue
        image, problem = _read(root / Path(name).expanduser(), name)
        if problem:
            problems.append(problem)
        elif image is not None and len(found) < MOST:
            found.append(image)
    return tuple(found), tuple(problems)


def as_mention(pasted: str, root: Path) -> str:
    """``@path`` for a paste that is the path of a picture; else the paste itself. Terminals paste a file that is dropped so."""
    path = pasted.strip().strip("'\"").removeprefix("file://")
    if "\n" in path or not path.lower().endswith(_ENDINGS) or not (root / Path(path).expanduser()).is_file():
        return pasted
    return f'@"{path}" ' if " " in path else f"@{path} "


def _read(path: Path, name: str) -> tuple[Image | None, str]:
    try:
        data = read_named(path, MAX_IMAGE_BYTES + 1)
    except OSError as error:
        return None, f"{name} cannot be read: {error.strerror}."
    if len(data) > MAX_IMAGE_BYTES:
        return None, f"{name} is larger than {MAX_IMAGE_BYTES / 1e6:g} MB and is not sent."
    if not media_type(data):
        return None, f"{name} is no PNG, JPEG, GIF or WebP picture and is not sent as one."
    return as_image(data), ""
