"""The steps of the first run, each a question and what becomes of its answer. Nothing here draws or reads a keyboard."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from msgspec import Struct

from ml_intern.config.credentials import hf_token
from ml_intern.config.edit import put_value
from ml_intern.config.kept_token import keep_token, where_kept
from ml_intern.config.load import LoadedSettings, user_file
from ml_intern.config.secret import SecretStr
from ml_intern.errors import ConfigError, MlInternError, ServiceAuthError
from ml_intern.frontends.first_run.due import SHARE, has_key
from ml_intern.gateways.hub.client import HubClient
from ml_intern.gateways.outside import Outside
from ml_intern.models.key_check import MAKERS, Maker, key_verdict
from ml_intern.models.local_servers import served_models
from ml_intern.models.routes import HF_TOKEN, KEYS, LOCAL_SERVERS, Routes

MOST_TRIES = 3
"""A wrong token is asked for again, but not for ever."""
TOKEN_PAGE = "https://huggingface.co/settings/tokens"
FOUND_CHECK_S = 5.0
"""How long a start waits for the Hub's word about a token that nobody just gave."""
_NOT_TAKEN = (("gsk_", "Groq", "GROQ_API_KEY"),)
_TOKEN = re.compile(r"[A-Za-z0-9_.\-]{8,512}")


class Found(Struct, frozen=True, kw_only=True):
    """What is there. ``keys``: variables that are set; ``kept``: those that were given before, as (variable, place);
    ``token_from``: where the Hugging Face token is, or empty."""

    keys: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    token_from: str
    local_models: tuple[str, ...]
    """Ids of models that local servers offer."""
    ready: bool
    """There is a model to work with."""


class TokenCheck(Struct, frozen=True, kw_only=True):
    """What became of a key that was given. ``problem`` is a sentence, or empty; ``user`` its account on the Hub, ``variable`` its name."""

    token: SecretStr | None = None
    variable: str = HF_TOKEN
    user: str = ""
    problem: str = ""
    unchecked: bool = False
    """Nobody could be asked: it may be a good one."""


async def look(loaded: LoadedSettings) -> Found:
    """Variables, the token of ``hf auth login``, and local servers: asked all at once; where nobody listens, that is known at once."""
    routes = Routes(loaded.settings, loaded.environ)
    served = await asyncio.gather(*(_first_model(routes, prefix) for prefix in LOCAL_SERVERS))
    local = tuple(model_id for model_id in served if model_id)
    return Found(
        keys=tuple(key for key in KEYS if loaded.environ.secret(key)),
        kept=tuple((maker.variable, place) for maker in MAKERS if (place := where_kept(loaded.environ, maker.variable))),
        token_from=_token_from(loaded),
        local_models=local,
        ready=has_key(loaded) or (bool(local) and loaded.settings.model_name is None),
    )


async def _first_model(routes: Routes, prefix: str) -> str:
    try:
        names = [entry.get("id") for entry in await served_models(routes.local_url(prefix), routes.local_key(prefix))]
    except ConfigError:
        return ""  # its address is wrong, and the start says so when it is used
    return next((f"{prefix}/{name}" for name in names if isinstance(name, str) and name), "")


def _token_from(loaded: LoadedSettings) -> str:
    environ = loaded.environ
    if environ.secret(HF_TOKEN) or environ.secret("HUGGING_FACE_HUB_TOKEN"):
        return "the environment"
    if place := where_kept(environ, HF_TOKEN):
        return f"{place}, given to ml-intern before"
    return "`hf auth login`" if hf_token(environ) is not None else ""


async def found_token(loaded: LoadedSettings) -> str:
    """What a Hugging Face token that was there already is worth, in words; empty where there is none. Asks the Hub, for a few seconds."""
    token, place = hf_token(loaded.environ), _token_from(loaded)
    if token is None:
        return ""
    found = f"a Hugging Face token: from {place}"
    try:
        async with asyncio.timeout(FOUND_CHECK_S):
            check = await _whose(loaded, token)
    except TimeoutError:
        return f"{found}. The Hub did not answer, so it is not checked."
    if check.user:
        return f"{found}. It is {check.user}'s."
    return f"{found}. {check.problem}"


async def check_token(loaded: LoadedSettings, text: str, makers: Sequence[Maker] = MAKERS) -> TokenCheck:
    """Ask the Hub whose token it is, or a maker of models whether the key is one of its own. Each is told of no other's."""
    text = text.strip()
    for beginning, service, variable in _NOT_TAKEN:
        if text.startswith(beginning):
            return TokenCheck(problem=f"That is a key of {service}. To use it, set {variable} in the environment or in .env.")
    if not _TOKEN.fullmatch(text):
        return TokenCheck(problem=f"That is no token: one has letters, digits and _ only, and is made at {TOKEN_PAGE}.")
    token = SecretStr(text)
    if maker := next((maker for maker in makers if text.startswith(maker.beginning)), None):
        return await _checked_by(maker, token)
    return await _whose(loaded, token)


async def _whose(loaded: LoadedSettings, token: SecretStr) -> TokenCheck:
    hub = HubClient(Outside(loaded.settings, loaded.environ, loaded.paths.cache_dir).hub_endpoint, token)
    try:
        return TokenCheck(token=token, user=(await hub.whoami()).name)
    except ServiceAuthError:
        return TokenCheck(problem=f"The Hub does not know this token. Make one at {TOKEN_PAGE}.")
    except MlInternError as error:
        return TokenCheck(token=token, unchecked=True, problem=f"The token could not be checked: {error.message}")
    finally:
        await hub.aclose()


async def _checked_by(maker: Maker, key: SecretStr) -> TokenCheck:
    try:
        status = await key_verdict(maker, key)
    except MlInternError as error:
        return TokenCheck(
            token=key, variable=maker.variable, unchecked=True, problem=f"The key of {maker.name} could not be checked: {error.message}"
        )
    if status in (401, 403):
        return TokenCheck(problem=f"{maker.name} does not know this key. Make one at {maker.page}.")
    if status != 200:
        problem = f"The key of {maker.name} could not be checked: the answer was {status}."
        return TokenCheck(token=key, variable=maker.variable, unchecked=True, problem=problem)
    return TokenCheck(token=key, variable=maker.variable)


async def keep(loaded: LoadedSettings, token: SecretStr, variable: str = HF_TOKEN) -> str:
    """Keep the key, and say where in words. Raises ``ConfigError``."""
    return await asyncio.to_thread(keep_token, token, loaded.environ, variable)


def share_traces(loaded: LoadedSettings, yes: bool) -> None:
    """Write the answer into the user's settings. Raises ``ConfigError``."""
    put_value(user_file(loaded.environ), SHARE, yes)
