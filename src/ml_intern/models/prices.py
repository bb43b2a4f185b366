"""What a call cost. Unknown is None, which is not zero; nothing is rounded."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

from ml_intern.config.settings import Prices
from ml_intern.models.base import Usage
from ml_intern.models.resolved import ANTHROPIC, OPENAI, OPENROUTER, ROUTER, ResolvedModel

_MILLION = 1_000_000
_GENAI_PROVIDERS = MappingProxyType({ANTHROPIC: "anthropic", OPENAI: "openai", OPENROUTER: "openrouter"})
_LITELLM_PROVIDERS = MappingProxyType(
    {"bedrock": "aws", "gemini": "google", "vertex_ai": "google", "xai": "x-ai", "fireworks_ai": "fireworks"}
)


def cost_usd(model: ResolvedModel, usage: Usage | None, stated: float | None = None, catalogue: Prices | None = None) -> float | None:
    """US dollars: what the provider stated, else the profile's prices, the router catalogue's, genai-prices'.

    A server of one's own costs nothing. May import genai-prices (about 150 ms): call it in a thread, after the reply is shown.
    """
    if stated is not None:
        return stated
    if model.local and model.prices is None:
        return 0.0
    if usage is None:
        return None
    if model.prices is not None:
        return priced(model.prices, usage)
    if catalogue is not None:
        return priced(catalogue, usage)
    return _from_genai_prices(model, usage)


def priced(prices: Prices, usage: Usage) -> float:
    """The cost at given prices. Cached tokens without a price of their own cost what other prompt tokens cost."""
    read_price = prices.input_usd_per_mtok if prices.cache_read_usd_per_mtok is None else prices.cache_read_usd_per_mtok
    write_price = prices.input_usd_per_mtok if prices.cache_write_usd_per_mtok is None else prices.cache_write_usd_per_mtok
    fresh = max(0, usage.prompt_tokens - usage.cache_read_tokens - usage.cache_creation_tokens)
    return (
        fresh * prices.input_usd_per_mtok
        + usage.cache_read_tokens * read_price
        + usage.cache_creation_tokens * write_price
        + usage.completion_tokens * prices.output_usd_per_mtok
    ) / _MILLION


def known_window(model: ResolvedModel) -> int | None:
    """The window in genai-prices' tables, for providers that have no catalogue of their own. Imports it: call it in a thread."""
    from genai_prices import data_snapshot

    name, provider = _genai_name(model)
    if provider is None:
        return None
    try:
        _, info = data_snapshot.get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    return info.context_window


def known_models(provider: str) -> list[tuple[str, int, Prices | None]]:
    """Names, windows and prices of a provider's models in genai-prices' tables, where a window is known.

    Prices are those of today at the smallest prompt. Imports the tables: call it in a thread.
    """
    from genai_prices import data_snapshot

    wanted, now = _GENAI_PROVIDERS[provider], datetime.now(UTC)
    models = (model for entry in data_snapshot.get_snapshot().providers if entry.id == wanted for model in entry.models)
    listed: list[tuple[str, int, Prices | None]] = []
    for model in models:
        price = model.get_prices(now)
        ends = _smallest(price.input_mtok), _smallest(price.output_mtok)
        known = Prices(input_usd_per_mtok=ends[0], output_usd_per_mtok=ends[1]) if ends[0] is not None and ends[1] is not None else None
        if model.context_window:
            listed.append((model.id, model.context_window, known))
    return listed


def _smallest(price: object) -> float | None:
    """A price, or the first of one in tiers."""
    amount = getattr(price, "base", price)
    return float(amount) if isinstance(amount, (Decimal, int, float)) else None


def _from_genai_prices(model: ResolvedModel, usage: Usage) -> float | None:
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    name, provider = _genai_name(model)
    if provider is None:
        return None
    counted = PricedUsage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_creation_tokens,
    )
    try:
        return float(calc_price(counted, name, provider_id=provider).total_price)
    except (LookupError, ValueError):
        return None


def _genai_name(model: ResolvedModel) -> tuple[str, str | None]:
    """The model's name there, and its provider's; the router's prices are per provider, so that only a pinned one has any."""
    bare, _, tag = model.wire_model.partition(":")
    if model.provider == ROUTER:
        return bare, f"huggingface_{tag}" if tag else None
    if model.wire == "litellm":
        prefix, slash, rest = model.wire_model.partition("/")
        return (rest, _LITELLM_PROVIDERS.get(prefix, prefix)) if slash else (model.wire_model, None)
    return model.wire_model, _GENAI_PROVIDERS.get(model.provider)
