"""What every file tool asks of a path before it touches it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ml_intern.compute.base import FileKind, FileStat, Place, Workspace
from ml_intern.errors import ToolError
from ml_intern.tools.base import Effect, Risk


class Target(Struct, frozen=True):
    """A path in the model's words, and where it leads."""

    shown: str
    path: Path
    place: Place


def target(workspace: Workspace, shown: str) -> Target:
    """Raises ``ToolError`` for a path that is none, and for credentials."""
    if not shown.strip():
        raise ToolError("The path is empty.")
    try:
        path = workspace.resolve(shown)
    except (ValueError, OSError) as error:
        raise ToolError(f"'{shown}' is no usable path: {error}") from error
    place = workspace.place(path)
    if place is Place.HIDDEN:
        raise ToolError(f"{shown} holds credentials: no tool may read or write it.", hint="Ask the user for what you need from it.")
    return Target(shown, path, place)


def write_risk(workspace: Workspace, shown: str) -> Risk:
    """The risk of writing there."""
    try:
        path = workspace.resolve(shown)
    except (ValueError, OSError):
        return Risk(effects=frozenset({Effect.WRITES_WORKSPACE}))  # It will fail with a reason, and write nothing.
    touched = frozenset({str(path)})
    if _steers_programs(workspace, path):
        reason = f"It writes {path}, which programs outside the sandbox run or believe."
        return Risk(effects=frozenset({Effect.WRITES_OUTSIDE}), reads=touched, writes=touched, reason=reason)
    if workspace.place(path) is Place.WORKSPACE:
        return Risk(effects=frozenset({Effect.WRITES_WORKSPACE}), reads=touched, writes=touched, confined=True)
    return Risk(
        effects=frozenset({Effect.WRITES_OUTSIDE}), reads=touched, writes=touched, reason=f"It writes {path}, outside the workspace."
    )


def _steers_programs(workspace: Workspace, path: Path) -> bool:
    """Whether it lies in a repository's own folder or in our settings, at any depth; some file systems ignore case."""
    inside = path.relative_to(workspace.root) if path.is_relative_to(workspace.root) else path
    return any(part.casefold() in (".git", ".ml-intern") for part in inside.parts)


def as_tool_error(error: OSError, shown: str, verb: str) -> ToolError:
    """An operating system's refusal, for the model to read."""
    return ToolError(f"{shown} cannot be {verb}: {error.strerror or error}.")


async def existing_file(workspace: Workspace, found: Target) -> FileStat:
    """The regular file at the target. Raises ``ToolError`` that says what is there instead, or what comes close."""
    try:
        stat = await workspace.stat(found.path)
    except OSError as error:
        raise as_tool_error(error, found.shown, "read") from error
    if stat is None:
        raise ToolError(f"{found.shown} does not exist.", hint=await _near_names(workspace, found.path))
    if stat.kind is FileKind.DIRECTORY:
        names = await _names(workspace, found.path)
        listed = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
        raise ToolError(f"{found.shown} is a folder.", hint=f"It holds: {listed}." if names else "It is empty.")
    if stat.kind is FileKind.OTHER:
        raise ToolError(f"{found.shown} is no regular file (a device, a pipe or a socket).")
    return stat


async def _near_names(workspace: Workspace, path: Path) -> str:
    """What the path may have been meant to be."""
    import difflib

    folder, missing = path.parent, path.name
    while not (names := await _names(workspace, folder)) and folder != folder.parent:
        missing = folder.name
        folder = folder.parent
    folded = {name.casefold(): name for name in names}
    near = [folded[name] for name in difflib.get_close_matches(missing.casefold(), folded, n=3, cutoff=0.6)]
    if near:
        return f"Did you mean {' or '.join(str(folder / name) for name in near)}?"
    return f"The nearest folder that exists is {folder}." if folder != path.parent else "Use glob to find it."


async def _names(workspace: Workspace, folder: Path) -> list[str]:
    try:
        return await workspace.list_names(folder)
    except OSError:
        return []
