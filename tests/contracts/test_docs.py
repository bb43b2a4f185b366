"""The documentation tools against a Hub on loopback, through the real HTTP client and a real index on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ml_intern.errors import NotAllowedAddress, NotFoundError, ServiceLimited, ServiceRefused, ToolError
from ml_intern.gateways.doc_index import DocIndex
from ml_intern.gateways.gradio_docs import GradioDocs
from ml_intern.gateways.hub.docs import ENDPOINTS, HubDocs
from ml_intern.testing.fake_hub.docs import FakeDocSet, FakeGradio
from ml_intern.testing.fake_hub.server import FakeHub
from ml_intern.tools.docs.explore import ExploreHfDocsArgs, ExploreHfDocsTool
from ml_intern.tools.docs.fetch import FetchHfDocsArgs, FetchHfDocsTool
from tests.workspaces import Calls

DAY_S = 24 * 3600.0


class Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


class World:
    """One machine with a cache, and the sites outside."""

    def __init__(self, hub: FakeHub, gradio: FakeGradio, cache: Path) -> None:
        self.hub, self.gradio, self.cache = hub, gradio, cache
        self.clock = Clock()
        self.docs = self.opened()

    def opened(self) -> HubDocs:
        index = DocIndex(self.cache / "docs.sqlite", now=self.clock)
        return HubDocs(self.hub.url, index, GradioDocs(self.gradio.url, self.gradio.url), now=self.clock)

    async def explore(self, endpoint: str, query: str = "", *, max_results: int = 20, page: int = 1) -> str:
        args = ExploreHfDocsArgs(endpoint=endpoint, query=query, max_results=max_results, page=page)
        return (await ExploreHfDocsTool(self.docs).run(args, Calls().context)).text

    async def fetch(self, url: str, *, section: str = "", offset: int = 0, limit: int = 16_000) -> str:
        args = FetchHfDocsArgs(url=url, section=section, offset=offset, limit=limit)
        return (await FetchHfDocsTool(self.docs).run(args, Calls().context)).text


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def gradio() -> Iterator[FakeGradio]:
    with FakeGradio() as gradio:
        yield gradio


@pytest.fixture
async def world(hub: FakeHub, gradio: FakeGradio, tmp_path: Path) -> AsyncIterator[World]:
    world = World(hub, gradio, tmp_path / "cache")
    yield world
    await world.docs.aclose()


def many_pages(count: int) -> FakeDocSet:
    return FakeDocSet(pages={f"p{i}": (f"Page {i}", f"# Page {i}\n\nAbout subject{i}.\n") for i in range(count)})


# ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_query_finds_the_section_with_its_anchor_and_a_snippet(world: World) -> None:
    text = await world.explore("trl", "packing short examples")
    assert f"{world.hub.url}/docs/trl/sft_trainer#packing-examples" in text
    assert "several short examples" in text


async def test_an_identifier_is_found_as_one_word(world: World) -> None:
    text = await world.explore("trl", "per_device_train_batch_size")
    assert "#trl.SFTConfig" in text and "1 page matches" in text


async def test_public_docs_are_read_without_a_token_and_without_sending_one(world: World) -> None:
    """W51, W18: the original wanted a token for public pages, and sent it along."""
    await world.explore("trl")
    await world.fetch("/docs/hub/models-gated")
    calls = world.hub.seen("GET /docs")
    assert calls and all("authorization" not in call.headers for call in calls)


async def test_without_a_query_the_table_of_contents_is_paged(world: World) -> None:
    """W11: the original had no paging."""
    world.hub.docs.sets["docs/peft"] = many_pages(45)
    first = await world.explore("peft", max_results=20)
    assert "45 pages, 1-20" in first and "25 more: continue with page 2" in first
    last = await world.explore("peft", max_results=20, page=3)
    assert "45 pages, 41-45" in last and "continue" not in last
    assert "there is no page 9" in await world.explore("peft", max_results=20, page=9)


async def test_results_are_paged_and_counted(world: World) -> None:
    world.hub.docs.sets["docs/peft"] = FakeDocSet(
        pages={f"p{i}": (f"Page {i}", f"# Page {i}\n\nLow rank number {i}.\n") for i in range(30)}
    )
    first = await world.explore("peft", "low rank", max_results=12)
    second = await world.explore("peft", "low rank", max_results=12, page=2)
    assert "30 pages match" in first and "18 more: continue with page 2" in first
    urls = [{line.split()[3] for line in text.splitlines() if "(score" in line} for text in (first, second)]
    assert len(urls[0]) == len(urls[1]) == 12 and not urls[0] & urls[1]


async def test_a_query_without_a_match_shows_the_contents_and_says_so(world: World) -> None:
    text = await world.explore("trl", "xylophone")
    assert "Nothing matches 'xylophone'" in text and "SFT Trainer" in text


async def test_words_that_no_section_has_together_are_looked_for_one_by_one_and_that_is_said(world: World) -> None:
    text = await world.explore("trl", "packing xylophone")
    assert "No section has all of the words" in text and "#packing-examples" in text


async def test_query_characters_are_never_operators(world: World) -> None:
    for query in ('"', "a AND", "NEAR(", "body:x*", "-sft ^trl", "(((", "'; DROP TABLE pages;--"):
        assert "trl:" in await world.explore("trl", query)


async def test_a_whole_set_costs_one_request_and_the_next_session_none(world: World) -> None:
    """W42, W58: the original scraped the navigation and asked for hundreds of pages at once; the Hub publishes lists, and allows
    about a hundred requests in five minutes."""
    world.hub.docs.sets["docs/peft"] = many_pages(300)
    await world.explore("peft", "subject7")
    assert len(world.hub.seen("GET /docs/peft")) == 1
    await world.docs.aclose()
    world.docs = world.opened()
    assert "Page 7" in await world.explore("peft", "subject7")
    assert len(world.hub.seen("GET /docs/peft")) == 1


async def test_questions_at_once_build_a_set_once(world: World) -> None:
    """W42: no single-flight in the original."""
    texts = await asyncio.gather(*(world.explore("trl", "packing") for _ in range(6)))
    assert all("#packing-examples" in text for text in texts)
    assert len(world.hub.seen("GET /docs/trl")) == 1


async def test_a_set_without_lists_is_read_from_the_navigation_and_foreign_links_are_not_followed(world: World) -> None:
    """W18: links of the sidebar to foreign hosts were followed, with the token."""
    text = await world.explore("tokenizers", "normalization unicode")
    assert "/docs/tokenizers/pipeline#normalization" in text
    assert "elsewhere" not in await world.explore("tokenizers")


async def test_a_composite_survives_sub_sites_that_are_gone(world: World) -> None:
    """W42: one missing sub-site failed the whole."""
    text = await world.explore("courses", "language models")
    assert "[llm-course]" in text and f"{world.hub.url}/learn/llm-course/chapter1/1" in text
    assert "robotics-course is left out" in text


async def test_an_unknown_name_lists_the_known_ones(world: World) -> None:
    """W60: the original's prompt named `vllm`, which its enum did not have."""
    with pytest.raises(NotFoundError, match="no documentation named 'vllm'") as failure:
        await world.explore("vllm")
    assert all(name in failure.value.hint for name in ENDPOINTS)


async def test_a_library_that_moved_elsewhere_is_not_followed_but_named(world: World) -> None:
    world.hub.docs.sets["docs/argilla"] = FakeDocSet(pages={}, moved_to="https://docs.argilla.example/")
    with pytest.raises(ServiceRefused, match=r"redirects to docs\.argilla\.example") as failure:
        await world.explore("argilla")
    assert "web_fetch: https://docs.argilla.example/" in failure.value.hint


# ── freshness ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_old_index_answers_at_once_and_is_refreshed_behind_it(world: World) -> None:
    await world.explore("trl")
    world.hub.docs.sets["docs/trl"].pages["grpo_trainer"] = ("GRPO Trainer", "# GRPO Trainer\n\nGroups of answers.\n")
    world.clock.at += DAY_S + 1
    world.hub.fail("GET /docs/trl", delay_s=1.0)  # the old index answers before the site does
    stale = await world.explore("trl", "groups answers GRPO")
    assert "refreshed in the background" in stale and "GRPO Trainer" not in stale
    await world.docs.settled()
    assert "GRPO Trainer" in await world.explore("trl", "groups answers GRPO")


async def test_what_did_not_change_is_asked_for_by_its_etag_and_not_sent_again(world: World) -> None:
    await world.explore("trl")
    world.clock.at += DAY_S + 1
    await world.explore("trl")
    await world.docs.settled()
    calls = world.hub.seen("GET /docs/trl/llms-full.txt")
    assert len(calls) == 2 and calls[1].headers["if-none-match"]
    assert "refreshed" not in await world.explore("trl")


async def test_pages_that_went_away_leave_the_index(world: World) -> None:
    await world.explore("trl")
    del world.hub.docs.sets["docs/trl"].pages["dpo_trainer"]
    world.clock.at += DAY_S + 1
    await world.explore("trl")
    await world.docs.settled()
    assert "2 pages" in await world.explore("trl")


async def test_without_the_site_the_old_index_goes_on_answering(world: World) -> None:
    await world.explore("trl")
    world.clock.at += DAY_S + 1
    world.hub.fail("GET /docs/trl", status=404, times=9)
    await world.explore("trl")
    await world.docs.settled()
    assert "#packing-examples" in await world.explore("trl", "packing")


async def test_a_set_that_failed_is_tried_again(world: World) -> None:
    """W42: failures were cached for ever."""
    world.hub.fail("GET /docs/trl", status=404, times=3)
    with pytest.raises(NotFoundError):
        await world.explore("trl")
    assert "#packing-examples" in await world.explore("trl", "packing")


async def test_a_set_read_page_by_page_stops_at_the_limit_says_what_is_missing_and_is_completed_later(world: World) -> None:
    """W42: hundreds of requests at once, and whatever failed was forgotten."""
    peft = world.hub.docs.sets["docs/peft"] = many_pages(60)
    peft.has_full = False
    world.hub.docs.page_limit = 40
    text = await world.explore("peft")
    assert "peft is incomplete" in text and "of 60 pages could not be fetched" in text
    assert len(world.hub.seen("GET /docs/peft")) < 60
    world.hub.docs.page_limit = None
    world.clock.at += 3600
    await world.explore("peft")
    await world.docs.settled()
    whole = await world.explore("peft")
    assert "60 pages" in whole and "incomplete" not in whole


async def test_a_limit_that_is_reached_at_once_is_told_with_its_time(world: World) -> None:
    world.hub.docs.page_limit = 0
    with pytest.raises(ServiceLimited, match="206 s"):
        await world.explore("trl")


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_anchor_gives_that_section_and_never_raw_html(world: World) -> None:
    """W51: `.md` was put behind the anchor, and HTML came back."""
    text = await world.fetch(f"{world.hub.url}/docs/trl/sft_trainer#packing-examples")
    assert "packing=True" in text and "Quick start" not in text and "<" not in text.splitlines()[2]
    assert world.hub.seen("GET /docs/trl/sft_trainer.md$")


async def test_a_section_by_its_heading_includes_what_is_below_it(world: World) -> None:
    text = await world.fetch("/docs/trl/sft_trainer", section="SFTConfig")
    assert "max_length" in text and "Packing" not in text


async def test_an_unknown_section_names_those_there_are(world: World) -> None:
    with pytest.raises(ToolError, match="no section 'pakking-examples'") as failure:
        await world.fetch("/docs/trl/sft_trainer#pakking-examples")
    assert "packing-examples" in failure.value.hint


async def test_a_long_page_comes_in_pieces_that_make_the_whole(world: World) -> None:
    """W11: whole pages without an end."""
    body = "# Long\n\n" + "\n".join(f"line number {i}" for i in range(2000))
    world.hub.docs.sets["docs/trl"].pages["long"] = ("Long", body)
    pieces: list[str] = []
    offset = 0
    while True:
        text = await world.fetch("/docs/trl/long", offset=offset, limit=9000)
        head, _, piece = text.partition("\n\n")
        assert len(piece) <= 9000
        pieces.append(piece)
        if "(continue with offset " not in head:
            break
        offset = int(head.partition("(continue with offset ")[2].partition(")")[0])
    assert "".join(pieces) == body
    assert len(world.hub.seen("GET /docs/trl/long")) == 1
    with pytest.raises(ToolError, match="there is nothing at"):
        await world.fetch("/docs/trl/long", offset=10**6)


async def test_an_indexed_page_is_read_without_a_request(world: World) -> None:
    await world.explore("trl")
    before = len(world.hub.requests)
    assert "packing=True" in await world.fetch("https://huggingface.co/docs/trl/sft_trainer")
    assert len(world.hub.requests) == before


async def test_a_page_of_a_pinned_version_is_asked_for_as_such(world: World) -> None:
    await world.explore("trl")
    text = await world.fetch("https://huggingface.co/docs/trl/v0.24.0/sft_trainer")
    assert "packing=True" in text and world.hub.seen(r"GET /docs/trl/v0\.24\.0/sft_trainer\.md")


async def test_a_blog_post_without_markdown_is_turned_into_it(world: World) -> None:
    text = await world.fetch("https://huggingface.co/blog/trl-news")
    assert "# News of TRL" in text and "**here**" in text and "<h1>" not in text


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://evil.example/docs/trl/sft_trainer",
        "https://huggingface.co.evil.example/docs/trl/x",
        "https://huggingface.co@evil.example/docs/trl/x",
        "file:///etc/passwd",
        "https://huggingface.co/api/whoami-v2",
        "https://huggingface.co/docs/../api/whoami-v2",
        "https://huggingface.co/docs/%2e%2e/api/whoami-v2",
        "https://huggingface.co/org/private-model/resolve/main/secret.txt",
        "https://huggingface.co:8443/docs/trl/x",
    ],
)
async def test_no_other_address_is_ever_asked(world: World, url: str) -> None:
    """W18: any URL was fetched, with the user's token."""
    with pytest.raises(NotAllowedAddress, match="no documentation") as failure:
        await world.fetch(url)
    assert "web_fetch" in failure.value.hint
    assert not world.hub.requests


async def test_a_redirect_to_another_site_is_not_followed(world: World) -> None:
    """W18: by a redirect neither."""
    world.hub.docs.sets["docs/away"] = FakeDocSet(pages={}, moved_to="http://127.0.0.1:9/docs/stolen")
    with pytest.raises(ServiceRefused, match=r"redirects to 127\.0\.0\.1:9"):
        await world.fetch("/docs/away/page")


async def test_readers_at_once_ask_once(world: World) -> None:
    await asyncio.gather(*(world.fetch("/docs/trl/sft_trainer") for _ in range(5)))
    assert len(world.hub.seen("GET /docs/trl/sft_trainer")) == 1


async def test_a_page_that_failed_is_asked_for_again(world: World) -> None:
    world.hub.fail("GET /docs/trl/sft_trainer", status=404, times=2)
    with pytest.raises(NotFoundError):
        await world.fetch("/docs/trl/sft_trainer")
    assert "packing=True" in await world.fetch("/docs/trl/sft_trainer")


# ── gradio ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_gradios_own_search_answers_a_query(world: World) -> None:
    world.gradio.answers["chat"] = "Use ChatInterface." + " More of it." * 3000
    text = await world.explore("gradio", "chat")
    assert "Use ChatInterface." in text and "continue with page 2" in text and len(text) < 25_000
    assert "More of it." in await world.explore("gradio", "chat", page=2)
    call = world.gradio.seen("POST /api/prompt")[0]
    assert call.json["SYSTEM_PROMPT"] == "$INSERT_GUIDES_DOCS_DEMOS" and "authorization" not in call.headers


async def test_without_its_search_gradios_llms_txt_is_searched_and_that_is_said(world: World) -> None:
    world.gradio.fail("POST /api/prompt", status=503)
    text = await world.explore("gradio", "chatbot one line")
    assert "Gradio's own search is not available" in text
    assert f"{world.gradio.url}/llms.txt#chatinterface" in text
    assert "gr.ChatInterface(fn)" in await world.fetch(f"{world.gradio.url}/llms.txt#chatinterface")


async def test_gradio_without_a_query_is_a_table_of_contents_and_not_the_whole_file(world: World) -> None:
    """W11: the whole of llms.txt at once."""
    text = await world.explore("gradio")
    assert "Interface" in text and "3 pages" in text and "Users may flag" not in text
