"""``write``: a whole file at once."""

from typing import Annotated, ClassVar

from msgspec import Meta

from ml_intern.compute.base import FileStat, Workspace
from ml_intern.errors import ToolError
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.display import Diff, Display, Text
from ml_intern.tools.base import PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.files.place import Target, as_tool_error, existing_file, target, write_risk
from ml_intern.tools.files.python_files import PythonFiles

_SHOWN_CHARS = 4_000
_LANGUAGES = {".py": "python", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".md": "markdown", ".toml": "toml", ".sh": "bash"}
_DIFF_BYTES = 4 * 1024 * 1024


class WriteArgs(ToolArgs, frozen=True):
    path: Annotated[str, Meta(description="File to write; folders are created.")]
    content: Annotated[str, Meta(description="The whole new content.")]


class WriteTool(Tool[WriteArgs]):
    """Atomic; refuses to replace what was not read, or has changed since."""

    name: ClassVar[str] = "write"
    description: ClassVar[str] = (
        "Create a file, or replace one that was read before. For changes to an existing file prefer edit. "
        "Python files are checked afterwards."
    )
    args = WriteArgs
    in_research: ClassVar[bool] = False
    risk_words: ClassVar[str] = "writes the workspace; outside of it, it asks"

    def __init__(self, workspace: Workspace, ledger: FileLedger, python: PythonFiles) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._python = python

    def risk(self, args: WriteArgs) -> Risk:
        return write_risk(self._workspace, args.path)

    def subject(self, args: WriteArgs) -> PermissionSubject:
        return PermissionSubject(parts=(args.path,))

    def preview(self, args: WriteArgs) -> tuple[Display, ...]:
        return (Text(text=args.content, language=_language(args.path)),)

    async def run(self, args: WriteArgs, ctx: ToolContext) -> ToolOutput:
        from ml_intern.tools.files.text_file import split_lines

        found = target(self._workspace, args.path)
        try:
            data = args.content.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ToolError(f"content holds half a surrogate pair at character {error.start}, which no file can hold.") from error
        try:
            before = await self._workspace.stat(found.path)
            old = await self._old_text(found, before)
            after = await self._workspace.write_bytes(found.path, data)
        except OSError as error:
            raise as_tool_error(error, args.path, "written") from error
        lines = len(split_lines(args.content))
        verb = "Created" if before is None else "Replaced"
        text = f"{verb} {args.path}: {counted(len(data), 'byte')}, {counted(lines, 'line')}."
        display = Text(text=args.content[:_SHOWN_CHARS], language=_language(args.path)) if old is None else _diff(args, old)
        warnings = await self._python.check(found.path)
        return ToolOutput(text=text + warnings, display=(display,), files=(self._ledger.record(found.path, after),))

    async def _old_text(self, found: Target, before: FileStat | None) -> str | None:
        """What is there now, for the diff; None when there is nothing that a diff could show."""
        from ml_intern.tools.files.text_file import NotText, decode

        if before is None:
            return None
        self._ledger.demand(found.path, await existing_file(self._workspace, found), found.shown)
        if before.size_bytes > _DIFF_BYTES:
            return None
        try:
            return decode(await self._workspace.read_bytes(found.path)).text
        except NotText:
            return None


def _diff(args: WriteArgs, old: str) -> Diff:
    from ml_intern.tools.files.diff import unified_diff

    return unified_diff(args.path, old, args.content)


def _language(path: str) -> str:
    return _LANGUAGES.get(path[path.rfind(".") :] if "." in path else "", "")
