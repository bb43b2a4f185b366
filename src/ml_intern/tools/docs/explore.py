"""``explore_hf_docs``: find pages and sections of the Hugging Face documentation."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ml_intern.errors import ServiceError
from ml_intern.gateways.doc_index import Entry, Found, Hit
from ml_intern.gateways.doc_keeper import Prepared
from ml_intern.gateways.hub.docs import COMPOSITES, ENDPOINTS, GRADIO, HubDocs
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.display import Table
from ml_intern.tools.base import PermissionSubject, Tool, ToolArgs, ToolContext, ToolOutput

DEFAULT_RESULTS = 20
MAX_RESULTS = 50
GLIMPSE_CHARS = 200
GRADIO_PAGE_CHARS = 20_000


class ExploreHfDocsArgs(ToolArgs, frozen=True):
    endpoint: Annotated[str, Meta(description=f"One of: {' '.join(ENDPOINTS)}.")]
    query: Annotated[str, Meta(description='Words; "quotes" for a phrase. Without: table of contents.')] = ""
    max_results: Annotated[int, Meta(ge=1, le=MAX_RESULTS, description="Results per page.")] = DEFAULT_RESULTS
    page: Annotated[int, Meta(ge=1)] = 1


class ExploreHfDocsTool(Tool[ExploreHfDocsArgs]):
    """A search of an index on this machine; the first question about a library fetches its documentation."""

    name: ClassVar[str] = "explore_hf_docs"
    description: ClassVar[str] = (
        "Search the documentation of a Hugging Face library, product or course by words, or list its pages. Answers with URLs, matching "
        "sections (#anchor) and snippets; read one with fetch_hf_docs before using an API."
    )
    risk_words: ClassVar[str] = "reads"
    price_words: ClassVar[str] = "free"
    args = ExploreHfDocsArgs

    def __init__(self, docs: HubDocs) -> None:
        self._docs = docs

    def subject(self, args: ExploreHfDocsArgs) -> PermissionSubject:
        return PermissionSubject(parts=(args.endpoint,))

    async def run(self, args: ExploreHfDocsArgs, ctx: ToolContext) -> ToolOutput:
        notes: list[str] = []
        if args.endpoint == GRADIO and args.query.strip():
            try:
                return await self._search_gradio(args)
            except ServiceError as error:
                notes.append(f"Gradio's own search is not available ({error.message}) These are matches in its llms.txt.")
        prepared = await self._docs.prepare(args.endpoint)
        offset = (args.page - 1) * args.max_results
        if not args.query.strip():
            return await self._contents(args, prepared, offset)
        found = await self._docs.search(prepared, args.query, offset, args.max_results)
        if not found.pages:
            notes.append(f"Nothing matches '{args.query}'; this is the table of contents.")
            return await self._contents(args, prepared, offset, notes)
        return self._results(args, prepared, found, notes)

    async def _search_gradio(self, args: ExploreHfDocsArgs) -> ToolOutput:
        text = await self._docs.search_gradio(args.query)
        start = (args.page - 1) * GRADIO_PAGE_CHARS
        part = text[start : start + GRADIO_PAGE_CHARS]
        if not part:
            return ToolOutput(
                text=f"No more of Gradio's answer to '{args.query}'." if text else f"Gradio's search found nothing for '{args.query}'."
            )
        end = start + len(part)
        more = f"\n\n({len(text) - end:,} more characters: continue with page {args.page + 1})" if end < len(text) else ""
        return ToolOutput(text=f"Gradio's documentation on '{args.query}':\n\n{part}{more}")

    def _results(self, args: ExploreHfDocsArgs, prepared: Prepared, found: Found, notes: list[str]) -> ToolOutput:
        first = (args.page - 1) * args.max_results + 1
        if not found.hits:
            return ToolOutput(text=f"No more results: '{args.query}' is on {found.pages} pages.")
        if not found.every_word:
            notes.append("No section has all of the words; these have some.")
        matching = f"{counted(found.pages, 'page')} match{'es' * (found.pages == 1)}"
        head = f"{args.endpoint}: {matching} '{args.query}' (of {prepared.pages}), {first}-{first + len(found.hits) - 1}:"
        composite = args.endpoint in COMPOSITES
        shown = [self._hit(number, hit, composite) for number, hit in enumerate(found.hits, first)]
        rest = found.pages - (first - 1) - len(found.hits)
        more = [f"({rest} more: continue with page {args.page + 1})"] if rest > 0 else []
        table = Table(
            title=f"{args.endpoint}: {args.query}",
            columns=("page", "section", "url"),
            rows=tuple((hit.title, hit.heading, self._docs.url(hit.path)) for hit in found.hits),
        )
        return ToolOutput(text="\n".join([head, *_noted(prepared, notes), "", *shown, *more]), display=(table,))

    def _hit(self, number: int, hit: Hit, composite: bool) -> str:
        url = self._docs.url(hit.path)
        anchored = f"{url}#{hit.anchor}" if hit.anchor and hit.heading != hit.title and "#" not in url else url
        where = f" [{hit.set_name}]" if composite else ""
        section = f"\n   section: {hit.heading}" if hit.heading and hit.heading != hit.title else ""
        also = f"\n   also: {', '.join(f'#{anchor}' for _, anchor in hit.also)}" if hit.also else ""
        return f"{number}. **{hit.title}**{where} {anchored} (score {hit.score:.2f}){section}\n   {_line(hit.snippet)}{also}"

    async def _contents(self, args: ExploreHfDocsArgs, prepared: Prepared, offset: int, notes: list[str] | None = None) -> ToolOutput:
        entries, total = await self._docs.contents(prepared, offset, args.max_results)
        if not entries:
            return ToolOutput(
                text=f"{args.endpoint} has {counted(total, 'page')}; there is no page {args.page} of {args.max_results} each."
            )
        head = f"{args.endpoint}: {counted(total, 'page')}, {offset + 1}-{offset + len(entries)}:"
        composite = args.endpoint in COMPOSITES
        shown = [self._entry(number, entry, composite) for number, entry in enumerate(entries, offset + 1)]
        rest = total - offset - len(entries)
        more = [f"({rest} more: continue with page {args.page + 1}, or search with a query)"] if rest > 0 else []
        return ToolOutput(text="\n".join([head, *_noted(prepared, notes or []), "", *shown, *more]))

    def _entry(self, number: int, entry: Entry, composite: bool) -> str:
        where = f" [{entry.set_name}]" if composite else ""
        begins = _line(" ".join(line for line in entry.begins.splitlines() if not line.startswith("#")))
        return f"{number}. **{entry.title}**{where} {self._docs.url(entry.path)}" + (f"\n   {begins}" if begins else "")


def _line(text: str) -> str:
    one = " ".join(text.replace("#", " ").split())
    return one if len(one) <= GLIMPSE_CHARS else f"{one[:GLIMPSE_CHARS]}…"


def _noted(prepared: Prepared, notes: list[str]) -> list[str]:
    return [f"Note: {note}" for note in (*notes, *prepared.notes)]
