"""Checks of the model: which one, whether its key is there, whether it can be reached, whether it answers."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from contextlib import aclosing
from urllib.parse import urlsplit

from ml_intern.config.environ import Environ
from ml_intern.config.kept_token import KEPT, where_kept
from ml_intern.config.load import LoadedSettings, hf_token
from ml_intern.errors import ConfigError, MlInternError
from ml_intern.frontends.commands.check import Check, fail, ok, warn
from ml_intern.models.base import ModelRequest, Reply
from ml_intern.models.catalog import ModelCatalog
from ml_intern.models.resolved import ResolvedModel
from ml_intern.protocol.messages import UserMessage

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 90.0
ANSWER_TOKENS = 2_000
"""Room for a model that thinks before it says one word."""

KEYS = ("HF_TOKEN", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "GITHUB_TOKEN")


def chosen(model: ResolvedModel, loaded: LoadedSettings, missing_key: ConfigError | None) -> Check:
    """Which model a run would use, why, and whether its key is there."""
    if loaded.settings.model_name:
        why = str(loaded.origins["model_name"])
    elif model.local:
        why = "nothing is configured, and this server answers"
    else:
        why = f"nothing is configured, and {model.api_key_env} is there"
    detail = f"{model.model_id} ({why}), from {model.provider}{f' at {model.base_url}' if model.base_url else ''}"
    if model.wire == "litellm" and importlib.util.find_spec("litellm") is None:
        return fail("model", f"{detail}: litellm is not installed", "pip install 'ml-intern[litellm]'")
    if missing_key is not None:
        return fail("model", f"{detail}: {model.api_key_env} is not set", missing_key.hint)
    return ok("model", detail)


def tokens(loaded: LoadedSettings, model: ResolvedModel | None) -> Check:
    """Which keys are there, by name: the usual ones, and the one that the chosen model takes."""
    environ = loaded.environ
    names = KEYS if model is None or not model.api_key_env else dict.fromkeys((model.api_key_env, *KEYS))
    present = [name for name in names if environ.secret(name)]
    kept = [f"{name} (in {place})" for name in KEPT if name not in present and (place := where_kept(environ, name))]
    if "HF_TOKEN" not in present and not where_kept(environ, "HF_TOKEN") and hf_token(environ) is not None:
        present.insert(0, "HUGGING_FACE_HUB_TOKEN" if environ.get("HUGGING_FACE_HUB_TOKEN") else "Hugging Face login")
    present += kept
    if not present and model is not None and (model.local or not model.api_key_env):
        return ok("tokens", "none, and this model needs none")
    if not present:
        return warn("tokens", "none", f"Set what you use of {', '.join(KEYS)}; a local model needs none.")
    return ok("tokens", ", ".join(present))


async def network(model: ResolvedModel, environ: Environ) -> Check:
    """Whether a connection to the provider, or to the proxy before it, can be opened. Nothing is sent."""
    target = urlsplit(model.base_url)
    if not target.hostname:
        return ok("network", "not needed for this model" if model.wire == "scripted" else "not checked: litellm knows the address")
    proxy = None if model.local else _proxy(target.scheme, target.hostname, environ)
    host, port = _address(proxy or model.base_url)
    where = f"the proxy {host}:{port}" if proxy else f"{host}:{port}"
    started = time.monotonic()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        fix = "Start the server, or correct its address." if model.local else "Check the connection, the proxy variables and the address."
        return fail("network", f"{where} cannot be reached: {error or 'no answer in time'}", fix)
    writer.close()
    return ok("network", f"{where} reached in {(time.monotonic() - started) * 1000:.0f} ms")


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    return parts.hostname or "localhost", parts.port or (443 if parts.scheme == "https" else 80)


def _proxy(scheme: str, host: str, environ: Environ) -> str | None:
    """The proxy that the environment names for the host, by the usual variables."""
    excluded = [name.strip().lstrip(".") for name in (environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(",")]
    if "*" in excluded or any(name and (host == name or host.endswith(f".{name}")) for name in excluded):
        return None
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    return next((value for name in names if (value := environ.get(name))), None)


async def answer(model: ResolvedModel, catalog: ModelCatalog) -> Check:
    """One real request, without tools; a refusal is shown as the provider gave it."""
    request = ModelRequest(
        system="Answer with the single word: ready",
        tools=(),
        messages=[UserMessage("Are you there?")],
        session_id="doctor",
        max_output_tokens=ANSWER_TOKENS,
    )
    client = catalog.open_bare(model.model_id)
    started = time.monotonic()
    reply: Reply | None = None
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S), aclosing(client.stream(request)) as stream:
            async for piece in stream:
                if isinstance(piece, Reply):
                    reply = piece
    except MlInternError as error:
        return fail("answer", error.message, error.hint)
    except TimeoutError:
        return fail("answer", f"{model.model_id} did not answer within {ANSWER_TIMEOUT_S:g} s.", "Try again, or another model.")
    finally:
        await client.aclose()
    if reply is None:
        return fail("answer", f"{model.model_id} ended without an answer.", "Try again, or another model.")
    tokens_used = f", {reply.usage.total_tokens} tokens" if reply.usage else ""
    return ok("answer", f"{model.model_id} answered in {time.monotonic() - started:.1f} s{tokens_used}")
