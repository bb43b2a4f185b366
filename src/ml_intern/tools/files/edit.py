"""``edit``: replace a passage of a file, or put something before or after it. How is in ``replacing``, imported at the first call."""

import asyncio
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from ml_intern.compute.base import Workspace
from ml_intern.errors import ToolError
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.display import Display
from ml_intern.tools.base import PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.files.place import as_tool_error, existing_file, target, write_risk
from ml_intern.tools.files.python_files import PythonFiles

if TYPE_CHECKING:
    from ml_intern.tools.files.replacing import Replaced

MAX_BYTES = 16 * 1024 * 1024


class EditArgs(ToolArgs, frozen=True):
    path: Annotated[str, Meta(description="File to change; it must have been read.")]
    old_str: Annotated[str, Meta(description="The passage as it is in the file, without line numbers.")]
    new_str: Annotated[str, Meta(description="What to put in its place, or to insert.")]
    replace_all: Annotated[bool, Meta(description="Every occurrence, not just the only one.")] = False
    mode: Annotated[
        Literal["replace", "append_after", "prepend_before", "replace_all"],
        Meta(
            extra_json_schema={"enum": ["replace", "append_after", "prepend_before"]},
            description="append_after and prepend_before insert new_str as it is next to old_str, which stays.",
        ),
    ] = "replace"


class EditTool(Tool[EditArgs]):
    """Changes the matched span and not a byte beside it: mode, links, encoding and newlines stay."""

    name: ClassVar[str] = "edit"
    description: ClassVar[str] = (
        "Change a file that was read: old_str must occur exactly once (add surrounding lines until it does), or set replace_all. "
        "Python files are checked afterwards."
    )
    args = EditArgs
    in_research: ClassVar[bool] = False
    risk_words: ClassVar[str] = "writes the workspace; outside of it, it asks"

    def __init__(self, workspace: Workspace, ledger: FileLedger, python: PythonFiles) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._python = python

    def risk(self, args: EditArgs) -> Risk:
        return write_risk(self._workspace, args.path)

    def subject(self, args: EditArgs) -> PermissionSubject:
        return PermissionSubject(parts=(args.path,))

    def preview(self, args: EditArgs) -> tuple[Display, ...]:
        from ml_intern.tools.files.diff import unified_diff

        before = "" if args.mode in ("append_after", "prepend_before") else args.old_str
        return (unified_diff(args.path, before, args.new_str),)

    async def run(self, args: EditArgs, ctx: ToolContext) -> ToolOutput:
        from ml_intern.tools.files.diff import unified_diff
        from ml_intern.tools.files.replacing import replaced
        from ml_intern.tools.files.text_file import NotText, decode

        _demand_sense(args)
        found = target(self._workspace, args.path)
        stat = await existing_file(self._workspace, found)
        self._ledger.demand(found.path, stat, args.path)
        if stat.size_bytes > MAX_BYTES:
            raise ToolError(f"{args.path} is too large to edit ({stat.size_bytes:,} bytes).", hint="Change it by a program, such as sed.")
        try:
            file = decode(await self._workspace.read_bytes(found.path))
        except NotText:
            raise ToolError(f"{args.path} is a binary file.", hint="Change it by a program that knows the format.") from None
        except OSError as error:
            raise as_tool_error(error, args.path, "read") from error
        change = await asyncio.to_thread(replaced, file, args)
        self._ledger.demand(found.path, await existing_file(self._workspace, found), args.path)  # Someone may have been quicker.
        try:
            after = await self._workspace.write_bytes(found.path, file.encode(change.text))
        except OSError as error:
            raise as_tool_error(error, args.path, "written") from error
        warnings = await self._python.check(found.path)
        return ToolOutput(
            text=_success(args, change) + warnings,
            display=(unified_diff(args.path, file.text, change.text),),
            files=(self._ledger.record(found.path, after),),
        )


def _demand_sense(args: EditArgs) -> None:
    if not args.old_str:
        raise ToolError("old_str is empty.", hint="Name the passage to change; use write for a new file.")
    if args.old_str == args.new_str and args.mode in ("replace", "replace_all"):
        raise ToolError("old_str and new_str are the same: nothing would change.")


def _success(args: EditArgs, change: "Replaced") -> str:
    count = change.count
    verb = {"append_after": "inserted after", "prepend_before": "inserted before"}.get(args.mode, "replaced")
    what = counted(count, "occurrence")
    note = f" ({change.note})" if change.note else ""
    return f"Edited {args.path}: {verb} {what}{note}."
