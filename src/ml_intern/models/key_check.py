"""Makers of models whose keys the user can give, and asking one whether it knows a key: a request that costs nothing."""

from __future__ import annotations

from msgspec import Struct

from ml_intern.config.secret import SecretStr
from ml_intern.models.http import HttpOptions, ModelHttp
from ml_intern.models.routes import ANTHROPIC_KEY, ANTHROPIC_URL, OPENAI_KEY, OPENAI_URL, OPENROUTER_KEY, OPENROUTER_URL

CHECK_TIMEOUT_S = 10.0


class Maker(Struct, frozen=True, kw_only=True):
    """``beginning``: how its keys begin. ``path``: a page below ``url`` that wants the key; ``page``: where keys are made."""

    name: str
    variable: str
    beginning: str
    url: str
    path: str
    page: str


MAKERS = (
    Maker(
        name="Anthropic",
        variable=ANTHROPIC_KEY,
        beginning="sk-ant-",
        url=ANTHROPIC_URL,
        path="/models",
        page="https://console.anthropic.com/settings/keys",
    ),
    Maker(  # its list of models is open to everybody: https://openrouter.ai/docs/api-reference/limits
        name="OpenRouter",
        variable=OPENROUTER_KEY,
        beginning="sk-or-",
        url=OPENROUTER_URL,
        path="/key",
        page="https://openrouter.ai/settings/keys",
    ),
    Maker(
        name="OpenAI",
        variable=OPENAI_KEY,
        beginning="sk-",
        url=OPENAI_URL,
        path="/models",
        page="https://platform.openai.com/api-keys",
    ),
)
"""The shorter of two beginnings comes later."""


async def key_verdict(maker: Maker, key: SecretStr) -> int:
    """The status of its answer: 401 or 403 says that it does not know the key. Raises ``ModelError`` when it cannot be asked."""
    own = {"x-api-key": key.reveal(), "anthropic-version": "2023-06-01"}
    headers = own if maker.variable == ANTHROPIC_KEY else {"authorization": f"Bearer {key.reveal()}"}
    http = ModelHttp(maker.url, headers, HttpOptions(inactivity_s=CHECK_TIMEOUT_S, connect_s=CHECK_TIMEOUT_S))
    try:
        status, _ = await http.get(maker.path, CHECK_TIMEOUT_S)
        return status
    finally:
        await http.aclose()
