"""The documentation of Hugging Face's libraries: found in an index on this machine, read page by page.

Nothing here carries a token: the pages are public, and their addresses come from a model.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urldefrag, urlsplit

from msgspec import Struct

from ml_intern.errors import NotAllowedAddress, NotFoundError, ServiceDown, ServiceError
from ml_intern.gateways.doc_index import DocIndex, Entry, Found, SetState
from ml_intern.gateways.doc_keeper import DocKeeper, Prepared
from ml_intern.gateways.doc_text import Section, split_sections
from ml_intern.gateways.gradio_docs import GradioDocs
from ml_intern.gateways.hub.doc_source import SERVICE, DocSource, Listing, as_markdown, inner_path, page_path

GRADIO = "gradio"
COMPOSITES: Mapping[str, tuple[str, ...]] = {
    "optimum": ("optimum", "optimum-habana", "optimum-neuron", "optimum-intel", "optimum-executorch", "optimum-tpu"),
    "courses": (
        "llm-course", "robotics-course", "mcp-course", "smol-course", "agents-course", "deep-rl-course", "computer-vision-course",
        "audio-course", "ml-games-course", "diffusion-course", "ml-for-3d-course", "cookbook",
    ),
}  # fmt: skip
ENDPOINTS = (
    "hub", "transformers", "diffusers", "datasets", "gradio", "trackio", "smolagents", "huggingface_hub", "huggingface.js",
    "transformers.js", "inference-providers", "inference-endpoints", "peft", "accelerate", "optimum", "tokenizers", "courses", "evaluate",
    "tasks", "dataset-viewer", "trl", "simulate", "sagemaker", "timm", "safetensors", "tgi", "setfit", "lerobot", "autotrain", "tei",
    "bitsandbytes", "sentence_transformers", "chat-ui", "leaderboards", "lighteval", "argilla", "distilabel", "microsoft-azure", "kernels",
    "google-cloud",
)  # fmt: skip
"""The names that users know. Any other name is asked for as it is: new libraries come faster than lists of them."""
SITE_ADDRESSES: Mapping[str, str] = {"tgi": "text-generation-inference", "tei": "text-embeddings-inference"}
"""Short names whose pages lie under a longer one."""
READABLE = ("/docs/", "/learn/", "/blog/", "/papers/")
RECENT_PAGES = 32
RECENT_S = 600.0


class DocPage(Struct, frozen=True, kw_only=True):
    """A page in its sections. ``note``: why it may be old."""

    url: str
    sections: tuple[Section, ...]
    note: str = ""


class HubDocs:
    """One per site. ``now`` is seconds since the epoch."""

    def __init__(self, endpoint: str, index: DocIndex, gradio: GradioDocs, *, now: Callable[[], float] = time.time) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._index = index
        self._gradio = gradio
        self._now = now
        self._source = DocSource(self.endpoint)
        self._keeper = DocKeeper(index, self._fill, now=now)
        self._recent: OrderedDict[str, tuple[float, asyncio.Task[DocPage]]] = OrderedDict()

    async def prepare(self, endpoint: str) -> Prepared:
        """The sets behind a name, ready to be searched. Raises ``ServiceError``."""
        parts = COMPOSITES.get(endpoint, (endpoint,))
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,80}", endpoint):
            raise NotFoundError(f"'{endpoint}' is no name of a documentation.", hint=_choices(), service=SERVICE)
        try:
            return await self._keeper.prepare(parts)
        except NotFoundError as error:
            message = f"{self.endpoint} has no documentation named '{endpoint}'."
            raise NotFoundError(message, hint=_other_site() if endpoint in ENDPOINTS else _choices(), service=SERVICE) from error
        except ServiceDown as error:
            raise ServiceDown(error.message, hint=_other_site(), service=SERVICE, status=error.status) from error

    async def search(self, prepared: Prepared, query: str, offset: int, count: int) -> Found:
        """Pages that say it, the best first."""
        return await self._index.search(prepared.names, query, offset, count)

    async def contents(self, prepared: Prepared, offset: int, count: int) -> tuple[list[Entry], int]:
        """A part of the table of contents, and its length."""
        return await self._index.contents(prepared.names, offset, count)

    async def search_gradio(self, query: str) -> str:
        """The answer of Gradio's own search; empty when it found nothing. Raises ``ServiceError``."""
        return await self._gradio.search(query)

    def url(self, path: str) -> str:
        """The address of a page of the index."""
        return f"{self._gradio.base}{path.removeprefix('gradio:')}" if path.startswith("gradio:") else f"{self.endpoint}{path}"

    async def read(self, url: str) -> DocPage:
        """A page by its address (without its anchor): from the index while that is fresh, else from the site.

        Raises ``NotAllowedAddress`` for every address that is no documentation, ``ServiceError``.
        """
        key = urldefrag(url.strip())[0]
        held = self._recent.get(key)
        if held is None or self._now() - held[0] > RECENT_S or (held[1].done() and (held[1].cancelled() or held[1].exception())):
            held = (self._now(), asyncio.create_task(self._read(key)))
            held[1].add_done_callback(lambda task: task.cancelled() or task.exception())
            self._recent[key] = held
            self._forget_old()
        await asyncio.wait([held[1]])
        return held[1].result()

    def _forget_old(self) -> None:
        for key, (_, task) in list(self._recent.items())[: max(0, len(self._recent) - RECENT_PAGES)]:
            if task.done():
                del self._recent[key]

    async def settled(self) -> None:
        """Until no set is being refreshed."""
        await self._keeper.settled()

    async def aclose(self) -> None:
        """Stop refreshing, close the connections and the index."""
        tasks = [task for _, task in self._recent.values() if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._recent.clear()
        await self._keeper.aclose()
        await self._source.aclose()
        await self._gradio.aclose()
        await self._index.aclose()

    async def _read(self, url: str) -> DocPage:
        full = url if "://" in url else f"{self.endpoint}{url}" if url.startswith("/") else f"https://{url}"
        if self._gradio.owns(full):
            answer = await self._gradio.page(urlsplit(full).path or "/")
            return DocPage(url=full, sections=tuple(split_sections(await as_markdown(answer))))
        path = inner_path(full, self.endpoint)
        if path is None or not f"{path}/".startswith(READABLE) or path.count("/") < 2:
            raise NotAllowedAddress(
                f"{url} is no documentation of Hugging Face or Gradio.",
                hint="Other pages are read with web_fetch; files of repositories with hf_repo_files.",
                service=SERVICE,
            )
        return await self._read_page(full, path)

    async def _read_page(self, url: str, path: str) -> DocPage:
        key = page_path(url, self.endpoint) or path
        wanted = path.removesuffix(".md").rstrip("/")
        unversioned = key in (wanted, f"{wanted}/index", wanted.replace("/en/", "/", 1))
        stored = await self._index.page(key) if unversioned else None
        set_name = _set_of(key)
        if stored is not None and self._keeper.fresh((await self._index.states([set_name])).get(set_name)):
            return DocPage(url=self.url(key), sections=stored.sections)
        asked = key if unversioned else wanted
        try:
            answer = await self._source.page(asked)
        except ServiceError as error:
            if stored is None or isinstance(error, NotFoundError):
                raise
            return DocPage(url=self.url(key), sections=stored.sections, note=f"An older copy: {error.message}")
        return DocPage(url=self.url(asked), sections=tuple(split_sections(await as_markdown(answer))))

    async def _fill(self, name: str, state: SetState | None) -> None:
        if name == GRADIO:
            await self._fill_gradio(state)
            return
        known = await self._index.known(name)
        listing = await self._listing(name, state.etag if state is not None and state.complete else "")
        if listing is None:
            await self._index.checked(name)
            return
        failed: set[str] = set()
        failure: ServiceError | None = None
        async for batch in self._source.pages(listing, known):
            await self._index.put(name, batch.pages)
            failed.update(batch.failed)
            failure = failure or batch.limited
        order = [path for path, _ in listing.entries]
        note = f"{len(failed)} of {len(order)} pages could not be fetched." if failed else ""
        await self._index.finish(name, order, etag=listing.etag, complete=not failed, note=note)
        if failed and len(failed) == len(order) and not known:
            raise failure or NotFoundError(f"None of the {len(order)} pages of {name} could be fetched.", service=SERVICE)

    async def _listing(self, name: str, etag: str) -> Listing | None:
        bases = _bases(name)
        for base in bases[:-1]:
            try:
                return await self._source.listing(base, etag)
            except NotFoundError:
                continue
        return await self._source.listing(bases[-1], etag)

    async def _fill_gradio(self, state: SetState | None) -> None:
        found = await self._gradio.pages(state.etag if state is not None and state.complete else "")
        if found is None:
            await self._index.checked(GRADIO)
            return
        pages, etag = found
        await self._index.put(GRADIO, pages)
        await self._index.finish(GRADIO, [page.path for page in pages], etag=etag)


def _bases(name: str) -> Sequence[str]:
    """Where a set may lie: courses are under /learn, and two libraries have short names here and long ones there."""
    docs, learn = f"/docs/{name}", f"/learn/{name}"
    if name in SITE_ADDRESSES:
        return (f"/docs/{SITE_ADDRESSES[name]}", docs)
    return (learn, docs) if name.endswith("-course") or name == "cookbook" else (docs,)


def _set_of(path: str) -> str:
    part = path.split("/")[2]
    return next((short for short, long in SITE_ADDRESSES.items() if long == part), part)


def _other_site() -> str:
    return "Documentation is read where `services.docs` in the settings says: the public Hub, or a mirror of it that has it."


def _choices() -> str:
    return f"Known: {', '.join(ENDPOINTS)}. For the documentation of other projects use web_search and web_fetch."
