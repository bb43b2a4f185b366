"""The models that can be had from here: the router's catalogue, local servers, the user's own providers, and the makers themselves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import msgspec
from msgspec import Struct

from ml_intern.config.load import LoadedSettings
from ml_intern.errors import ConfigError
from ml_intern.models.local_servers import served_models, stated_window
from ml_intern.models.resolved import ANTHROPIC, OPENAI, OPENROUTER
from ml_intern.models.router_catalogue import Offer, RouterCatalogue, RouterModel
from ml_intern.models.routes import ANTHROPIC_KEY, HF_TOKEN, LOCAL_SERVERS, OPENAI_KEY, OPENROUTER_KEY, SUGGESTED, Routes

LOCAL, OWN, SUGGESTION, MAKER, ROUTER, KEYLESS = range(6)
"""What stands first in the list."""
_NO_CHAT = re.compile(r"image|audio|tts|transcribe|realtime|search|embedding|moderation|^ft:|ada|babbage|curie|davinci|[:]")
SERVER_TIMEOUT_S = 3.0
"""Nobody waits for it: what other servers have is listed meanwhile."""
ROUTER_NAME = "Hugging Face router"


class ListedOffer(Struct, frozen=True, kw_only=True):
    """A provider's offer on the router. ``price`` is such as ``$1.2 → $6``."""

    provider: str
    live: bool
    window: int | None
    price: str
    tools: bool | None


class ListedModel(Struct, frozen=True, kw_only=True):
    """``missing`` is the variable whose key it lacks; ``tools`` None: nobody says."""

    model_id: str
    provider: str
    rank: int
    window: int | None = None
    price: str = ""
    tools: bool | None = None
    sees_images: bool | None = None
    effort_levels: tuple[str, ...] = ()
    missing: str = ""
    note: str = ""
    offers: tuple[ListedOffer, ...] = ()

    @property
    def short(self) -> str:
        """The provider in a word."""
        return "router" if self.provider == ROUTER_NAME else self.provider.partition(" ")[0].rstrip(",")


Source: TypeAlias = Callable[[], Awaitable[Sequence[ListedModel]]]


class ModelShelf:
    """For one look at the list; ``aclose`` stops what it asks."""

    def __init__(self, loaded: LoadedSettings) -> None:
        self._loaded = loaded
        self._routes = Routes(loaded.settings, loaded.environ)
        self._router = RouterCatalogue(loaded.settings.router_url, loaded.paths.cache_dir)
        self._no_token = "" if self._routes.has_key(HF_TOKEN) else HF_TOKEN

    async def aclose(self) -> None:
        """Stop."""
        await self._router.aclose()

    # ── the router ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def router(self) -> Sequence[ListedModel]:
        """What the router serves; from the file of an earlier run when it does not answer."""
        self._router.refresh_soon()
        await self._router.settled()
        found = [model for name in await asyncio.to_thread(self._router.names) if (model := self._router.get(name)) is not None]
        return [*self._suggested(), *(self._routed(model, model.id, ROUTER) for model in found)]

    async def suggested(self) -> Sequence[ListedModel]:
        """Those that are known to work well, before anybody is asked."""
        return self._suggested()

    def _suggested(self) -> list[ListedModel]:
        listed: list[ListedModel] = []
        for model_id in SUGGESTED:
            model = self._router.get(model_id)
            unknown = ListedModel(model_id=model_id, provider=ROUTER_NAME, rank=SUGGESTION, missing=self._no_token)
            listed.append(unknown if model is None else self._routed(model, model_id, SUGGESTION))
        return listed

    def _routed(self, model: RouterModel, model_id: str, rank: int) -> ListedModel:
        tag = model_id.partition(":")[2]
        offers = model.offers(tag)
        prices = model.prices(tag)
        listed = ListedModel(
            model_id=model_id,
            provider=ROUTER_NAME,
            rank=rank,
            sees_images=model.sees_images,
            window=model.window(tag),
            price=_price(prices.input_usd_per_mtok, prices.output_usd_per_mtok) if prices else "",
            tools=any(offer.supports_tools for offer in offers) if offers else None,
            missing=self._no_token,
            note="" if any(offer.live for offer in offers) else "Nobody serves it right now.",
            offers=tuple(map(_offer, model.providers)),
        )
        return self.able(listed)

    # ── servers that say themselves what they have ───────────────────────────────────────────────────────────────────

    def servers(self) -> list[Source]:
        """What each server on this machine, and each of the user's own providers, answers with: a silent one holds no other back."""
        return [
            *(partial(self._of_local, prefix) for prefix in LOCAL_SERVERS),
            *(partial(self._of_profile, name) for name in self._loaded.settings.providers),
        ]

    async def _of_local(self, prefix: str) -> Sequence[ListedModel]:
        try:
            url = self._routes.local_url(prefix)
        except ConfigError as error:
            return [ListedModel(model_id=f"{prefix}/?", provider=prefix, rank=LOCAL, note=error.message)]
        served = await served_models(url, self._routes.local_key(prefix), SERVER_TIMEOUT_S)
        where = f"{prefix} at {url}"
        return [
            self.able(ListedModel(model_id=f"{prefix}/{name}", provider=where, rank=LOCAL, window=window, price="free"))
            for name, window in _served(served)
        ]

    async def _of_profile(self, name: str) -> Sequence[ListedModel]:
        profile = self._loaded.settings.providers[name]
        key = self._loaded.environ.secret(profile.api_key_env) if profile.api_key_env else None
        missing = profile.api_key_env if profile.api_key_env and key is None else ""
        served = [] if missing or profile.wire != "openai" else await served_models(profile.base_url.rstrip("/"), key, SERVER_TIMEOUT_S)
        price = _price(profile.prices.input_usd_per_mtok, profile.prices.output_usd_per_mtok) if profile.prices else ""
        where = f"{name} at {profile.base_url}"
        has = partial(ListedModel, provider=where, rank=OWN, price=price, missing=missing)
        return [self.able(has(model_id=f"{name}/{model}", window=profile.context_window or window)) for model, window in _served(served)]

    # ── the makers ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def makers(self) -> Sequence[ListedModel]:
        """Models of Anthropic, OpenAI and OpenRouter, from tables that come with the program; at the end those whose key is missing."""
        keys = ((ANTHROPIC, ANTHROPIC_KEY), (OPENAI, OPENAI_KEY), (OPENROUTER, OPENROUTER_KEY))
        missing = {maker: "" if self._routes.has_key(key) else key for maker, key in keys}
        return [self.able(model) for model in await asyncio.to_thread(_of_makers, missing)]

    def able(self, model: ListedModel) -> ListedModel:
        """With what its id tells: whether it looks at images, and its efforts."""
        try:
            resolved = self._routes.resolve(model.model_id)
        except ConfigError:
            return model
        sees = resolved.sees_images if model.sees_images is None else model.sees_images
        return msgspec.structs.replace(model, sees_images=sees, effort_levels=resolved.effort_levels)


def _of_makers(missing: Mapping[str, str]) -> list[ListedModel]:
    """Of each maker, with the key that it lacks. Reads large tables: half a second."""
    from ml_intern.models.prices import known_models

    return [
        ListedModel(
            model_id=f"{maker}/{name}",
            provider=f"{maker}, directly",
            rank=KEYLESS if key else MAKER,
            missing=key,
            window=window,
            price=_price(prices.input_usd_per_mtok, prices.output_usd_per_mtok) if prices else "",
        )
        for maker, key in missing.items()
        for name, window, prices in known_models(maker)
        if not _NO_CHAT.search(name)
    ]


def _served(served: Sequence[dict[str, object]]) -> list[tuple[str, int | None]]:
    """Names, each with the window that its server states."""
    return [(name, stated_window(entry)) for entry in served if isinstance(name := entry.get("id"), str) and name]


def _offer(offer: Offer) -> ListedOffer:
    price = _price(offer.pricing.input, offer.pricing.output) if offer.pricing else ""
    return ListedOffer(provider=offer.provider, live=offer.live, window=offer.context_length, price=price, tools=offer.supports_tools)


def _price(input_usd: float | None, output_usd: float | None) -> str:
    return "" if input_usd is None or output_usd is None else f"${input_usd:.3g} → ${output_usd:.3g}"


def probe_words(model_id: str, effort: str, effective: str | None, seconds: float, note: str) -> str:
    """What a probe found, in a sentence."""
    took = f"{model_id} answered in {seconds:.1f} s"
    return f"{took} and takes effort {effective}." if effective == effort else f"{took}; {note or f'effort {effort} is not taken'}."
