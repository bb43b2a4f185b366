"""A file for the user's eyes alone, like the store that it comes from."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ml_intern.config.private_file import replace_private
from ml_intern.errors import StoreError


def write_private(path: Path, data: bytes, *, replace: bool) -> None:
    """Raises ``click.UsageError`` for a file that is there already, ``StoreError`` when it cannot be written."""
    try:
        if replace and path.is_file():
            replace_private(path.resolve(), data)  # where a link leads; a link stays one
            return
        flags = os.O_WRONLY | os.O_CREAT | (0 if replace else os.O_EXCL)  # a device can only be written to
        with open(os.open(path, flags, 0o600), "wb") as file:
            file.write(data)
    except FileExistsError:
        raise click.UsageError(f"{path} is already there. To replace it: --force") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
