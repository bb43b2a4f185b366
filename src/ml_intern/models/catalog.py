"""From a model id to an open model: the one list of clients, and all that is known about windows, prices and abilities."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from ml_intern.config.environ import Environ
from ml_intern.config.settings import Settings
from ml_intern.errors import ConfigError
from ml_intern.models.client import ModelClient
from ml_intern.models.http import HttpOptions
from ml_intern.models.local_servers import served_models, served_window
from ml_intern.models.open_model import OpenModel
from ml_intern.models.resolved import ResolvedModel
from ml_intern.models.retry import Backoff, RetryingModel
from ml_intern.models.router_catalogue import RouterCatalogue, RouterModel
from ml_intern.models.routes import ANTHROPIC_KEY, HF_TOKEN, LOCAL_SERVERS, OPENAI_KEY, OPENROUTER_KEY, SUGGESTED, Routes, nearest

DEFAULT_ROUTER_MODEL = SUGGESTED[3]
DEFAULT_ANTHROPIC_MODEL = "anthropic/claude-opus-4-8"
DEFAULT_OPENAI_MODEL = "openai/gpt-5.5"
DEFAULT_OPENROUTER_MODEL = "openrouter/anthropic/claude-opus-4.8"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReport:
    """One provider's offer on the router; prices in US dollars per million tokens."""

    provider: str
    live: bool
    context_length: int | None
    input_usd_per_mtok: float | None
    output_usd_per_mtok: float | None
    supports_tools: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What a user should know before switching to a model. Warnings never forbid anything."""

    model: ResolvedModel
    routing: str
    warnings: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    offers: tuple[OfferReport, ...] = ()


class ModelCatalog:
    """Opens models. One per process; ``aclose`` stops what it looks up in the background."""

    def __init__(
        self,
        settings: Settings,
        environ: Environ,
        *,
        cache_dir: Path | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._routes = Routes(settings, environ)
        self._router = RouterCatalogue(settings.router_url, cache_dir, clock=clock)
        self._options = HttpOptions(inactivity_s=settings.request_timeout_s)
        self._backoff = backoff or Backoff()
        self._learnt: dict[str, int] = {}
        self._looked_up: dict[str, int | None] = {}
        self._lookups: set[asyncio.Task[None]] = set()

    def resolve(self, model_id: str) -> ResolvedModel:
        """Where an id leads, and what is known about it now. Raises ``ConfigError``; a missing key is not one."""
        model = self._routes.resolve(model_id)
        served = self.served(model)
        if served is not None and served.sees_images is not None:
            model = replace(model, sees_images=served.sees_images)
        return replace(model, window=self.window(model))

    def check(self, model_id: str) -> ResolvedModel:
        """``resolve``, for a model that is to be worked with: here a missing key is a ``ConfigError`` too."""
        model = self.resolve(model_id)
        if (missing := self.missing_key(model)) is not None:
            raise missing
        return model

    def missing_key(self, model: ResolvedModel) -> ConfigError | None:
        """What to say when the key that the model needs is not set; None when it is, or when it needs none."""
        return self._routes.missing_key(model)

    def open(self, model_id: str) -> OpenModel:
        """A model to work with: retried, healed, priced. Costs nothing until its first request."""
        model = self.resolve(model_id)
        client = self._client(model)
        levels = model.effort_levels
        retrying = RetryingModel(client, backoff=self._backoff, levels=levels, on_overflow=lambda n: self.learn_window(model_id, n))
        return OpenModel(model, retrying, self, lambda: served_by(client))

    def open_bare(self, model_id: str) -> ModelClient:
        """The client alone, for probes: a refusal is raised at once."""
        return self._client(self.resolve(model_id))

    async def default_model(self) -> str:
        """The model to use when none is named: by settings, by the keys that are there, or of a local server that answers.

        Raises ``ConfigError`` that says what to set.
        """
        if self._settings.model_name:
            return self._settings.model_name
        for key, model_id in (
            (HF_TOKEN, DEFAULT_ROUTER_MODEL),
            (ANTHROPIC_KEY, DEFAULT_ANTHROPIC_MODEL),
            (OPENAI_KEY, DEFAULT_OPENAI_MODEL),
            (OPENROUTER_KEY, DEFAULT_OPENROUTER_MODEL),
        ):
            if self._routes.has_key(key):
                return model_id
        found = await asyncio.gather(*map(self._first_served, LOCAL_SERVERS))
        if local := next((model_id for model_id in found if model_id), None):
            return local
        raise ConfigError(
            "There is no model to work with: no key is set, and no local server answers.",
            hint=(
                "Run `ml-intern setup` (in the app: /setup), or set HF_TOKEN, ANTHROPIC_API_KEY or OPENAI_API_KEY in the environment or "
                "in .env, or start a local server (Ollama, vLLM, LM Studio, llama.cpp). `ml-intern demo` shows a whole run without any."
            ),
        )

    async def describe(self, model_id: str) -> ModelReport:
        """What is worth telling about a model; asks the router's catalogue if it is old, for a few seconds at most."""
        model = self._routes.resolve(model_id)
        if not model.on_router:
            return ModelReport(model=self.resolve(model_id), routing=f"{model.provider} at {model.base_url or 'its own address'}")
        self._router.refresh_soon()
        await self._router.settled()
        return _report(self.resolve(model_id), self._router.get(model.wire_model), self._router.names())

    def window(self, model: ResolvedModel) -> int | None:
        """What an overflow error told, else the profile, the router, the server itself, or genai-prices once it was asked."""
        if (learnt := self._learnt.get(model.model_id)) is not None:
            return learnt
        if model.window is not None:
            return model.window
        if served := self.served(model):
            return served.window(model.wire_model.partition(":")[2])
        if model.wire == "scripted":
            return self._script_window(model)
        return self._looked_up.get(model.model_id)

    def learn_window(self, model_id: str, tokens: int) -> None:
        """The window is at most this."""
        self._learnt[model_id] = min(tokens, self._learnt.get(model_id, tokens))

    def served(self, model: ResolvedModel) -> RouterModel | None:
        """The router's entry of the model, from memory or from the file of an earlier run."""
        return self._router.get(model.wire_model) if model.on_router else None

    def refresh_soon(self, model: ResolvedModel) -> None:
        """Look up in the background what is not known or old."""
        if model.on_router:
            self._router.refresh_soon()
        elif model.wire != "scripted" and model.model_id not in self._looked_up and self.window(model) is None:
            self._looked_up[model.model_id] = None
            task = asyncio.create_task(self._look_up_window(model))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    async def settled(self, timeout_s: float) -> None:
        """Wait for the router's catalogue, if it is being fetched."""
        await self._router.settled(timeout_s)

    async def looked_up(self) -> None:
        """Wait for the windows that are being looked up."""
        if self._lookups:
            await asyncio.wait(self._lookups)

    async def aclose(self) -> None:
        """Stop what runs in the background."""
        await self._router.aclose()
        for task in list(self._lookups):
            task.cancel()
        if self._lookups:
            await asyncio.wait(self._lookups)

    async def _look_up_window(self, model: ResolvedModel) -> None:
        if model.local or (model.wire == "openai" and model.provider in self._settings.providers):
            self._looked_up[model.model_id] = await served_window(model)
        else:
            from ml_intern.models.prices import known_window

            self._looked_up[model.model_id] = await asyncio.to_thread(known_window, model)

    async def _first_served(self, prefix: str) -> str | None:
        served = await served_models(self._routes.local_url(prefix), self._routes.local_key(prefix))
        names = [entry.get("id") for entry in served]
        first = next((name for name in names if isinstance(name, str) and name), None)
        return f"{prefix}/{first}" if first else None

    def _client(self, model: ResolvedModel) -> ModelClient:
        """The one list of clients; each module is imported when its wire is first used."""
        match model.wire:
            case "openai":
                from ml_intern.models.openai_compatible import OpenAICompatible

                return OpenAICompatible(model, self._options)
            case "anthropic":
                from ml_intern.models.anthropic import Anthropic

                return Anthropic(model, self._options)
            case "litellm":
                from ml_intern.models.litellm import LiteLLM

                return LiteLLM(model, self._options)
            case "scripted":
                from ml_intern.models.scripted import ScriptedModel, find_script

                return ScriptedModel(model.model_id, find_script(model.wire_model))

    def _script_window(self, model: ResolvedModel) -> int | None:
        from ml_intern.models.scripted import find_script

        return find_script(model.wire_model).window


def served_by(client: ModelClient) -> str:
    """The provider that the router chose for the last reply, or nothing."""
    from ml_intern.models.openai_compatible import OpenAICompatible

    return client.served_by if isinstance(client, OpenAICompatible) else ""


def _report(model: ResolvedModel, entry: RouterModel | None, names: list[str]) -> ModelReport:
    bare, _, tag = model.wire_model.partition(":")
    routing = f"Hugging Face router, {tag or 'any provider'}"
    if entry is None:
        suggestions = tuple(nearest(bare, names))
        warning = f"{bare} is not in the router's catalogue." if names else "The router's catalogue cannot be read."
        return ModelReport(model=model, routing=routing, warnings=(warning,), suggestions=suggestions)
    offers = tuple(
        OfferReport(
            provider=offer.provider,
            live=offer.live,
            context_length=offer.context_length,
            input_usd_per_mtok=offer.pricing.input if offer.pricing else None,
            output_usd_per_mtok=offer.pricing.output if offer.pricing else None,
            supports_tools=offer.supports_tools,
        )
        for offer in entry.providers
    )
    return ModelReport(model=model, routing=routing, warnings=tuple(_warnings(entry, bare, tag)), offers=offers)


def _warnings(entry: RouterModel, bare: str, tag: str) -> list[str]:
    live = [offer for offer in entry.providers if offer.live]
    if not live:
        return [f"No provider serves {bare} right now."]
    chosen = entry.offers(tag)
    if not any(offer.live for offer in chosen):
        return [f"{tag} does not serve {bare} right now; {', '.join(offer.provider for offer in live)} would."]
    if not any(offer.supports_tools for offer in chosen):
        return [f"{bare} cannot call tools there: the agent would be helpless."]
    return []
