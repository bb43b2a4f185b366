"""``github_read_file``: a page of a file, a notebook as Markdown, or what a folder holds."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Annotated, ClassVar

from msgspec import Meta

from ml_intern.errors import ToolError
from ml_intern.gateways.github import Content, Github, checked_repo
from ml_intern.gateways.notebook import fenced, notebook_markdown
from ml_intern.protocol.amounts import counted, size_text
from ml_intern.protocol.display import Display, Link
from ml_intern.tools.base import PermissionSubject, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.github.paging import LinePage, line_page

DEFAULT_LINES = 300
MOST_LINES = 20_000
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class GithubReadFileArgs(ToolArgs, frozen=True):
    repo: Annotated[str, Meta(description="owner/name")]
    path: Annotated[str, Meta(description="File or folder; empty: the root.")]
    ref: Annotated[str, Meta(description="Branch, tag or commit.")] = "HEAD"
    line_start: Annotated[int, Meta(ge=1)] = 1
    line_end: Annotated[int, Meta(ge=1)] | None = None


class GithubReadFileTool(Tool[GithubReadFileArgs]):
    """Small files come with GitHub's description of them, large ones as a stream that is left when the lines are there."""

    name: ClassVar[str] = "github_read_file"
    description: ClassVar[str] = (
        f"Read a file of a GitHub repository ({DEFAULT_LINES} lines unless told; notebooks as Markdown), or list a folder."
    )
    risk_words: ClassVar[str] = "reads"
    args = GithubReadFileArgs
    timeout_s: ClassVar[float | None] = 120.0

    def __init__(self, github: Github) -> None:
        self._github = github

    def subject(self, args: GithubReadFileArgs) -> PermissionSubject:
        return PermissionSubject(parts=(f"{args.repo}/{args.path}",))

    async def run(self, args: GithubReadFileArgs, ctx: ToolContext) -> ToolOutput:
        first = args.line_start
        if args.line_end is not None and args.line_end < first:
            raise ToolError(f"line_end {args.line_end} is before line_start {first}.")
        found = await self._github.content(args.repo, args.path, _ref(args))
        link: tuple[Display, ...] = (Link(title=_name(args), url=found.html_url),) if found.html_url else ()
        if found.entries is not None:
            return ToolOutput(text=_folder(args, found), display=link)
        if found.type == "submodule":
            return ToolOutput(
                text=f"{_name(args)} is a submodule: commit {found.sha[:12]} of {found.submodule_git_url or 'a repository elsewhere'}."
            )
        if found.type == "symlink" and found.data is None:
            return ToolOutput(text=f"{_name(args)} is a link to {found.target}.")
        return ToolOutput(text=await self._file(args, found), display=link)

    async def _file(self, args: GithubReadFileArgs, found: Content) -> str:
        notebook = args.path.lower().endswith(".ipynb")
        data = found.data
        if data is None and notebook:
            data = await self._github.raw(args.repo, args.path, _ref(args))
        if data is None:
            return await self._large(args, found)
        if data.startswith(LFS_POINTER):
            raise ToolError(f"{_name(args)} is kept in Git LFS: GitHub gives only a pointer to it.", hint="Clone the repository by bash.")
        if notebook:
            text = await asyncio.to_thread(notebook_markdown, data)
        elif b"\0" in data:
            raise ToolError(f"{_name(args)} is a binary file ({size_text(found.size)}).", hint="Download it by bash if you need it.")
        else:
            text = data.decode("utf-8", "replace")
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
        if not lines:
            return f"{_name(args)} is empty." if not notebook else f"{_name(args)} has no cells to show."
        first, count = _wanted(args)
        if first > len(lines):
            raise ToolError(f"{_name(args)} has {counted(len(lines), 'line')}; there is no line {first:,}.")
        page = line_page(lines[first - 1 : first - 1 + count], first, total=len(lines))
        return _shown(args, page, found.size, notebook=notebook)

    async def _large(self, args: GithubReadFileArgs, found: Content) -> str:
        first, count = _wanted(args)
        taken = await self._github.raw_lines(args.repo, args.path, _ref(args), first, count)
        if not taken.lines:
            raise ToolError(f"{_name(args)} ({size_text(found.size)}) has no line {first:,}.")
        return _shown(args, line_page(taken.lines, first, total=None, more=taken.more), found.size)


def _wanted(args: GithubReadFileArgs) -> tuple[int, int]:
    first = args.line_start
    count = DEFAULT_LINES if args.line_end is None else args.line_end - first + 1
    return first, min(count, MOST_LINES)


def _ref(args: GithubReadFileArgs) -> str:
    return "" if args.ref in ("", "HEAD") else args.ref


def _name(args: GithubReadFileArgs) -> str:
    at = f" at {args.ref}" if _ref(args) else ""
    path = "/".join(part for part in args.path.split("/") if part not in ("", "."))
    return f"{checked_repo(args.repo)}/{path}{at}"


def _shown(args: GithubReadFileArgs, page: LinePage, size_bytes: int, *, notebook: bool = False) -> str:
    whole = f" of {page.total:,}" if page.total is not None else ""
    header = f"{_name(args)} ({size_text(size_bytes)}), lines {page.first:,}–{page.last:,}{whole}"
    if notebook:
        header += ", a notebook as Markdown (outputs left out)"
    if page.more:
        header += f"; continue with line_start {page.last + 1}"
    text = "\n".join(page.lines)
    return f"{header}\n\n{text if notebook else fenced(text, PurePosixPath(args.path).suffix.lstrip('.'))}"


def _folder(args: GithubReadFileArgs, found: Content) -> str:
    entries = sorted(found.entries or (), key=lambda entry: (entry.type != "dir", entry.path))
    rows = [
        f"{PurePosixPath(entry.path).name}/"
        if entry.type == "dir"
        else f"{PurePosixPath(entry.path).name}  {_kind(entry.type, entry.size)}"
        for entry in entries
    ]
    first, count = _wanted(args)
    if not rows:
        return f"{_name(args)} is an empty folder."
    if first > len(rows):
        raise ToolError(f"{_name(args)} has {len(rows)} entr{'y' if len(rows) == 1 else 'ies'}; there is no entry {first}.")
    page = line_page(rows[first - 1 : first - 1 + count], first, total=len(rows))
    header = f"{_name(args)} is a folder, entries {page.first}–{page.last} of {page.total}"
    if page.more:
        header += f"; continue with line_start {page.last + 1}"
    if len(rows) >= 1000:
        header += " (GitHub lists the first 1,000 of a folder only)"
    return "\n".join([f"{header}:", *page.lines])


def _kind(kind: str, size: int | None) -> str:
    return size_text(size or 0) if kind == "file" else kind
