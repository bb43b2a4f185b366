"""Our own log file: what went wrong inside, with tracebacks, for a bug report. Nothing of it is shown unless asked for."""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path

from ml_intern.config.credentials import known_secrets
from ml_intern.config.environ import Environ
from ml_intern.config.paths import paths_from, private_dir
from ml_intern.config.settings import Settings
from ml_intern.errors import ConfigError

MAX_BYTES = 2_000_000
FILE_NAME = "ml-intern.log"
_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


def log_file(environ: Environ) -> Path:
    """Where the log is, or would be."""
    return paths_from(environ).state_dir / FILE_NAME


def set_up_logging(environ: Environ, *, verbose: bool) -> None:
    """Warnings and errors go to the log file, which is made with the first of them; ``verbose`` shows them on stderr too."""
    root = logging.getLogger()
    handlers: list[logging.Handler] = [PrivateLogFile(log_file(environ))]
    if verbose:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(_ScrubbingFormatter(environ))
        handler.setLevel(logging.WARNING)
        root.addHandler(handler)


def keep_traceback(error: Exception, environ: Environ) -> Path | None:
    """Write an unexpected failure to the log file; None when that cannot be written."""
    record = logging.LogRecord(__name__, logging.CRITICAL, __file__, 0, "unexpected failure", (), (type(error), error, error.__traceback__))
    path = log_file(environ)
    try:
        with open_private(path) as file:
            file.write(_ScrubbingFormatter(environ).format(record) + "\n")
    except (OSError, ConfigError):
        return None
    return path


def open_private(path: Path) -> TextIOWrapper:
    """Open a file to append to, readable by its owner alone; one that has grown too long is put aside and begun anew."""
    private_dir(path.parent)
    if path.exists() and path.stat().st_size > MAX_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8")


class PrivateLogFile(logging.FileHandler):
    """The log file, opened with the first record."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, delay=True, encoding="utf-8")

    def _open(self) -> TextIOWrapper:
        return open_private(Path(self.baseFilename))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; logging's own version opens the file where nothing catches a failure."""
        try:
            super().emit(record)
        except (OSError, ConfigError):
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A log that cannot be written is said once, in a line; it never stops the work."""
        print(f"warning: {self.baseFilename} cannot be written: {sys.exc_info()[1]}", file=sys.stderr)
        self.setLevel(logging.CRITICAL + 1)


class _ScrubbingFormatter(logging.Formatter):
    """Exception texts quote what was sent and received; secrets in them stay out of the file."""

    def __init__(self, environ: Environ) -> None:
        super().__init__(_FORMAT)
        self._environ = environ

    def format(self, record: logging.LogRecord) -> str:
        from ml_intern.session.scrub import Scrubber  # records are rare, and its patterns take a while to compile

        return Scrubber(known_secrets(Settings(), self._environ)).scrub(super().format(record))
