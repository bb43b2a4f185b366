"""``hub_search`` and ``hub_repo_details`` against the fake Hub, through the real client library where it has a method."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from huggingface_hub import HfApi

from ml_intern.config.secret import SecretStr
from ml_intern.errors import NotFoundError, ServiceDown, ServiceRefused, ToolError
from ml_intern.gateways.hub.client import HubClient
from ml_intern.gateways.hub.search import HubSearch
from ml_intern.testing.fake_hub.repo_state import FakeFile
from ml_intern.testing.fake_hub.server import FakeHub
from ml_intern.tools.base import ToolOutput
from ml_intern.tools.hub.details import HubRepoDetailsTool
from ml_intern.tools.hub.search import HubSearchTool
from tests.workspaces import Calls


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as hub:
        for number in range(25):
            repo = hub.repos.create(f"org/tiny-{number:02}", files={"README.md": "---\nlicense: mit\npipeline_tag: text-generation\n---\n"})
            repo.downloads, repo.likes = 1000 * number, number
        other = hub.repos.create("bob/vision", files={"README.md": "---\nlicense: apache-2.0\npipeline_tag: image-classification\n---\n"})
        other.likes = 99
        yield hub


@pytest.fixture
async def client(hub: FakeHub) -> AsyncIterator[HubClient]:
    client = HubClient(hub.url)
    yield client
    await client.aclose()


async def search(client: HubClient, **arguments: Any) -> ToolOutput:
    tool = HubSearchTool(HubSearch(client))
    return await tool.run(tool.parse(json.dumps(arguments)), Calls().context)


async def details(client: HubClient, repo_id: str, **arguments: Any) -> ToolOutput:
    tool = HubRepoDetailsTool(client)
    return await tool.run(tool.parse(json.dumps({"repo_id": repo_id, **arguments})), Calls().context)


def safetensors(tensors: dict[str, tuple[str, list[int]]]) -> FakeFile:
    """A header as the format has it, and zeros for the weights."""
    widths = {"F32": 4, "BF16": 2, "I8": 1}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        size = widths[dtype]
        for side in shape:
            size *= side
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    told = json.dumps(header).encode()
    return FakeFile(data=struct.pack("<Q", len(told)) + told, lfs=True, zeros=end)


async def test_results_are_sorted_and_paged_to_the_last(client: HubClient) -> None:
    first = await search(client, query="tiny", sort="downloads", limit=10)
    assert first.text.splitlines()[0].startswith("1. org/tiny-24 · text-generation")
    assert "24k downloads · 24 likes" in first.text and "mit" in first.text
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = await search(client, query="tiny", sort="downloads", limit=10, cursor=cursor)
        lines = page.text.splitlines()
        seen += [line.split(" ")[1] for line in lines if line[0].isdigit()]
        cursor = lines[-1].partition("cursor='")[2].rstrip("')")
    assert len(seen) == len(set(seen)) == 25 and cursor == ""


async def test_every_filter_narrows(client: HubClient) -> None:
    assert "bob/vision" in (await search(client, author="bob")).text
    assert "bob/vision" in (await search(client, task="image-classification")).text
    assert "bob/vision" in (await search(client, license="Apache-2.0")).text
    assert (await search(client, author="bob", task="text-generation")).text.startswith(
        "No model matches author='bob', task='text-generation'"
    )
    assert (await search(client, sort="likes", limit=1)).text.startswith("1. bob/vision")


async def test_datasets_and_spaces_have_their_own_filters(client: HubClient, hub: FakeHub) -> None:
    hub.repos.create("org/qa", "dataset", {"README.md": "---\ntask_categories:\n- question-answering\n---\n"}).extra["tags"] = [
        "task_categories:question-answering",
        "language:en",
    ]
    hub.repos.create("org/demo", "space", {}, sdk="gradio")
    told = await search(client, kind="dataset", task="question-answering", tags=["language:en"])
    assert told.text.startswith("1. org/qa")
    assert "gradio" in (await search(client, kind="space")).text
    with pytest.raises(ToolError, match="no downloads"):
        await search(client, kind="space", sort="downloads")


async def test_private_repositories_are_found_by_their_owner_only(client: HubClient, hub: FakeHub) -> None:
    hub.repos.create("alice/secret", private=True)
    assert "No model matches" in (await search(client, query="secret")).text
    mine = HubClient(hub.url, SecretStr(FakeHub.TOKEN))
    assert "alice/secret · 0 downloads · 0 likes" in (await search(mine, query="secret")).text
    await mine.aclose()


async def test_the_fake_listing_is_one_that_the_real_library_pages_through(hub: FakeHub) -> None:
    found = list(HfApi(endpoint=hub.url, token=False).list_models(search="tiny", sort="downloads", limit=25, expand=["downloads"]))
    assert [model.downloads for model in found] == [1000 * number for number in reversed(range(25))]


async def test_a_cursor_that_was_made_up_is_refused_by_the_fake_as_by_the_hub(client: HubClient) -> None:
    with pytest.raises(ServiceRefused, match="answered 400"):
        await search(client, query="tiny", cursor="page two")


async def test_a_search_that_fails_is_no_empty_result(client: HubClient, hub: FakeHub) -> None:
    hub.fail("GET /api/models", status=503, times=9)
    with pytest.raises(ServiceDown):
        await search(client, query="tiny")


async def test_a_model_is_described_from_small_files_and_headers(client: HubClient, hub: FakeHub) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "max_position_embeddings": 8192,
        "hidden_size": 64,
        "vocab_size": 32000,
        "torch_dtype": "bfloat16",
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0},
    }
    tokenizer = {
        "tokenizer_class": "LlamaTokenizer",
        "model_max_length": 10**30,
        "chat_template": "{{x}}",
        "eos_token": {"content": "</s>"},
    }
    files = {
        "README.md": "---\nlicense: mit\nbase_model: org/base\n---\n",
        "config.json": json.dumps(config),
        "tokenizer_config.json": json.dumps(tokenizer),
        "model-00001-of-00002.safetensors": safetensors({"a": ("BF16", [1000, 4000])}),
        "model-00002-of-00002.safetensors": safetensors({"b": ("BF16", [1000, 3000]), "c": ("F32", [10])}),
    }
    hub.repos.create("org/llama", files=files)
    told = (await details(client, "org/llama")).text
    assert "Parameters: 7M (BF16 7M, F32 10)" in told
    assert "Architecture: LlamaForCausalLM (llama)" in told
    assert "Context length: 8,192 tokens, rope yarn 4.0" in told
    assert "Tokenizer: LlamaTokenizer, has a chat template, eos </s>, no pad token" in told
    assert "Licence: mit" in told and "Base model: org/base" in told
    assert "  model-00001-of-00002.safetensors  8.0 MB" in told
    weights = hub.seen("GET /cdn-lfs")
    assert weights and all(call.headers.get("range") for call in weights)


async def test_a_text_config_and_the_hubs_own_count_are_used(client: HubClient, hub: FakeHub) -> None:
    config = {"model_type": "vlm", "text_config": {"max_position_embeddings": 4096, "hidden_size": 8}}
    hub.repos.create("org/vlm", files={"config.json": json.dumps(config)}).extra["safetensors"] = {
        "parameters": {"BF16": 2_000_000_000},
        "total": 2_000_000_000,
    }
    told = (await details(client, "org/vlm", repo_type="model")).text
    assert "Parameters: 2B (BF16 2B)" in told and "Context length: 4,096 tokens" in told and "hidden_size 8" in told


async def test_a_gated_model_says_where_to_ask_and_tells_what_is_public(client: HubClient, hub: FakeHub) -> None:
    hub.repos.create("org/closed", files={"config.json": "{}", "model.safetensors": safetensors({"a": ("F32", [2])})}, gated="manual")
    told = (await details(client, "org/closed")).text
    assert f"gated (manual); ask for it at {hub.url}/org/closed" in told
    assert "cannot be read by this account" in told and "model.safetensors" in told and "Parameters" not in told


async def test_a_damaged_file_is_a_note_and_not_the_end(client: HubClient, hub: FakeHub) -> None:
    hub.repos.create("org/odd", files={"config.json": "{nope", "model.safetensors": b"garbage that is no header at all"})
    told = (await details(client, "org/odd")).text
    assert "Note: config.json is not valid JSON." in told and "Parameters not counted" in told


async def test_the_type_is_found_out_and_files_are_paged(client: HubClient, hub: FakeHub) -> None:
    """W11: a listing without a limit."""
    hub.repos.create("org/many", "dataset", {f"data/{number:03}.csv": "a\n" for number in range(100)})
    told = (await details(client, "org/many")).text
    assert told.startswith("dataset org/many") and "Files (100):" in told and "(more: offset=40)" in told and "data/040.csv" not in told
    assert "data/040.csv" in (await details(client, "org/many", offset=40)).text
    assert "No files at offset 100: there are 100, at offsets 0 to 99." in (await details(client, "org/many", offset=100)).text
    hub.repos.create("org/demo", "space", {"app.py": ""}, sdk="docker").extra["runtime"] = {
        "stage": "RUNNING",
        "hardware": {"current": "cpu-basic"},
    }
    space = (await details(client, "org/demo")).text
    assert "SDK: docker" in space and "Stage: RUNNING" in space and "Hardware: cpu-basic" in space


async def test_what_is_nowhere_is_said_to_be_missing_or_hidden(client: HubClient) -> None:
    with pytest.raises(NotFoundError, match="No model, dataset or Space org/none"):
        await details(client, "org/none")
    with pytest.raises(NotFoundError, match="The dataset org/none does not exist, or is private"):
        await details(client, "org/none", repo_type="dataset")
    with pytest.raises(ToolError, match="no name"):
        await details(client, "../../etc/passwd")


@pytest.mark.parametrize(("tool", "tokens"), [(HubSearchTool, 220), (HubRepoDetailsTool, 135)])
def test_the_schema_stays_within_its_budget(tool: Any, tokens: int) -> None:
    """W60: specs that repeat themselves cost tokens at every call."""
    made = tool(HubClient("http://127.0.0.1:9"))
    assert len(msgspec.json.encode(made.schema)) / 3.5 < tokens
