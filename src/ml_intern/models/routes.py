"""From a model id to the provider that serves it.

========================================  ==========================================================================
``<profile>/…``                           the user's own provider of that name (settings ``providers``)
``ollama/ vllm/ lm_studio/ llamacpp/…``   a server on this machine or in this network
``scripted/…``                            replies from a file
``openrouter/…``                          OpenRouter
``litellm/…``                             any provider that litellm knows
``anthropic/claude-…`` ``openai/gpt-…``   the provider itself when its key is there, else the router
``<org>/<model>[:<tag>]``                 the Hugging Face router; the tag is a provider or a policy
========================================  ==========================================================================
"""

from __future__ import annotations

import re
from types import MappingProxyType
from urllib.parse import urlsplit

from msgspec import Struct  # and no dataclass: it stands on the path to the first paint

from ml_intern.config.credentials import hf_token, provider_key
from ml_intern.config.environ import Environ
from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import ProviderProfile, Settings
from ml_intern.errors import ConfigError
from ml_intern.models.anthropic_thinking import thinking_style
from ml_intern.models.http import LOOPBACK_HOSTS
from ml_intern.models.resolved import ANTHROPIC, OPENAI, OPENROUTER, ROUTER, ResolvedModel

ANTHROPIC_URL = "https://api.anthropic.com/v1"
OPENAI_URL = "https://api.openai.com/v1"
OPENROUTER_URL = "https://openrouter.ai/api/v1"
HF_TOKEN, ANTHROPIC_KEY, OPENAI_KEY, OPENROUTER_KEY = "HF_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY"
KEYS = (HF_TOKEN, ANTHROPIC_KEY, OPENAI_KEY, OPENROUTER_KEY)
"""Any of them is enough to begin without naming a model."""
SUGGESTED = (
    "anthropic/claude-opus-4.8:fal-ai",
    "openai/gpt-5.5:fal-ai",
    "MiniMaxAI/MiniMax-M2.7:novita",
    "moonshotai/Kimi-K2.6:novita",
    "zai-org/GLM-5.1:novita",
    "deepseek-ai/DeepSeek-V4-Pro:novita",
)
SCRIPTED = "scripted"
POLICY_TAGS = frozenset({"fastest", "cheapest", "preferred"})

_ROUTER_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[\w.-]+)?", re.ASCII)
_OPENAI_OWN = re.compile(r"(gpt-(?!oss)|o\d|chatgpt-|codex)")
_SEES = re.compile(
    r"claude|gemini|gpt-(?!oss|3)|\bo[134]\b|llava|pixtral|vision|multimodal|omni|internvl|kimi-k2\.[5-9]|llama-?4|gemma-?[34]|qwen-?3\.[5-9]"
    r"|[-_.\d](vl|4\.\dv|v)\b|qwen[\d.]*-?vl|minicpm-v",
    re.IGNORECASE,
)
_NO_KEY = "sk-local-no-key-required"
_ROUTER_LEVELS = ("low", "medium", "high")
_OPENROUTER_LEVELS = ("minimal", "low", "medium", "high", "xhigh")


class LocalServer(Struct, frozen=True):
    """A kind of local server: its variables and where it listens by default."""

    base_env: str
    key_env: str
    default_url: str


LOCAL_SERVERS = MappingProxyType(
    {
        "ollama": LocalServer("OLLAMA_BASE_URL", "OLLAMA_API_KEY", "http://127.0.0.1:11434/v1"),
        "vllm": LocalServer("VLLM_BASE_URL", "VLLM_API_KEY", "http://127.0.0.1:8000/v1"),
        "lm_studio": LocalServer("LMSTUDIO_BASE_URL", "LMSTUDIO_API_KEY", "http://127.0.0.1:1234/v1"),
        "llamacpp": LocalServer("LLAMACPP_BASE_URL", "LLAMACPP_API_KEY", "http://127.0.0.1:8080/v1"),
    }
)


class Routes:
    """Knows the user's profiles and keys."""

    def __init__(self, settings: Settings, environ: Environ) -> None:
        self._settings = settings
        self._environ = environ

    def resolve(self, model_id: str) -> ResolvedModel:
        """Where ``model_id`` leads. Raises ``ConfigError`` for what cannot be an id; a missing key is no error here."""
        wanted = model_id.strip()
        if wanted.startswith(f"{SCRIPTED}/") and wanted != f"{SCRIPTED}/" and SCRIPTED not in self._settings.providers:
            return self._scripted(wanted)
        if not wanted or any(c.isspace() or not c.isprintable() for c in wanted):
            raise ConfigError(f"{model_id!r} is not a model id: it must not be empty or hold white space.", hint=_example())
        prefix, slash, rest = wanted.partition("/")
        if profile := self._settings.providers.get(prefix) if slash else None:
            return self._profile(wanted, prefix, profile, _rest(wanted, rest))
        if prefix == "huggingface" and slash:
            return self._router(wanted, _rest(wanted, rest))
        if prefix == "openai-compat":
            raise ConfigError(
                f"{wanted!r}: openai-compat/ is reserved.",
                hint="Name your server in the settings (providers.<name>) and use <name>/<model>.",
            )
        if not slash:
            raise self._no_provider(wanted)
        return self._named(wanted, prefix, _rest(wanted, rest))

    def local_url(self, prefix: str) -> str:
        """Where the local server of that kind listens, as far as the environment says."""
        server = LOCAL_SERVERS[prefix]
        url = self._environ.get(server.base_env) or self._environ.get("LOCAL_LLM_BASE_URL") or server.default_url
        if not url.startswith(("http://", "https://")):
            raise ConfigError(
                f"The address of {prefix} must start with http:// or https://.",
                hint=f"Set {server.base_env} to, say, {server.default_url}.",
            )
        url = url.strip().rstrip("/")
        return url if url.endswith("/v1") else f"{url}/v1"

    def local_key(self, prefix: str) -> SecretStr:
        """The key for the local server of that kind; a word that none is needed where the environment has none."""
        own = self._environ.secret(LOCAL_SERVERS[prefix].key_env)
        return own or self._environ.secret("LOCAL_LLM_API_KEY") or SecretStr(_NO_KEY)

    def has_key(self, variable: str) -> bool:
        """Whether a provider's key is set."""
        return provider_key(self._environ, variable) is not None

    def missing_key(self, model: ResolvedModel) -> ConfigError | None:
        """What to say when the model needs a key that is not there. Which one litellm takes, or whether any, only litellm knows."""
        if model.api_key is not None or not model.api_key_env:
            return None
        prefix, _, rest = model.model_id.partition("/")
        if prefix in self._settings.providers:
            return ConfigError(
                f"The profile {prefix} takes its key from {model.api_key_env}, which is not set.",
                hint=f"Set {model.api_key_env} in the environment or in .env, or correct providers.{prefix}.api_key_env in the settings.",
            )
        if model.wire == "litellm":
            return None
        known = f"{HF_TOKEN} (or `hf auth login`)" if model.on_router else model.api_key_env
        own_key = _own_key(prefix, rest)
        hint = f"Run `ml-intern setup` (in the app: /setup), or set {f'{own_key} or ' if own_key else ''}{known}. /model chooses another."
        return ConfigError(f"{model.model_id} needs a key, and none is set.", hint=hint)

    def _named(self, wanted: str, prefix: str, rest: str) -> ResolvedModel:
        if prefix in LOCAL_SERVERS:
            return self._local(wanted, prefix, rest)
        if prefix == "litellm":
            key_env = f"{rest.partition('/')[0].upper()}_API_KEY"  # as litellm itself names them: MISTRAL_API_KEY, GEMINI_API_KEY, …
            return ResolvedModel(
                model_id=wanted,
                wire="litellm",
                provider="litellm",
                base_url="",
                wire_model=rest,
                api_key_env=key_env,
                api_key=self._environ.secret(key_env),
                effort_levels=_ROUTER_LEVELS,
                sees_images=sees(rest),
            )
        if prefix == OPENROUTER:
            return self._direct(wanted, rest, OPENROUTER, OPENROUTER_URL, OPENROUTER_KEY, _OPENROUTER_LEVELS)
        own_key = _own_key(prefix, rest)
        if own_key == ANTHROPIC_KEY and self.has_key(ANTHROPIC_KEY):
            own_id = re.sub(r"(?<=\d)\.(?=\d)", "-", rest)  # the router writes 4.8 where the API writes 4-8
            return self._direct(wanted, own_id, ANTHROPIC, ANTHROPIC_URL, ANTHROPIC_KEY, thinking_style(own_id).levels)
        if own_key == OPENAI_KEY and self.has_key(OPENAI_KEY):
            return self._direct(wanted, rest, OPENAI, OPENAI_URL, OPENAI_KEY, _openai_levels(rest))
        return self._router(wanted, wanted)

    def _scripted(self, wanted: str) -> ResolvedModel:
        """What follows is a name, or a path of any shape."""
        name = wanted.partition("/")[2]
        return ResolvedModel(model_id=wanted, wire="scripted", provider=SCRIPTED, base_url="", wire_model=name, local=True)

    def _router(self, wanted: str, wire_model: str) -> ResolvedModel:
        if not _ROUTER_ID.fullmatch(wire_model):
            raise ConfigError(f"{wanted!r} is not a model id of the form <org>/<model>[:<tag>].", hint=_example())
        return ResolvedModel(
            model_id=wanted,
            wire="openai",
            provider=ROUTER,
            base_url=self._settings.router_url.rstrip("/"),
            wire_model=wire_model,
            api_key_env=HF_TOKEN,
            api_key=hf_token(self._environ),
            sees_images=sees(wire_model),
            effort_levels=_ROUTER_LEVELS,
        )

    def _direct(self, wanted: str, wire_model: str, provider: str, url: str, key_env: str, levels: tuple[str, ...]) -> ResolvedModel:
        return ResolvedModel(
            model_id=wanted,
            wire="anthropic" if provider == ANTHROPIC else "openai",
            provider=provider,
            base_url=url,
            wire_model=wire_model,
            api_key_env=key_env,
            api_key=provider_key(self._environ, key_env),
            sees_images=sees(wire_model),
            effort_levels=levels,
        )

    def _local(self, wanted: str, prefix: str, rest: str) -> ResolvedModel:
        return ResolvedModel(
            model_id=wanted,
            wire="openai",
            provider=prefix,
            base_url=self.local_url(prefix),
            wire_model=rest,
            api_key_env=LOCAL_SERVERS[prefix].key_env,
            api_key=self.local_key(prefix),
            sees_images=sees(rest),
            local=True,
        )

    def _profile(self, wanted: str, name: str, profile: ProviderProfile, rest: str) -> ResolvedModel:
        return ResolvedModel(
            model_id=wanted,
            wire=profile.wire,
            provider=name,
            base_url=profile.base_url.rstrip("/"),
            wire_model=rest,
            api_key_env=profile.api_key_env,
            api_key=self._environ.secret(profile.api_key_env) if profile.api_key_env else None,
            headers=profile.headers,
            window=profile.context_window,
            prices=profile.prices,
            local=not profile.api_key_env and urlsplit(profile.base_url).hostname in LOOPBACK_HOSTS,
            sees_images=sees(rest) if profile.sees_images is None else profile.sees_images,
            effort_levels=thinking_style(rest).levels if profile.wire == "anthropic" else _ROUTER_LEVELS,
        )

    def _no_provider(self, wanted: str) -> ConfigError:
        known = (*self._settings.providers, *LOCAL_SERVERS, OPENROUTER, "litellm", SCRIPTED)
        if wanted.startswith("claude"):
            hint = f"Did you mean {ANTHROPIC}/{wanted}?"
        elif _OPENAI_OWN.match(wanted):
            hint = f"Did you mean {OPENAI}/{wanted}?"
        else:
            near = nearest(wanted.partition(":")[0], [suggested.partition("/")[2].partition(":")[0] for suggested in SUGGESTED], 1)
            whole = next((s for s in SUGGESTED if near and near[0] in s), None)
            hint = f"Did you mean {whole}?" if whole else f"Write <org>/<model>, or one of {', '.join(known)} before the slash."
        return ConfigError(f"{wanted!r} names no provider.", hint=hint)


def sees(wire_model: str) -> bool:
    """Whether the model can look at images, as far as its name tells; a catalogue knows better."""
    return _SEES.search(wire_model) is not None


def nearest(wanted: str, known: list[str], count: int = 3) -> list[str]:
    """Up to ``count`` of the known names that resemble the wanted one, best first."""
    from rapidfuzz import fuzz, process

    found = process.extract(wanted.lower(), {name: name.lower() for name in known}, scorer=fuzz.ratio, score_cutoff=40, limit=count)
    return [name for _, _, name in found]


def _own_key(prefix: str, rest: str) -> str:
    """The variable whose key takes a model to its maker instead of the router; empty when only the router has it."""
    if prefix == ANTHROPIC and rest.startswith("claude") and ":" not in rest:
        return ANTHROPIC_KEY
    return OPENAI_KEY if prefix == OPENAI and _OPENAI_OWN.match(rest) and ":" not in rest else ""


def _rest(wanted: str, rest: str) -> str:
    if not rest or rest.startswith("/") or rest.endswith("/") or "//" in rest:
        raise ConfigError(f"{wanted!r} is not a model id: a part of it is empty.", hint=_example())
    return rest


def _example() -> str:
    return f"Ids look like {SUGGESTED[3]}, anthropic/claude-opus-4-8, openai/gpt-5.5 or ollama/qwen3:32b."


def _openai_levels(wire_model: str) -> tuple[str, ...]:
    """The efforts of OpenAI's own models: https://platform.openai.com/docs/guides/reasoning. A refusal lowers what is too high."""
    if not wire_model.startswith(("gpt-5", "o1", "o3", "o4", "gpt-6", "codex")):
        return ()
    if wire_model.startswith("o"):
        return _ROUTER_LEVELS
    minor = re.match(r"gpt-5\.(\d+)", wire_model)
    if wire_model.startswith("gpt-5") and not minor:
        return ("minimal", *_ROUTER_LEVELS)
    return _ROUTER_LEVELS if minor and int(minor[1]) < 2 else (*_ROUTER_LEVELS, "xhigh")
