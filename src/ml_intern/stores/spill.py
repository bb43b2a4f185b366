"""The folder of a session's long tool outputs goes with the session."""

from __future__ import annotations

import shutil
from pathlib import Path

from ml_intern.errors import StoreError


def remove_spill(spill_dir: Path, session_id: str) -> None:
    """Remove ``spill_dir/session_id``, if it is there. A link is unlinked, never followed. Raises ``StoreError``."""
    folder = spill_dir / session_id
    if not session_id or folder.parent != spill_dir or folder.name in (".", ".."):
        return  # an id that is no plain name has no folder of ours
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(
            f"The session is deleted, but its folder {folder} is not: {error.strerror}.", hint="Remove the folder by hand."
        ) from error
