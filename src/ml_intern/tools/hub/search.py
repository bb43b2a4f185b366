"""``hub_search``: models, datasets and Spaces by words and filters."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ml_intern.errors import ToolError
from ml_intern.gateways.hub.search import HubSearch, RepoFacts, RepoType, Search, Sort
from ml_intern.protocol.amounts import count_text
from ml_intern.protocol.display import Table
from ml_intern.tools.base import PermissionSubject, Tool, ToolArgs, ToolContext, ToolOutput

MOST = 50
_TAG_PREFIXES = ("task_categories", "language", "size_categories")
TAGS_SHOWN = 6


class HubSearchArgs(ToolArgs, frozen=True):
    query: str = ""
    kind: RepoType = "model"
    author: str = ""
    task: Annotated[str, Meta(description="e.g. text-generation")] = ""
    library: str = ""
    license: str = ""
    tags: tuple[str, ...] = ()
    sort: Sort = "trending_score"
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 10
    cursor: str = ""


class HubSearchTool(Tool[HubSearchArgs]):
    """One line per repository."""

    name: ClassVar[str] = "hub_search"
    description: ClassVar[str] = "Search the Hub by words of the name and filters."
    risk_words: ClassVar[str] = "reads"
    price_words: ClassVar[str] = "free"
    timeout_s: ClassVar[float | None] = 90.0
    args = HubSearchArgs

    def __init__(self, search: HubSearch) -> None:
        self._search = search

    def subject(self, args: HubSearchArgs) -> PermissionSubject:
        return PermissionSubject(parts=(f"{args.kind} {args.query}".strip(),))

    async def run(self, args: HubSearchArgs, ctx: ToolContext) -> ToolOutput:
        if args.kind == "space" and args.sort == "downloads":
            raise ToolError("Spaces have no downloads to sort by.", hint="Sort by likes, trending_score, created_at or last_modified.")
        page = await self._search.search(
            Search(
                kind=args.kind,
                query=args.query,
                author=args.author,
                task=args.task,
                library=args.library,
                license=args.license,
                tags=args.tags,
                sort=args.sort,
                limit=args.limit,
                cursor=args.cursor,
            )
        )
        if not page.found:
            return ToolOutput(text=_nothing(args))
        lines = [f"{number}. {line(facts, args.kind)}" for number, facts in enumerate(page.found, 1)]
        if page.cursor:
            lines.append(f"(more: the same call with cursor={page.cursor!r})")
        table = Table(f"{args.kind}s: {args.query or 'all'}", ("repository", "about"), tuple(_cells(facts) for facts in page.found))
        return ToolOutput(text="\n".join(lines), display=(table,))


def line(facts: RepoFacts, kind: RepoType) -> str:
    """A repository on one line."""
    name, about = _cells(facts)
    tags = _tags(facts) if kind != "model" else []
    return " · ".join(part for part in (name, about, ", ".join(tags)) if part)


def _cells(facts: RepoFacts) -> tuple[str, str]:
    counted = f"{count_text(facts.safetensors.total)} parameters" if facts.safetensors and facts.safetensors.total else ""
    access = [word for word, is_so in (("private", facts.private), (f"gated ({facts.gated})", bool(facts.gated))) if is_so]
    parts = (
        facts.pipeline_tag or "",
        facts.library_name or facts.sdk or "",
        counted,
        f"{count_text(facts.downloads)} downloads" if facts.downloads is not None else "",
        f"{count_text(facts.likes)} likes",
        f"updated {facts.last_modified[:10]}" if facts.last_modified else "",
        ", ".join(facts.tag("license")),
        *access,
    )
    return facts.id, " · ".join(part for part in parts if part)


def _tags(facts: RepoFacts) -> list[str]:
    named = [value for prefix in _TAG_PREFIXES for value in facts.tag(prefix)]
    return named[:TAGS_SHOWN]


def _nothing(args: HubSearchArgs) -> str:
    names = ("query", "author", "task", "library", "license", "tags")
    asked = ", ".join(f"{name}={getattr(args, name)!r}" for name in names if getattr(args, name))
    if args.cursor:
        return "No more results."
    return f"No {args.kind} matches {asked or 'this'}. Fewer or shorter words may: the Hub looks for them in names."
