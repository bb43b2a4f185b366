"""Where documentation is read: at a site of its own, which need not be the Hub."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.settings import Services, Settings
from ml_intern.errors import NotFoundError, ServiceDown
from ml_intern.gateways.outside import Outside
from ml_intern.testing.fake_hub.server import FakeHub
from ml_intern.tools.docs.explore import ExploreHfDocsArgs, ExploreHfDocsTool
from ml_intern.tools.docs.fetch import FetchHfDocsArgs, FetchHfDocsTool
from tests.workspaces import Calls

Explore = Callable[[str], Awaitable[str]]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        yield hub


@pytest.fixture
async def explore(hub: FakeHub, tmp_path: Path) -> AsyncIterator[Explore]:
    outside = Outside(Settings(services=Services(docs=hub.url)), Environ({}), tmp_path)

    async def ask(endpoint: str) -> str:
        return (await ExploreHfDocsTool(outside.hub_docs).run(ExploreHfDocsArgs(endpoint=endpoint), Calls().context)).text

    yield ask
    await outside.aclose()


async def test_a_site_without_documentation_is_named_with_the_setting_that_names_another(hub: FakeHub, explore: Explore) -> None:
    hub.docs.sets.clear()
    with pytest.raises(NotFoundError, match=f"{hub.url} has no documentation named 'trl'") as failure:
        await explore("trl")
    assert "services.docs" in failure.value.hint and "Known:" not in failure.value.hint, "it is known, and it is not there"


async def test_a_site_that_cannot_be_reached_is_named_with_the_setting_that_names_another(hub: FakeHub, explore: Explore) -> None:
    hub.fail("GET /docs", times=99, cut=True)
    with pytest.raises(ServiceDown, match="cannot be reached") as failure:
        await explore("trl")
    assert "services.docs" in failure.value.hint


async def test_beside_a_private_hub_the_documentation_is_read_at_its_own_site_without_a_token(hub: FakeHub, tmp_path: Path) -> None:
    with FakeHub() as private:
        private.docs.sets.clear()
        settings = Settings(services=Services(hub=private.url, docs=hub.url))
        outside = Outside(settings, Environ({"HF_TOKEN": FakeHub.TOKEN}), tmp_path)
        args = ExploreHfDocsArgs(endpoint="trl", query="packing")
        told = await ExploreHfDocsTool(outside.hub_docs).run(args, Calls().context)
        assert f"{hub.url}/docs/trl/sft_trainer" in told.text
        page = FetchHfDocsArgs(url="https://huggingface.co/docs/trl/sft_trainer")
        assert "SFT Trainer" in (await FetchHfDocsTool(outside.hub_docs).run(page, Calls().context)).text
        assert Settings().services.docs == "https://huggingface.co"
        await outside.aclose()
    assert not any("authorization" in call.headers for call in hub.requests) and not private.requests
