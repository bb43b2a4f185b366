"""``glob``: files by name."""

from typing import Annotated, ClassVar

from msgspec import Meta

from ml_intern.compute.base import Workspace
from ml_intern.tools.base import ANY_FILE, Effect, PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.search.ripgrep import folder_to_search, glob_command, search

MAX_FILES = 200


class GlobArgs(ToolArgs, frozen=True):
    pattern: Annotated[str, Meta(min_length=1, description="Such as *.py (at any depth) or src/**/test_*.{py,ipynb}.")]
    path: Annotated[str, Meta(description="Folder to search.")] = "."


class GlobTool(Tool[GlobArgs]):
    """Files that ``.gitignore`` names are left out where ripgrep is installed."""

    name: ClassVar[str] = "glob"
    description: ClassVar[str] = "Find files by name, the newest first (at most 200). Files ignored by git are left out."
    args = GlobArgs

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def risk(self, args: GlobArgs) -> Risk:
        return Risk(effects=frozenset({Effect.READS}), reads=frozenset({ANY_FILE}))

    def subject(self, args: GlobArgs) -> PermissionSubject:
        return PermissionSubject(parts=(args.path,))

    async def run(self, args: GlobArgs, ctx: ToolContext) -> ToolOutput:
        folder = await folder_to_search(self._workspace, args.path, file_too=False)
        result = await search(self._workspace, glob_command(self._workspace, args.pattern, MAX_FILES + 1), folder)
        found = result.head.splitlines()
        if not found:
            return ToolOutput(text=f"No files match {args.pattern} in {args.path}")
        prefix = "" if args.path in (".", "./") else args.path.rstrip("/") + "/"
        rows = [prefix + name.removeprefix("./") for name in found[:MAX_FILES]]
        if len(found) > MAX_FILES:
            rows.append(f"(more than {MAX_FILES} files match: narrow the pattern or the path)")
        return ToolOutput(text="\n".join(rows))
