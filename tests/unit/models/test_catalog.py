from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.settings import Prices, ProviderProfile, Settings
from ml_intern.errors import ConfigError, ContextOverflow
from ml_intern.models.base import Usage
from ml_intern.models.catalog import DEFAULT_ANTHROPIC_MODEL, DEFAULT_OPENAI_MODEL, DEFAULT_ROUTER_MODEL, ModelCatalog
from ml_intern.models.retry import Backoff
from ml_intern.models.router_catalogue import RETRY_AFTER_FAILURE_S, TTL_S, RouterCatalogue
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Fault, FaultKind, ServerReply
from tests.contracts.model_bench import hear, request


def offer(provider: str, context: int = 1000, price: float = 1.0, **more: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"provider": provider, "status": "live", "context_length": context, "supports_tools": True}
    return known | {"pricing": {"input": price, "output": 4 * price}} | more


MODELS: list[dict[str, Any]] = [
    {
        "id": "moonshotai/Kimi-K2.6",
        "object": "model",
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        "providers": [offer("novita", 262_144, 0.6), offer("together", 131_072, 0.9), offer("sleepy", 8_192, 9.0, status="staging")],
    },
    {"id": "zai-org/GLM-5.1", "providers": [offer("novita", supports_tools=False)]},
    {"id": "old/model", "providers": [offer("gone", status="error")]},
]
USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=1_000_000)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(models=MODELS) as running:
        yield running


@pytest.fixture
async def catalog(server: ModelServer, tmp_path: Path) -> AsyncIterator[ModelCatalog]:
    made = catalog_of(server, tmp_path)
    yield made
    await made.aclose()


def catalog_of(server: ModelServer, cache_dir: Path | None = None, environ: dict[str, str] | None = None, **settings: Any) -> ModelCatalog:
    known: dict[str, Any] = {"router_url": server.v1, "providers": {"mine": ProviderProfile(base_url=server.v1)}}
    return ModelCatalog(
        Settings(**(known | settings)),
        Environ({"HF_TOKEN": "hf_x"} if environ is None else environ),
        cache_dir=cache_dir,
        backoff=Backoff(transient_s=(0,)),
    )


async def test_the_first_request_does_not_wait_for_the_catalogue(server: ModelServer, catalog: ModelCatalog) -> None:
    server.models_status = 500
    model = catalog.open("moonshotai/Kimi-K2.6:novita")
    assert model.window is None
    assert server.model_list_requests == []
    assert (await hear(model, request())).reply.message.text
    await model.aclose()


async def test_the_window_comes_from_the_catalogue_once_it_is_there(server: ModelServer, catalog: ModelCatalog) -> None:
    pinned, any_provider = catalog.open("moonshotai/Kimi-K2.6:novita"), catalog.open("moonshotai/Kimi-K2.6")
    await hear(pinned, request())
    await catalog.settled(10)
    assert (pinned.window, any_provider.window) == (262_144, 131_072)
    assert len(server.model_list_requests) == 1
    await pinned.aclose()


async def test_the_next_process_knows_it_from_the_start(server: ModelServer, tmp_path: Path) -> None:
    first = catalog_of(server, tmp_path)
    await first.describe("moonshotai/Kimi-K2.6")
    await first.aclose()
    second = catalog_of(server, tmp_path)
    assert second.resolve("moonshotai/Kimi-K2.6:together").window == 131_072
    assert len(server.model_list_requests) == 1


async def test_a_damaged_catalogue_file_is_as_good_as_none(server: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "router-models.json").write_bytes(b"{half")
    assert catalog_of(server, tmp_path).resolve("moonshotai/Kimi-K2.6").window is None


async def test_an_overflow_teaches_the_window(server: ModelServer, catalog: ModelCatalog) -> None:
    server.enqueue(Fault(kind=FaultKind.OVERFLOW, limit_tokens=50_000), Fault(kind=FaultKind.OVERFLOW, limit_tokens=60_000))
    model = catalog.open("mine/m")
    for _ in range(2):
        with pytest.raises(ContextOverflow):
            await hear(model, request())
    assert model.window == 50_000
    model.learn_window(40_000)
    assert catalog.resolve("mine/m").window == 40_000
    await model.aclose()


async def test_the_price_is_that_of_the_provider_who_served(server: ModelServer, catalog: ModelCatalog) -> None:
    model = catalog.open("moonshotai/Kimi-K2.6")
    server.enqueue(ServerReply(text="x", headers=(("x-inference-provider", "novita"),)), ServerReply(text="y"))
    await hear(model, request())
    assert await model.cost_usd(USAGE, None) == pytest.approx(0.6 + 2.4)
    await hear(model, request())
    assert await model.cost_usd(USAGE, None) == pytest.approx(0.9 + 3.6), "while it is open who serves, the dearest one counts"
    assert await model.cost_usd(USAGE, 0.25) == 0.25, "what the provider states is what it costs"
    assert await model.cost_usd(None, None) is None
    await model.aclose()


async def test_a_price_that_nobody_knows_is_unknown_and_not_zero(server: ModelServer) -> None:
    prices = Prices(input_usd_per_mtok=1, output_usd_per_mtok=2)
    paid = ProviderProfile(base_url=server.v1, api_key_env="SOME_KEY")
    profile = ProviderProfile(base_url=server.v1, api_key_env="SOME_KEY", prices=prices)
    catalog = catalog_of(server, None, {"SOME_KEY": "k"}, providers={"paid": paid, "priced": profile})
    unknown, priced = catalog.open("paid/m"), catalog.open("priced/m")
    assert await unknown.cost_usd(USAGE, None) is None
    assert await priced.cost_usd(USAGE, None) == 3
    assert await catalog.open("ollama/m").cost_usd(USAGE, None) == 0
    assert await catalog.open("scripted/hello").cost_usd(USAGE, None) == 0


async def test_the_description_lists_the_offers(catalog: ModelCatalog) -> None:
    report = await catalog.describe("moonshotai/Kimi-K2.6:novita")
    assert report.warnings == ()
    assert [(o.provider, o.live, o.context_length, o.input_usd_per_mtok) for o in report.offers][:2] == [
        ("novita", True, 262_144, 0.6),
        ("together", True, 131_072, 0.9),
    ]
    assert report.model.sees_images


@pytest.mark.parametrize(
    ("model_id", "warning"),
    [
        ("old/model", "No provider"),
        ("moonshotai/Kimi-K2.6:sleepy", "sleepy does not serve"),
        ("moonshotai/Kimi-K2.6:nobody", "nobody does not serve"),
        ("zai-org/GLM-5.1:fastest", "tools"),
        ("moonshot/kimi-2.6", "not in the router's catalogue"),
    ],
)
async def test_what_will_not_work_is_said_before_and_forbids_nothing(catalog: ModelCatalog, model_id: str, warning: str) -> None:
    report = await catalog.describe(model_id)
    assert warning in report.warnings[0]
    if "catalogue" in warning:
        assert report.suggestions[0] == "moonshotai/Kimi-K2.6"


async def test_a_catalogue_that_cannot_be_read_is_no_error(server: ModelServer, catalog: ModelCatalog) -> None:
    server.models_status = 503
    report = await catalog.describe("org/model")
    assert "cannot be read" in report.warnings[0]


async def test_the_catalogue_is_asked_again_after_its_time_and_sooner_after_a_failure(server: ModelServer) -> None:
    now = 1000.0
    catalogue = RouterCatalogue(server.v1, None, clock=lambda: now)

    async def asked() -> int:
        catalogue.refresh_soon()
        await catalogue.settled(10)
        return len(server.model_list_requests)

    assert [await asked(), await asked()] == [1, 1]
    now += TTL_S
    server.models_status = 500
    assert [await asked(), await asked()] == [2, 2]
    assert catalogue.get("old/model:x") is not None, "the stale one is better than none"
    now += RETRY_AFTER_FAILURE_S
    server.models_status = 200
    assert await asked() == 3
    await catalogue.aclose()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HF_TOKEN": "x", "ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x"}, DEFAULT_ROUTER_MODEL),
        ({"ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x"}, DEFAULT_ANTHROPIC_MODEL),
        ({"OPENAI_API_KEY": "x"}, DEFAULT_OPENAI_MODEL),
    ],
)
async def test_the_default_follows_the_keys(server: ModelServer, environ: dict[str, str], expected: str) -> None:
    catalog = catalog_of(server, None, environ)
    assert await catalog.default_model() == expected
    assert catalog.resolve(expected).api_key is not None


async def test_what_the_settings_name_comes_first(server: ModelServer) -> None:
    assert await catalog_of(server, model_name="ollama/mine").default_model() == "ollama/mine"


async def test_without_a_key_a_local_server_that_answers_is_taken() -> None:
    async with ModelServer(models=[{"id": "qwen3:32b"}]) as server:
        nobody = "http://127.0.0.1:9"
        urls = {"OLLAMA_BASE_URL": nobody, "VLLM_BASE_URL": server.url, "LMSTUDIO_BASE_URL": nobody, "LLAMACPP_BASE_URL": nobody}
        assert await catalog_of(server, None, urls).default_model() == "vllm/qwen3:32b"


async def test_without_anything_it_says_what_to_set(server: ModelServer) -> None:
    catalog = catalog_of(server, None, {"LOCAL_LLM_BASE_URL": "http://127.0.0.1:9"})
    with pytest.raises(ConfigError) as caught:
        await catalog.default_model()
    for word in ("HF_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "Ollama", "ml-intern demo"):
        assert word in caught.value.hint


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "m", "max_model_len": 32_768},
        {"id": "m", "max_context_length": 131_072, "loaded_context_length": 32_768},
        {"id": "m", "meta": {"n_ctx_train": 131_072, "n_ctx": 32_768}},
        {"id": "m.gguf", "meta": {"n_ctx": 32_768}},
    ],
)
async def test_a_local_server_tells_its_window(entry: dict[str, Any]) -> None:
    async with ModelServer(models=[entry]) as server:
        catalog = catalog_of(server)
        model = catalog.open("mine/m")
        await hear(model, request())
        await catalog.looked_up()
        assert model.window == 32_768
        await model.aclose()
        await catalog.aclose()


async def test_ollama_tells_how_much_of_a_model_it_has_loaded() -> None:
    async with ModelServer(
        models=[{"name": "other", "context_length": 1}, {"name": "m:4b", "model": "m:4b", "context_length": 4096}]
    ) as server:
        catalog = catalog_of(server, None, {"OLLAMA_BASE_URL": server.url})
        model = catalog.open("ollama/m:4b")
        await hear(model, request())
        await catalog.looked_up()
        assert model.window == 4096
        assert server.model_list_requests[0].path == "/api/ps"
        await model.aclose()
        await catalog.aclose()


async def test_a_provider_without_a_catalogue_has_a_table(server: ModelServer) -> None:
    claude = ProviderProfile(base_url=server.v1, wire="anthropic")
    catalog = catalog_of(server, None, {"ANTHROPIC_API_KEY": "k"}, providers={"a": claude})
    assert catalog.resolve("anthropic/claude-opus-4-8").window is None
    catalog.refresh_soon(catalog.resolve("anthropic/claude-opus-4-8"))
    await catalog.looked_up()
    assert (catalog.resolve("anthropic/claude-opus-4-8").window or 0) >= 200_000
    await catalog.aclose()


def test_choosing_a_model_imports_nothing_heavy() -> None:
    program = (
        "import sys, ml_intern.models.catalog, ml_intern.models.openai_compatible, ml_intern.models.anthropic, ml_intern.models.litellm\n"
        "from ml_intern.config.environ import Environ; from ml_intern.config.settings import Settings\n"
        "catalog = ml_intern.models.catalog.ModelCatalog(Settings(), Environ({'HF_TOKEN': 'x', 'ANTHROPIC_API_KEY': 'x'}))\n"
        "for model_id in ('org/model', 'anthropic/claude-opus-4-8', 'litellm/a/b'): catalog.open(model_id)\n"
        "heavy = 'httpx2 httpcore2 anyio litellm genai_prices rapidfuzz yaml pydantic openai huggingface_hub rich email'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_model_to_work_with_must_have_its_key(server: ModelServer) -> None:
    known = catalog_of(server, environ={"HF_HOME": "/nonexistent"})
    assert known.resolve("org/m").api_key is None
    with pytest.raises(ConfigError, match="needs a key") as missing:
        known.check("org/m")
    assert all(words in missing.value.hint for words in ("`ml-intern setup`", "/setup", "HF_TOKEN", "/model")), missing.value.hint
    assert known.check("mine/m").provider == "mine"
    assert server.requests == []
    await known.aclose()
