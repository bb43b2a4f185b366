"""``hf_papers``: details and full texts, from every source and through every fault."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.settings import Services, Settings
from ml_intern.errors import NotFoundError, ServiceError, ToolError
from ml_intern.gateways.outside import Outside
from ml_intern.gateways.paper import Paper
from ml_intern.gateways.paper_html import parse_paper
from ml_intern.protocol.display import Table
from ml_intern.testing.arxiv_paper import ABSTRACT, TITLE, page, para, section
from ml_intern.testing.fake_arxiv import FakeArxiv
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_semantic_scholar import FakeSemanticScholar
from ml_intern.tools.limiter import MAX_CHARS
from ml_intern.tools.papers.tool import HfPapersTool
from tests.contracts.paper_world import PaperWorld, paper_world
from tests.workspaces import Calls

PAPER = FakeArxiv.PAPER


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PaperWorld]:
    async with paper_world(tmp_path) as made:
        yield made


async def test_without_a_section_the_abstract_and_a_table_of_contents_with_sizes_come(world: PaperWorld) -> None:
    output = await world.run("read_paper", arxiv_id=PAPER)
    assert ABSTRACT in output.text
    assert "- 2 Method (" in output.text
    assert "  - 2.1 Data (" in output.text
    assert "arXiv's HTML" in output.text
    (table,) = [shown for shown in output.display if isinstance(shown, Table)]
    assert any(row[0] == "3 Experiments" for row in table.rows)


async def test_a_section_is_its_own_text_and_names_what_lies_within(world: PaperWorld) -> None:
    """W49: an h2 repeated all of its subsections."""
    text = await world.text("read_paper", arxiv_id=PAPER, section="2")
    assert "The loss is" in text
    assert "We collect pairs" not in text
    assert "2.1 Data" in text
    assert "section '2*'" in text


async def test_a_star_brings_the_subsections_along(world: PaperWorld) -> None:
    text = await world.text("read_paper", arxiv_id=PAPER, section="2*")
    assert "We collect pairs" in text and "Prompts are short." in text
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert len(headings) == len({heading.lstrip("#") for heading in headings}), "each heading once"
    assert "We compare on two tasks" not in text


async def test_three_is_section_three_and_never_gpt_3(world: PaperWorld) -> None:
    """W49: "3" could match "GPT-3"."""
    assert "We compare on two tasks" in await world.text("read_paper", arxiv_id=PAPER, section="3")
    with pytest.raises(NotFoundError, match="Comparison with GPT-3"):
        await world.run("read_paper", arxiv_id=PAPER, section="7")


@pytest.mark.parametrize(
    ("name", "expected"), [("experiments", "We compare"), ("GPT-3", "A large model"), ("A", "The rate is"), ("Ref", "C. Writer")]
)
async def test_sections_answer_to_their_titles(world: PaperWorld, name: str, expected: str) -> None:
    assert expected in await world.text("read_paper", arxiv_id=PAPER, section=name)


async def test_formulas_come_once_as_latex_and_tables_as_markdown(world: PaperWorld) -> None:
    """W49: formulas were printed twice, tables flattened."""
    method = await world.text("read_paper", arxiv_id=PAPER, section="2")
    assert r"$$ L(\theta)=-\log\sigma(\beta\Delta) $$ (1)" in method
    assert method.count("L(") == 1 and "GLYPH" not in method and "CONTENT" not in method
    experiments = await world.text("read_paper", arxiv_id=PAPER, section="3")
    assert "| Model | Accuracy |  |\n| --- | --- | --- |\n|  | sums | rhymes |\n| base \\| small | 41.0 | 12.5 |" in experiments
    assert "Figure 1: The loss over time." in experiments


async def test_every_character_of_a_long_section_can_be_reached(world: PaperWorld) -> None:
    """W49, W11: what came after 8,000 characters could not be reached; a page is always bounded."""
    words = " ".join(f"w{number}" for number in range(9000))
    world.arxiv.html["2402.00001"] = page(section("1", "Long", para(words), anchor="S1"))
    seen: list[str] = []
    offset = 0
    for _ in range(50):
        text = await world.text("read_paper", arxiv_id="2402.00001", section="1", offset=offset)
        assert len(text) < MAX_CHARS
        body = text.partition("## 1 Long\n\n")[2]
        piece, mark, rest = body.partition("\n\n(characters ")
        seen += piece.split()
        if not mark:
            break
        offset = int(rest.rpartition("offset ")[2].rstrip(")"))
    assert seen == words.split()


async def test_sections_of_one_paper_cost_one_download(world: PaperWorld) -> None:
    """W49: the page was downloaded again for each section."""
    for name in ("", "1", "2", "3"):
        await world.run("read_paper", arxiv_id=PAPER, section=name)
    assert len(world.arxiv.seen("GET /html/")) == 1


async def test_two_readers_at_once_share_one_download(world: PaperWorld) -> None:
    """W42: nothing was shared between calls that ran at once."""
    await asyncio.gather(*(world.run("read_paper", arxiv_id=PAPER, section=str(number)) for number in (1, 2, 3)))
    assert len(world.arxiv.seen("GET /html/")) == 1


async def test_an_old_copy_is_asked_about_by_its_etag(world: PaperWorld) -> None:
    await world.run("read_paper", arxiv_id=PAPER)
    world.clock.now += 2 * 86_400
    assert "We compare" in await world.text("read_paper", arxiv_id=PAPER, section="3")
    again = world.arxiv.seen("GET /html/")[1]
    assert again.headers["if-none-match"]
    world.clock.now += 3600
    await world.run("read_paper", arxiv_id=PAPER)
    assert len(world.arxiv.seen("GET /html/")) == 2, "a copy that was found to be current is kept as if it were new"


async def test_an_old_copy_is_used_while_its_source_is_down(world: PaperWorld) -> None:
    await world.run("read_paper", arxiv_id=PAPER)
    world.clock.now += 2 * 86_400
    world.arxiv.fail("GET /html/", status=503, times=10)
    text = await world.text("read_paper", arxiv_id=PAPER, section="3")
    assert "arXiv's HTML" in text and "We compare" in text and "may not be the newest" in text
    world.arxiv.faults.clear()
    world.clock.now += 3600
    assert "may not be the newest" not in await world.text("read_paper", arxiv_id=PAPER, section="3")


async def test_the_tool_is_made_from_settings_and_the_key_from_the_environment(tmp_path: Path) -> None:
    with FakeHub() as hub, FakeArxiv() as arxiv, FakeSemanticScholar() as scholar:
        services = Services(hub=hub.url, arxiv=arxiv.url, ar5iv=arxiv.ar5iv_url, semantic_scholar=scholar.url)
        outside = Outside(Settings(services=services), Environ({"S2_API_KEY": "s2-key"}), tmp_path)
        tool = HfPapersTool(outside.hub_papers, outside.semantic_scholar, outside.paper_texts)
        try:
            details = await tool.run(tool.parse_object({"operation": "paper_details", "arxiv_id": PAPER}), Calls().context)
            contents = await tool.run(tool.parse_object({"operation": "read_paper", "arxiv_id": PAPER}), Calls().context)
        finally:
            await outside.aclose()
        assert "10 citations" in details.text and "2 Method" in contents.text
        assert {call.headers["x-api-key"] for call in scholar.seen(".")} == {"s2-key"}
        assert list((tmp_path / "papers").iterdir())
        for service in (hub, arxiv):
            assert all("x-api-key" not in call.headers for call in service.seen("."))


async def test_a_new_version_is_seen_when_the_copy_is_old(world: PaperWorld) -> None:
    await world.run("read_paper", arxiv_id=PAPER)
    world.arxiv.html[PAPER] = page(section("1", "Rewritten", para("All is new."), anchor="S1"))
    world.clock.now += 2 * 86_400
    assert "All is new." in await world.text("read_paper", arxiv_id=PAPER, section="1")


async def test_the_copy_outlives_the_session(tmp_path: Path) -> None:
    async with paper_world(tmp_path) as first:
        await first.run("read_paper", arxiv_id=PAPER)
    async with paper_world(tmp_path) as second:
        assert "We compare" in await second.text("read_paper", arxiv_id=PAPER, section="3")
        assert second.arxiv.seen(".") == []


async def test_pages_are_parsed_in_a_thread(tmp_path: Path) -> None:
    """W38: HTML was parsed on the event loop, which froze every session."""
    threads: list[int] = []

    def parse(html: str, paper_id: str) -> Paper | None:
        threads.append(threading.get_ident())
        return parse_paper(html, paper_id)

    async with paper_world(tmp_path, parse=parse) as world:
        await world.run("read_paper", arxiv_id=PAPER)
    assert threads and threading.get_ident() not in threads


async def test_what_arxiv_has_no_html_of_is_read_from_ar5iv(world: PaperWorld) -> None:
    text = await world.text("read_paper", arxiv_id=FakeArxiv.OLD_PAPER, section="3")
    assert "ar5iv's HTML" in text and "We compare" in text


async def test_the_hubs_markdown_comes_before_the_pdf(world: PaperWorld) -> None:
    world.hub.papers.papers[FakeArxiv.PDF_PAPER] = {"id": FakeArxiv.PDF_PAPER, "title": TITLE}
    world.hub.papers.markdown[FakeArxiv.PDF_PAPER] = (
        f"# {TITLE}\n\n## Abstract\n\nShort.\n\n## 1 Introduction\n\nHello.\n\n## 2 Method\n\nSteady.\n"
    )
    text = await world.text("read_paper", arxiv_id=FakeArxiv.PDF_PAPER, section="2")
    assert "the Hub's Markdown" in text and "Steady." in text


async def test_a_hub_page_that_is_only_about_the_paper_is_not_taken_for_its_text(world: PaperWorld) -> None:
    world.hub.papers.papers[FakeArxiv.PDF_PAPER] = {"id": FakeArxiv.PDF_PAPER, "title": TITLE, "summary": ABSTRACT}
    assert "PDF" in await world.text("read_paper", arxiv_id=FakeArxiv.PDF_PAPER)


async def test_a_paper_with_a_pdf_only_is_read_by_its_headings(world: PaperWorld) -> None:
    contents = await world.text("read_paper", arxiv_id=FakeArxiv.PDF_PAPER)
    assert "formulas and tables are broken" in contents
    assert "  - 2.1 Data (" in contents
    assert "- 7 Models" not in contents, "a sentence that begins with a number is no heading"
    assert "We collect pairs." in await world.text("read_paper", arxiv_id=FakeArxiv.PDF_PAPER, section="2.1")


async def test_the_abstract_alone_is_said_to_be_all_there_is(world: PaperWorld) -> None:
    text = await world.text("read_paper", arxiv_id=FakeArxiv.BARE_PAPER)
    assert ABSTRACT in text and "no full text to be had" in text


async def test_a_paper_that_nobody_has_is_not_found(world: PaperWorld) -> None:
    with pytest.raises(NotFoundError, match="2499"):
        await world.run("read_paper", arxiv_id="2411.24999")


async def test_a_source_that_is_down_is_told_and_the_next_one_is_kept_for_a_short_time_only(world: PaperWorld) -> None:
    world.arxiv.fail("GET /html/", status=503, times=10)
    text = await world.text("read_paper", arxiv_id=PAPER)
    assert "ar5iv's HTML" in text and "A source failed" in text and "503" in text
    world.arxiv.faults.clear()
    world.clock.now += 3600
    assert "arXiv's HTML" in await world.text("read_paper", arxiv_id=PAPER)


async def test_when_everything_is_down_the_answer_says_so(world: PaperWorld) -> None:
    world.arxiv.fail(".", status=503, times=100)
    world.hub.fail("papers", status=503, times=100)
    with pytest.raises(ServiceError, match="503"):
        await world.run("read_paper", arxiv_id=PAPER)
    world.arxiv.faults.clear()
    assert "arXiv's HTML" in await world.text("read_paper", arxiv_id=PAPER), "a failure is never kept (W42)"


async def test_a_page_that_is_no_paper_is_not_taken_for_one(world: PaperWorld) -> None:
    world.arxiv.html[FakeArxiv.PDF_PAPER] = "<html><body><h1>Busy</h1><p>Come back later.</p></body></html>"
    assert "PDF" in await world.text("read_paper", arxiv_id=FakeArxiv.PDF_PAPER)


async def test_versions_are_papers_of_their_own(world: PaperWorld) -> None:
    world.arxiv.html[f"{PAPER}v1"] = page(section("1", "First try", para("Draft."), anchor="S1"))
    assert "Draft." in await world.text("read_paper", arxiv_id=f"{PAPER}v1", section="1")
    assert "Preferences are cheap" in await world.text("read_paper", arxiv_id=PAPER, section="1")


@pytest.mark.parametrize(
    "bad", ["../../api/models/gpt2", "2401.00001/../x", "https://evil.example/2401.00001", "hello", "2413.00001", "%2e%2e/x", "1"]
)
async def test_what_is_no_arxiv_id_never_reaches_a_url(world: PaperWorld, bad: str) -> None:
    """W27: ids went unescaped into addresses, and ``../`` reached other routes."""
    for operation in (
        "read_paper",
        "paper_details",
        "citation_graph",
        "find_models",
        "find_collections",
        "find_all_resources",
        "recommend",
    ):
        with pytest.raises(ToolError, match="arXiv"):
            await world.run(operation, arxiv_id=bad)
    for service in (world.arxiv, world.hub, world.scholar):
        assert service.seen(".") == []


async def test_details_merge_the_hub_and_semantic_scholar(world: PaperWorld) -> None:
    """W48: citations and TL;DR were promised and never asked for."""
    text = await world.text("paper_details", arxiv_id=f"https://arxiv.org/abs/{PAPER}v2")
    assert TITLE in text and "github.com/example/steady" in text and "42 stars" in text
    assert "10 citations, 1 influential" in text and "Paper 1 in one sentence." in text and "A Workshop" in text


async def test_details_without_semantic_scholar_say_what_is_missing(world: PaperWorld) -> None:
    world.scholar.fail(".", status=429, headers={"retry-after": "600"}, times=10)
    text = await world.text("paper_details", arxiv_id=PAPER)
    assert TITLE in text and "Semantic Scholar did not answer" in text and "600 s" in text


async def test_details_of_a_paper_that_the_hub_does_not_know_come_from_semantic_scholar(world: PaperWorld) -> None:
    text = await world.text("paper_details", arxiv_id="2401.00009")
    assert "Preference paper 9" in text and "The Hub does not know this paper" in text


async def test_details_of_a_paper_that_both_do_not_know_come_from_arxiv(world: PaperWorld) -> None:
    world.scholar.papers.clear()
    text = await world.text("paper_details", arxiv_id=FakeArxiv.BARE_PAPER)
    assert TITLE in text and ABSTRACT in text


async def test_no_token_of_the_user_leaves_for_a_paper(world: PaperWorld) -> None:
    for operation in ("paper_details", "read_paper"):
        await world.run(operation, arxiv_id=PAPER)
    for service in (world.arxiv, world.scholar):
        assert service.seen(".") and all("authorization" not in call.headers for call in service.seen("."))
