"""The command ``ml-intern``. Nothing is imported here before it is known to be needed: start-up speed is a feature.

Not even ``typing`` and ``__future__``: they cost as much as all the rest of ``--version``, and until ``main`` runs nobody is
there to catch a Ctrl-C.
"""

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings
    from ml_intern.frontends.tui.backend import Backend

FAILED, INTERRUPTED = 1, 130
STDERR = 2
COLLECT_AFTER = 50_000
"""New objects between two looks for cycles. At Python's 700 the imports of a start are looked through more than a hundred times."""


def main(arguments: "list[str] | None" = None) -> int:
    """Run the command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    gc.set_threshold(COLLECT_AFTER)
    try:
        if not _open_streams():
            sys.stderr.write("ml-intern: standard output is closed: there is nowhere to write to.\n")
            return FAILED
        if arguments == ["--version"]:
            return _print_version()
        from ml_intern.frontends.cli import main as run

        return run(arguments, _open_session)
    except KeyboardInterrupt:
        return INTERRUPTED


def _open_streams() -> bool:
    """Whether standard output is open. The other two become the empty device where the caller closed them (``2>&-``), so that no
    file or socket of ours gets their number and with it what is meant for the screen.
    """
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]
        return True
    for descriptor in range(STDERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stdin = open(0)  # noqa: SIM115 - open for as long as the process lives
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr = open(STDERR, "w", buffering=1)  # noqa: SIM115 - likewise
    return sys.stdout is not None  # pyright: ignore[reportUnnecessaryComparison]


def _print_version() -> int:
    from ml_intern.config.version import __version__

    try:
        sys.stdout.write(f"ml-intern {__version__}\n")
        sys.stdout.flush()
    except OSError as error:
        from ml_intern.frontends.lost_output import output_lost

        return output_lost(error)
    return 0


async def _open_session(*, loaded: "LoadedSettings", resume: "str | None", auto_approve: bool, read_only: bool) -> "Backend":
    """The composition root, handed down: frontends do not import it."""
    from ml_intern.app import open_or_join

    return await open_or_join(loaded=loaded, resume=resume, auto_approve=auto_approve, read_only=read_only)


if __name__ == "__main__":
    sys.exit(main())
