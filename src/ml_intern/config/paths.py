"""Where our own files live: the XDG folders, made for the user alone.

Specification: https://specifications.freedesktop.org/basedir-spec/latest/. The same on every system, macOS included, because
the original kept its settings in ``~/.config/ml-intern`` everywhere.
"""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from ml_intern.config.environ import Environ
from ml_intern.errors import ConfigError

APP_NAME = "ml-intern"


class Paths(NamedTuple):
    """Our folders. None of them need exist: see ``private_dir``."""

    config_dir: Path
    """Settings written by the user."""
    data_dir: Path
    """Sessions: what the user would miss."""
    cache_dir: Path
    """What can be fetched or computed again."""
    state_dir: Path
    """Logs of crashes."""

    @property
    def sessions_db(self) -> Path:
        """The session store."""
        return self.data_dir / "sessions.db"

    @property
    def spill_dir(self) -> Path:
        """Long tool outputs; a folder per session id."""
        return self.data_dir / "spill"


def home_dir(environ: Environ) -> Path:
    """The user's home: ``$HOME``, else what the user database says. Raises ``ConfigError`` when there is none."""
    if home := environ.get("HOME"):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigError("There is no home folder.", hint="Set HOME.") from error


def expand_home(path: str, environ: Environ) -> Path:
    """``path`` with a leading ``~`` replaced by the home of ``environ``."""
    if path == "~" or path.startswith("~/"):
        return home_dir(environ) / path[2:]
    return Path(path)


def with_tilde(path: str, home: str | Path) -> str:
    """The other way round: ``path`` with ``~`` in place of this home, for people to read."""
    above = str(home).rstrip("/")
    return f"~{path[len(above) :]}" if above and f"{path}/".startswith(f"{above}/") else path


def paths_from(environ: Environ) -> Paths:
    """The folders that the environment asks for. A relative ``XDG_*`` value is ignored, as the specification wants."""

    def base(variable: str, *default: str) -> Path:
        value = environ.get(variable)
        root = Path(value) if value and Path(value).is_absolute() else home_dir(environ).joinpath(*default)
        return root / APP_NAME

    return Paths(
        config_dir=base("XDG_CONFIG_HOME", ".config"),
        data_dir=base("XDG_DATA_HOME", ".local", "share"),
        cache_dir=base("XDG_CACHE_HOME", ".cache"),
        state_dir=base("XDG_STATE_HOME", ".local", "state"),
    )


def make_private(path: Path) -> None:
    """Make the folder and what is missing above it, each for its owner alone. Raises ``OSError``.

    ``mkdir(mode, parents=True)`` would give the mode to the last one only.
    """
    for folder in reversed([*takewhile(lambda each: not each.is_dir(), (path, *path.parents))]):
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            os.chmod(folder, 0o700)  # mkdir's mode is cut by the umask, and a stricter umask would lock us out


def private_dir(path: Path) -> Path:
    """Make the folder if it is missing, readable by its owner alone, and return it. Raises ``ConfigError`` when it cannot be."""
    try:
        make_private(path)
    except OSError as error:
        raise ConfigError(
            f"The folder {path} cannot be made: {error.strerror}.",
            hint="Free the path or point the XDG_* variables at a folder of yours.",
        ) from error
    return path
