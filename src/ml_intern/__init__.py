"""ml-intern: an autonomous ML engineer for the terminal, and a library: ``from ml_intern import open_session``.

The README has ten lines that work.
"""

TYPE_CHECKING = False  # the name that type checkers know, without the import: until ``main`` runs nobody catches a Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from ml_intern.app import open_session
    from ml_intern.tools.base import ToolSpec

__all__ = ["ToolSpec", "open_session"]


def __getattr__(name: str) -> "Any":
    """Imported when asked for: ``ml-intern --version`` loads this package too, and must not pay for a session."""
    if name == "open_session":
        from ml_intern.app import open_session

        return open_session
    if name == "ToolSpec":
        from ml_intern.tools.base import ToolSpec

        return ToolSpec
    raise AttributeError(f"module 'ml_intern' has no attribute '{name}'")
