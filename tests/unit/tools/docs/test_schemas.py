"""The tools' schemas are paid for with every request."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.settings import Services, Settings
from ml_intern.gateways.hub.docs import ENDPOINTS
from ml_intern.gateways.outside import Outside
from ml_intern.testing.fake_hub.docs import FakeGradio
from ml_intern.testing.fake_hub.server import FakeHub
from ml_intern.tools.docs.api import FindHfApiTool
from ml_intern.tools.docs.explore import ExploreHfDocsArgs, ExploreHfDocsTool
from ml_intern.tools.docs.fetch import FetchHfDocsTool
from tests.workspaces import Calls


@pytest.fixture
async def outside(tmp_path: Path):
    outside = Outside(Settings(), Environ({}), tmp_path)
    yield outside
    await outside.aclose()


async def test_the_three_schemas_stay_small(outside: Outside) -> None:
    """W60: prompts and specs that say everything twice."""
    tools = (ExploreHfDocsTool(outside.hub_docs), FetchHfDocsTool(outside.hub_docs), FindHfApiTool(outside.hub_api))
    assert sum(len(msgspec.json.encode(tool.schema.parameters)) + len(tool.description) for tool in tools) / 3.5 < 700


async def test_the_names_of_documentations_are_told_once_and_all(outside: Outside) -> None:
    schema = msgspec.json.encode(ExploreHfDocsTool(outside.hub_docs).schema.parameters).decode()
    assert len(ENDPOINTS) == len(set(ENDPOINTS)) == 40
    assert all(name in schema for name in ENDPOINTS)


async def test_another_hub_has_an_index_of_its_own(tmp_path: Path) -> None:
    """What a private Hub documents is not what the public one does; a mirror's questions do not go to the public search."""
    with FakeHub() as hub, FakeGradio() as gradio:
        settings = Settings(services=Services(hub=hub.url, docs=hub.url, gradio=gradio.url))
        private = Outside(settings, Environ({"HF_TOKEN": FakeHub.TOKEN}), tmp_path)
        text = (await ExploreHfDocsTool(private.hub_docs).run(ExploreHfDocsArgs(endpoint="trl"), Calls().context)).text
        assert f"{hub.url}/docs/trl/sft_trainer" in text
        assert "authorization" not in hub.seen("GET /docs/trl")[0].headers
        asked = (await ExploreHfDocsTool(private.hub_docs).run(ExploreHfDocsArgs(endpoint="gradio", query="chatbot"), Calls().context)).text
        assert "no search service for this Gradio site" in asked and "ChatInterface" in asked
        await private.aclose()
    assert not (tmp_path / "docs.sqlite").exists() and len(list(tmp_path.glob("docs-*.sqlite"))) == 1
