from __future__ import annotations

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.settings import Prices, Settings
from ml_intern.models.base import Usage
from ml_intern.models.prices import cost_usd, known_window, priced
from ml_intern.models.resolved import ANTHROPIC, OPENAI, OPENROUTER, ROUTER
from ml_intern.models.routes import Routes
from tests.contracts.model_bench import resolved

USAGE = Usage(prompt_tokens=1000, completion_tokens=100, cache_read_tokens=600, cache_creation_tokens=200)


def test_cached_tokens_have_their_own_prices() -> None:
    prices = Prices(input_usd_per_mtok=10, output_usd_per_mtok=50, cache_read_usd_per_mtok=1, cache_write_usd_per_mtok=12.5)
    assert priced(prices, USAGE) == pytest.approx((200 * 10 + 600 * 1 + 200 * 12.5 + 100 * 50) / 1e6)
    assert priced(Prices(input_usd_per_mtok=10, output_usd_per_mtok=50), USAGE) == pytest.approx((1000 * 10 + 100 * 50) / 1e6)


def test_a_cheap_call_is_not_rounded_away() -> None:
    tiny = priced(Prices(input_usd_per_mtok=0.01, output_usd_per_mtok=0.01), Usage(prompt_tokens=1))
    assert 0 < tiny < 1e-7


def test_the_order_of_sources() -> None:
    profile, catalogue = Prices(input_usd_per_mtok=1, output_usd_per_mtok=1), Prices(input_usd_per_mtok=2, output_usd_per_mtok=2)
    model = resolved("openai", "https://x.example/v1", "m", prices=profile)
    bare = resolved("openai", "https://x.example/v1", "m")
    assert cost_usd(model, USAGE, 0.5, catalogue) == 0.5
    assert cost_usd(model, USAGE, None, catalogue) == priced(profile, USAGE)
    assert cost_usd(bare, USAGE, None, catalogue) == priced(catalogue, USAGE)
    assert cost_usd(bare, USAGE) is None
    assert cost_usd(resolved("openai", "http://127.0.0.1/v1", "m", local=True), USAGE) == 0.0
    assert cost_usd(model, None) is None


@pytest.mark.parametrize(
    ("provider", "wire", "wire_model"),
    [
        (ANTHROPIC, "anthropic", "claude-opus-4-8"),
        (OPENAI, "openai", "gpt-5.5"),
        (OPENROUTER, "openai", "anthropic/claude-opus-4.8"),
        (ROUTER, "openai", "moonshotai/Kimi-K2.6:novita"),
        ("litellm", "litellm", "mistral/mistral-large-latest"),
    ],
)
def test_known_models_have_a_price_and_caching_makes_them_cheaper(provider: str, wire: str, wire_model: str) -> None:
    model = resolved(wire, "https://x.example", wire_model, provider=provider)
    plain = cost_usd(model, Usage(prompt_tokens=10_000, completion_tokens=10))
    cached = cost_usd(model, Usage(prompt_tokens=10_000, completion_tokens=10, cache_read_tokens=9_000))
    assert plain is not None
    assert cached is not None
    assert 0 < cached <= plain < 1


@pytest.mark.parametrize("wire_model", ["org/unknown-model", "org/unknown-model:novita", "moonshotai/Kimi-K2.6:nobody"])
def test_unknown_is_not_zero(wire_model: str) -> None:
    model = resolved("openai", "https://x.example", wire_model, provider=ROUTER)
    assert cost_usd(model, USAGE) is None
    assert known_window(model) is None


def test_a_server_of_ones_own_is_free_also_when_it_counts_nothing() -> None:
    local = Routes(Settings(), Environ({})).resolve("vllm/foo")
    assert cost_usd(local, None) == 0.0
