"""``read``: a page of a text file with line numbers, a notebook as cells, a picture as a picture."""

from collections.abc import Callable
from typing import Annotated, ClassVar

from msgspec import Meta

from ml_intern.compute.base import FileStat, Workspace
from ml_intern.errors import ToolError
from ml_intern.protocol.display import Picture
from ml_intern.protocol.events import FileSeen
from ml_intern.tools.base import Effect, PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.files.image_file import MAX_IMAGE_BYTES, as_image, media_type
from ml_intern.tools.files.ledger import FileLedger
from ml_intern.tools.files.place import Target, as_tool_error, existing_file, target
from ml_intern.tools.files.text_file import NotText, decode, split_lines

DEFAULT_LINES = 2000
MAX_LINE_CHARS = 4000
MAX_PAGE_CHARS = 24_000
"""A page always fits into what the one limiter lets through."""
WHOLE_BYTES = 8 * 1024 * 1024
"""Larger files are paged without being held in memory."""


class ReadArgs(ToolArgs, frozen=True):
    path: Annotated[str, Meta(description="File to read; absolute, or relative to the workspace.")]
    offset: Annotated[int, Meta(ge=1, description="First line, from 1.")] = 1
    limit: Annotated[int, Meta(ge=1, description="Most lines.")] = DEFAULT_LINES


class ReadTool(Tool[ReadArgs]):
    """What it has shown may then be edited: the ledger remembers it."""

    name: ClassVar[str] = "read"
    description: ClassVar[str] = (
        "Read a file: numbered lines, paged by offset and limit (lines are cut at 4,000 characters); notebooks as cells; png, jpeg, gif "
        "and webp as pictures if the model sees. A file must be read before it is edited or overwritten."
    )
    args = ReadArgs

    def __init__(self, workspace: Workspace, ledger: FileLedger, sees_images: Callable[[], bool]) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._sees_images = sees_images

    def risk(self, args: ReadArgs) -> Risk:
        try:
            touched = frozenset({str(self._workspace.resolve(args.path))})
        except (ValueError, OSError):
            touched = frozenset[str]()
        return Risk(effects=frozenset({Effect.READS}), reads=touched)

    def subject(self, args: ReadArgs) -> PermissionSubject:
        return PermissionSubject(parts=(args.path,))

    async def run(self, args: ReadArgs, ctx: ToolContext) -> ToolOutput:
        found = target(self._workspace, args.path)
        stat = await existing_file(self._workspace, found)
        try:
            if stat.size_bytes > WHOLE_BYTES:
                return await self._large(args, found, stat)
            data = await self._workspace.read_bytes(found.path)
        except OSError as error:
            raise as_tool_error(error, args.path, "read") from error
        if kind := media_type(data):
            return self._picture(found, stat, data, kind)
        if found.path.suffix == ".ipynb" and (notebook := self._notebook(args, found, stat, data)):
            return notebook
        try:
            lines = split_lines(decode(data).text)
        except NotText:
            raise self._binary(args.path, stat) from None
        if not lines:
            return ToolOutput(text=f"{args.path} is empty (0 lines).", files=self._seen(found, stat))
        return ToolOutput(text=_page(lines, args.offset, args.limit, len(lines), args.path), files=self._seen(found, stat))

    def _seen(self, found: Target, stat: FileStat) -> tuple[FileSeen, ...]:
        return (self._ledger.record(found.path, stat),)

    async def _large(self, args: ReadArgs, found: Target, stat: FileStat) -> ToolOutput:
        head = await self._workspace.read_bytes(found.path, 8192)
        if media_type(head):
            return self._picture(found, stat, head, media_type(head))
        try:
            encoding = decode(head).encoding
        except NotText:
            raise self._binary(args.path, stat) from None
        if encoding.startswith(("utf-16", "utf-32")):
            raise ToolError(
                f"{args.path} is {encoding} and too large to page ({stat.size_bytes:,} bytes).", hint="Convert it with iconv first."
            )
        page = await self._workspace.read_lines(found.path, args.offset, args.limit, 4 * MAX_PAGE_CHARS)
        lines = [line.decode("utf-8", "replace").rstrip("\r") for line in page.lines]
        text = _page(lines, args.offset, args.limit, page.total_lines, args.path, first=args.offset)
        return ToolOutput(text=text, files=self._seen(found, stat))

    def _binary(self, shown: str, stat: FileStat) -> ToolError:
        return ToolError(
            f"{shown} is a binary file ({stat.size_bytes:,} bytes).", hint="Look at it by bash with a program that knows the format."
        )

    def _picture(self, found: Target, stat: FileStat, data: bytes, kind: str) -> ToolOutput:
        display = (Picture(path=str(found.path), media_type=kind),)
        about = f"{found.shown}: a picture ({kind}, {stat.size_bytes:,} bytes)"
        if not self._sees_images():
            return ToolOutput(
                text=f"{about}. The current model does not take pictures: measure what you need by a program.", display=display
            )
        if stat.size_bytes > MAX_IMAGE_BYTES:
            raise ToolError(f"{about} is too large to be shown.", hint="Write a smaller copy and read that.")
        return ToolOutput(
            text=f"{about}, shown with this answer.", images=(as_image(data),), display=display, files=self._seen(found, stat)
        )

    def _notebook(self, args: ReadArgs, found: Target, stat: FileStat, data: bytes) -> ToolOutput | None:
        from ml_intern.tools.files.notebook import render

        if (rendered := render(data)) is None:
            return None
        text, images = rendered
        lines = split_lines(text)
        page = _page(lines, args.offset, args.limit, len(lines), args.path, numbered=False) if lines else "The notebook has no cells."
        note = "\n(A notebook, shown as cells. Its file is JSON: change it by a program, such as nbformat.)"
        return ToolOutput(text=page + note, images=tuple(images) if self._sees_images() else (), files=self._seen(found, stat))


def _page(lines: list[str], offset: int, limit: int, total: int, shown: str, *, first: int = 1, numbered: bool = True) -> str:
    """Lines from ``offset`` on; ``lines[0]`` is line ``first`` of ``total``."""
    if offset > total:
        raise ToolError(f"{shown} has {total:,} lines; there is no line {offset:,}.")
    rows: list[str] = []
    size = 0
    number = offset
    for line in lines[offset - first : offset - first + limit]:
        cut = line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}... (line cut, {len(line):,} characters)"
        row = f"{number:6}\t{cut}" if numbered else cut
        if rows and size + len(row) + 1 > MAX_PAGE_CHARS:
            break
        rows.append(row)
        size += len(row) + 1
        number += 1
    if number <= total:
        rows.append(f"(more lines: {total:,} in all, continue at offset {number})")
    return "\n".join(rows)
