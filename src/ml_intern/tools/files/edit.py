"""``edit``: replace a passage of a file, or put something before or after it."""

from __future__ import annotations

import asyncio
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ml_intern.compute.base import Workspace
from ml_intern.errors import ToolError
from ml_intern.protocol.display import Display
from ml_intern.tools.base import PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.files.diff import unified_diff
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.files.matching import Found, Span, find, fitted, line_numbers, not_found
from ml_intern.tools.files.place import as_tool_error, existing_file, target, write_risk
from ml_intern.tools.files.python_files import PythonFiles
from ml_intern.tools.files.text_file import NotText, TextFile, decode

MAX_BYTES = 16 * 1024 * 1024
_LISTED_LINES = 20


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

    def __init__(self, workspace: Workspace, ledger: FileLedger, python: PythonFiles) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._python = python

    def risk(self, args: EditArgs) -> Risk:
        return write_risk(self._workspace, args.path)

    def subject(self, args: EditArgs) -> PermissionSubject:
        return PermissionSubject(parts=(args.path,))

    def preview(self, args: EditArgs) -> tuple[Display, ...]:
        before = "" if args.mode in ("append_after", "prepend_before") else args.old_str
        return (unified_diff(args.path, before, args.new_str),)

    async def run(self, args: EditArgs, ctx: ToolContext) -> ToolOutput:
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
        matches, new_text = await asyncio.to_thread(_edited, file, args)
        self._ledger.demand(found.path, await existing_file(self._workspace, found), args.path)  # Someone may have been quicker.
        try:
            after = await self._workspace.write_bytes(found.path, file.encode(new_text))
        except OSError as error:
            raise as_tool_error(error, args.path, "written") from error
        warnings = await self._python.check(found.path)
        return ToolOutput(
            text=_success(args, matches) + warnings,
            display=(unified_diff(args.path, file.text, new_text),),
            files=(self._ledger.record(found.path, after),),
        )


def _demand_sense(args: EditArgs) -> None:
    if not args.old_str:
        raise ToolError("old_str is empty.", hint="Name the passage to change; use write for a new file.")
    if args.old_str == args.new_str and args.mode in ("replace", "replace_all"):
        raise ToolError("old_str and new_str are the same: nothing would change.")


def _edited(file: TextFile, args: EditArgs) -> tuple[Found, str]:
    """The places found and the new text. Raises ``ToolError`` when there is none, or more than one where one is meant."""
    matches = find(file.text, args.old_str)
    if matches is None:
        raise not_found(file.text, args.old_str, args.path)
    every = args.replace_all or args.mode == "replace_all"
    if len(matches.spans) > 1 and not every:
        numbers = line_numbers(file.text, matches.spans)
        listed = ", ".join(map(str, numbers[:_LISTED_LINES])) + (", …" if len(numbers) > _LISTED_LINES else "")
        raise ToolError(
            f"old_str occurs {len(numbers)} times in {args.path} (lines {listed}).",
            hint="Add lines around it until it is the only one, or set replace_all.",
        )
    pieces: list[str] = []
    at = 0
    for span in matches.spans:
        pieces += [file.text[at : span.start], _changed(file, args, span)]
        at = span.end
    return matches, "".join([*pieces, file.text[at:]])


def _changed(file: TextFile, args: EditArgs, span: Span) -> str:
    new = fitted(file.text, args.new_str, args.old_str, span, file.newline_at(span.start, span.end))
    kept = file.text[span.start : span.end]
    match args.mode:
        case "append_after":
            return kept + new
        case "prepend_before":
            return new + kept
        case "replace" | "replace_all":
            return new


def _success(args: EditArgs, matches: Found) -> str:
    count = len(matches.spans)
    verb = {"append_after": "inserted after", "prepend_before": "inserted before"}.get(args.mode, "replaced")
    what = f"{count} occurrence{'s' if count > 1 else ''}"
    note = f" ({matches.note})" if matches.note else ""
    return f"Edited {args.path}: {verb} {what}{note}."
