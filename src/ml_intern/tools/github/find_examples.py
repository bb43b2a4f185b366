"""``github_find_examples``: the files of a repository that show how it is used."""

from __future__ import annotations

import asyncio
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from ml_intern.errors import NotFoundError, ServiceError
from ml_intern.gateways.github import Github, RepoList, checked_repo, is_empty_repo
from ml_intern.gateways.github_tree import Files, all_files
from ml_intern.protocol.amounts import counted, size_text
from ml_intern.tools.base import PermissionSubject, Tool, ToolArgs, ToolContext, ToolOutput
from ml_intern.tools.github.example_paths import ExamplePaths, Scored, examples, fitting
from ml_intern.tools.github.paging import line_page

NEAR_MISSES = 10
UNREAD_SHOWN = 8


class GithubFindExamplesArgs(ToolArgs, frozen=True):
    repo: Annotated[str, Meta(min_length=1)]
    keyword: Annotated[str, Meta(description="Words of the path.")] = ""
    org: str = "huggingface"
    max_results: Annotated[int, Meta(ge=1, le=200)] = 50
    min_score: Annotated[int, Meta(ge=0, le=100)] = 60
    offset: Annotated[int, Meta(ge=0)] = 0


class _Chosen(Struct, frozen=True):
    """What is shown, and the words above it."""

    hits: list[Scored]
    about: str


class GithubFindExamplesTool(Tool[GithubFindExamplesArgs]):
    """One request for most repositories; paths are judged in a thread."""

    name: ClassVar[str] = "github_find_examples"
    description: ClassVar[str] = "Find example scripts, notebooks and guides in a GitHub repository, by folder and by keyword."
    risk_words: ClassVar[str] = "reads"
    args = GithubFindExamplesArgs
    timeout_s: ClassVar[float | None] = 240.0

    def __init__(self, github: Github) -> None:
        self._github = github

    def subject(self, args: GithubFindExamplesArgs) -> PermissionSubject:
        return PermissionSubject(parts=(_repo(args),))

    async def run(self, args: GithubFindExamplesArgs, ctx: ToolContext) -> ToolOutput:
        repo = checked_repo(_repo(args))
        paths = ExamplePaths()
        try:
            found = await all_files(self._github, repo, paths.is_example_folder)
        except NotFoundError as error:
            return await self._near_misses(repo, error)
        except ServiceError as error:
            if is_empty_repo(error):
                return ToolOutput(text=f"{repo} is empty: nothing was pushed there yet.")
            raise
        chosen = await asyncio.to_thread(_choose, found, args, paths)
        return ToolOutput(text=_shown(f"{self._github.pages_url}/{repo}", args, found, chosen))

    async def _near_misses(self, repo: str, missing: NotFoundError) -> ToolOutput:
        owner, _, name = repo.partition("/")
        try:
            near = await self._search(f"user:{owner} {name} in:name")
            if not near.repos:
                near = await self._search(f"{name} in:name")
        except ServiceError:
            raise missing from None  # what the search lacks is not what was asked
        if not near.repos:
            raise missing
        lines = [f"GitHub has no repository {repo} (or it is private). Close to it:"]
        lines += [
            f"- {found.full_name} ({found.stars:,} stars) {' '.join((found.description or '').split())[:100]}" for found in near.repos
        ]
        return ToolOutput(text="\n".join(lines), success=False, error_kind="not_found")

    async def _search(self, query: str) -> RepoList:
        return await self._github.search_repos(query, sort="stars", limit=NEAR_MISSES)


def _repo(args: GithubFindExamplesArgs) -> str:
    """``owner/name`` or a URL given as ``repo`` wins over ``org``."""
    return args.repo if "/" in args.repo else f"{args.org}/{args.repo}"


def _choose(found: Files, args: GithubFindExamplesArgs, paths: ExamplePaths) -> _Chosen:
    shown = examples(found.files, paths)
    if not args.keyword.strip():
        return _Chosen(shown, "Examples")
    hits = fitting([hit.entry for hit in shown], args.keyword, args.min_score)
    if hits:
        return _Chosen(hits, f"Examples like '{args.keyword}', best first")
    others = fitting(found.files, args.keyword, max(args.min_score, 80))
    return _Chosen(others, f"None of its {len(shown):,} examples is like '{args.keyword}'. Other files that are, best first")


def _shown(url: str, args: GithubFindExamplesArgs, found: Files, chosen: _Chosen) -> str:
    repo = checked_repo(_repo(args))
    total = len(chosen.hits)
    hits = chosen.hits[args.offset : args.offset + args.max_results]
    page = line_page([_row(hit, scored=bool(args.keyword.strip())) for hit in hits], args.offset + 1, total=total)
    lines = [f"{repo}, {counted(len(found.files), 'file')}. {chosen.about}: {page.first if hits else 0}–{page.last} of {total:,}"]
    if not hits:
        lines = [f"{repo}, {counted(len(found.files), 'file')}. {chosen.about}: none{' at this offset' if total else ''}."]
    if page.more and hits:
        lines[0] += f"; continue with offset {page.last}"
    if found.unread:
        more = f" and {len(found.unread) - UNREAD_SHOWN} more" if len(found.unread) > UNREAD_SHOWN else ""
        folders = ", ".join(found.unread[:UNREAD_SHOWN])
        lines.append(f"The repository is too large for one listing; not looked into: {folders}{more}. List them by github_read_file.")
    if hits:
        lines += [f'Read one: github_read_file(repo="{repo}", path="…"); page: {url}/blob/HEAD/<path>', "", *page.lines]
    return "\n".join(lines)


def _row(hit: Scored, *, scored: bool) -> str:
    score = f"  ({hit.score:.0f})" if scored else ""
    return f"{hit.entry.path}  {size_text(hit.entry.size or 0)}  {hit.entry.sha[:7]}{score}"
