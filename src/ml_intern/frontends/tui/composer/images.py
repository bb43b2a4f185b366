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
    for name in named_in(text):
        image, problem = _read(_path(name, root), name)
        if problem:
            problems.append(problem)
        elif image is not None and len(found) < MOST:
            found.append(image)
    return tuple(found), tuple(problems)


def named_in(text: str) -> list[str]:
    """The pictures that it names, as they are named."""
    names = [quoted or bare for quoted, bare in _NAMED.findall(text)]
    return [name for name in names if name.lower().endswith(_ENDINGS)]


def is_there(name: str, root: Path) -> bool:
    """Whether there is a file of that name. Blocks."""
    return _path(name, root).is_file()


def as_mention(pasted: str, root: Path) -> str:
    """``@path`` for a paste that is the path of a picture; else the paste itself. Terminals paste a file that is dropped so."""
    path = pasted.strip().strip("'\"").removeprefix("file://")
    if "\n" in path or not path.lower().endswith(_ENDINGS) or not is_there(path, root):
        return pasted
    return f'@"{path}" ' if " " in path else f"@{path} "


def _path(name: str, root: Path) -> Path:
    try:
        return root / Path(name).expanduser()
    except RuntimeError:  # the home of a user who is not there
        return root / name


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
