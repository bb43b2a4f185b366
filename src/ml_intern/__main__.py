"""The command ``ml-intern``. Nothing is imported here before it is known to be needed: start-up speed is a feature.

Not even ``typing`` and ``__future__``: they cost as much as all the rest of ``--version``, and until ``main`` runs nobody is
there to catch a Ctrl-C.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ml_intern.config.load import LoadedSettings
    from ml_intern.frontends.headless.options import Host

INTERRUPTED = 130


def main(arguments: "list[str] | None" = None) -> int:
    """Run the command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments == ["--version"]:
            return _print_version()
        from ml_intern.frontends.cli import main as run

        return run(arguments, _open_session)
    except KeyboardInterrupt:
        return INTERRUPTED


def _print_version() -> int:
    from ml_intern.config.version import __version__

    sys.stdout.write(f"ml-intern {__version__}\n")
    return 0


async def _open_session(*, loaded: "LoadedSettings", resume: "str | None", auto_approve: bool, read_only: bool) -> "Host":
    """The composition root, handed down: frontends do not import it."""
    from ml_intern.app import open_session

    return await open_session(loaded=loaded, resume=resume, auto_approve=auto_approve, read_only=read_only)


if __name__ == "__main__":
    sys.exit(main())
