"""What a provider says when it refuses, read once into ``Refusal``, and the part of its meaning that no wire owns.

Each wire's own codes are in ``openai_refusals`` and ``anthropic_refusals``. A meaning is found by status and typed code
first. Words are searched only in the text of a 400, and never for numbers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from ml_intern.config.kept_token import KEPT
from ml_intern.errors import (
    BadRequest,
    BillingError,
    ContextOverflow,
    EffortRejected,
    ModelAuthError,
    ModelError,
    ModelNotFound,
    RateLimited,
    ServerFailed,
    SignatureRejected,
)
from ml_intern.models.resolved import ANTHROPIC, OPENAI, OPENROUTER, ResolvedModel

HF_BILLING_URL = "https://huggingface.co/settings/billing"
HF_PRO_URL = "https://huggingface.co/subscribe/pro"
_BILLING_URLS = {
    OPENAI: "https://platform.openai.com/settings/organization/billing",
    ANTHROPIC: "https://console.anthropic.com/settings/billing",
    OPENROUTER: "https://openrouter.ai/settings/credits",
}
_OWN_KEYS = {ANTHROPIC: "ANTHROPIC_API_KEY", OPENAI: "OPENAI_API_KEY"}
_KEY_URLS = {
    OPENAI: "https://platform.openai.com/api-keys",
    ANTHROPIC: "https://console.anthropic.com/settings/keys",
    OPENROUTER: "https://openrouter.ai/settings/keys",
}
ANOTHER_MODEL = "/model chooses another model; in a shell, --model does."
_MAX_MESSAGE_CHARS = 600
_SHORTEST_SECRET = 8

_OVERFLOW_PHRASES = (
    "context window exceeded",
    "maximum context length",
    "max context length",
    "prompt is too long",
    "context length exceeded",
    "exceeds the context",
    "exceed context limit",
    "exceeds the available context size",
    "too many input tokens",
    "input is too long",
    "greater than the context length",
    "longer than the model's context length",
)
_LIMIT = (
    re.compile(r"maximum context length(?: is| of|:)?\s*(\d[\d,]*)", re.IGNORECASE),
    re.compile(r">\s*(\d[\d,]*)"),  # Anthropic: "212345 tokens > 200000 maximum", "190000 + 20000 > 200000"
    re.compile(r"context (?:length|size|window|limit)[^\d]{0,30}(\d[\d,]*)", re.IGNORECASE),
)
_INVALID_EFFORT = (
    "invalid", "not supported", "unsupported", "must be one of", "not a valid", "unrecognized", "unknown", "only supported by",
    "is only supported", "input should be", "does not support",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error answer. ``status`` None: it came inside a stream. ``fields`` is the provider's error object."""

    status: int | None
    message: str
    code: str = ""
    kind: str = ""
    param: str = ""
    fields: Mapping[str, Any]
    retry_after_s: float | None = None

    @property
    def codes(self) -> frozenset[str]:
        """The provider's typed words for it."""
        return frozenset(word for word in (self.code, self.kind) if word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the refused request held that may be to blame."""

    model: ResolvedModel
    effort: str | None = None
    replays_thinking: bool = False


def read_refusal(status: int | None, body: bytes, headers: Mapping[str, str], model: ResolvedModel) -> Refusal:
    """The refusal in a body: an error object of either wire, a plain message, or something that is no JSON at all."""
    try:
        document: Any = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        document = None
    fields = _error_object(document)
    message = _text(fields.get("message")) or _text(fields.get("detail")) or _plain(body)
    code = fields.get("code")
    if status is None and isinstance(code, int):
        status = code
    return Refusal(
        status=status,
        message=_safe(message, model),
        code=code if isinstance(code, str) else "",
        kind=_text(fields.get("type")),
        param=_text(fields.get("param")),
        fields=fields,
        retry_after_s=retry_after_s(headers),
    )


def _error_object(document: Any) -> dict[str, Any]:
    if isinstance(document, list) and document:  # Gemini's compatible endpoint wraps the error into an array
        document = cast(list[Any], document)[0]
    if not isinstance(document, dict):
        return {}
    fields = cast(dict[str, Any], document)
    error = fields.get("error")
    if isinstance(error, dict):
        return cast(dict[str, Any], error)
    return {**fields, "message": error} if isinstance(error, str) else fields


def _text(value: Any) -> str:
    if isinstance(value, list):  # FastAPI's validation errors
        return msgspec.json.encode(value).decode()
    return value if isinstance(value, str) else ""


def _plain(body: bytes) -> str:
    text = body[:4000].decode("utf-8", "replace").strip()
    return "" if text.startswith(("<", "{")) else text


def _safe(message: str, model: ResolvedModel) -> str:
    """Cut to size, and without the key, should the provider repeat it."""
    secrets = [model.api_key.reveal()] if model.api_key else []
    for secret in (*secrets, *model.headers.values()):
        if len(secret) >= _SHORTEST_SECRET:
            message = message.replace(secret, "…")
    message = " ".join(message.split())
    return message if len(message) <= _MAX_MESSAGE_CHARS else message[:_MAX_MESSAGE_CHARS] + "…"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds, from a number or an HTTP date (RFC 9110 §10.2.3), or from ``retry-after-ms``."""
    if (ms := _number(headers.get("retry-after-ms", ""))) is not None:
        return ms / 1000
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def by_status(refusal: Refusal, asked: Asked) -> ModelError:
    """What the status alone says."""
    said = refusal.message or "no reason given"
    status = refusal.status
    match status:
        case 401 | 403:
            return auth_error(refusal, asked.model)
        case 402:
            return billing_error(refusal, asked.model)
        case 404:
            return not_found(refusal, asked.model)
        case 413:
            return overflow(refusal)
        case 429:
            return RateLimited(f"{_who(asked.model)} limits the rate of requests: {said}", status=429, retry_after_s=refusal.retry_after_s)
        case _ if status is None or status >= 500 or status in (408, 425):
            return ServerFailed(f"{_who(asked.model)} failed: {said}", status=status, retry_after_s=refusal.retry_after_s)
        case _:
            return BadRequest(f"{_who(asked.model)} refuses the request ({status}): {said}", status=status)


def by_words(refusal: Refusal, asked: Asked) -> ModelError | None:
    """The meaning of a 400 whose code says nothing; None when its words say nothing either."""
    words = refusal.message.lower()
    if any(phrase in words for phrase in _OVERFLOW_PHRASES):
        return overflow(refusal)
    if "not supported by provider" in words or "no provider supports" in words:
        return not_found(refusal, asked.model)
    if "credit balance is too low" in words:  # Anthropic's older answer
        return billing_error(refusal, asked.model)
    if asked.effort is None:
        return None
    if "thinking" in words and ("not supported" in words or "not support" in words):
        return EffortRejected(refusal.message, status=refusal.status, thinking_unsupported=True)
    if ("effort" in words or "output_config" in words) and any(phrase in words for phrase in _INVALID_EFFORT):
        return EffortRejected(refusal.message, status=refusal.status)
    return None


def auth_error(refusal: Refusal, model: ResolvedModel) -> ModelAuthError:
    """The key is missing or refused; says how to set it."""
    had = "refuses the key" if model.api_key else "wants a key, and none is set"
    return ModelAuthError(f"{_who(model)} {had}: {refusal.message or refusal.status}", hint=key_hint(model), status=refusal.status)


def key_hint(model: ResolvedModel) -> str:
    """How to set the key that a model needs."""
    if model.on_router:
        own = _OWN_KEYS.get(model.wire_model.partition("/")[0])
        return (
            "Give a token that may call Inference Providers, from https://huggingface.co/settings/tokens, with `ml-intern setup` (in the "
            f"app: /setup) or as HF_TOKEN{f', or a key of the maker as {own}' if own else ''}. {ANOTHER_MODEL}"
        )
    name = model.api_key_env
    if not name:
        return (
            f'Put its key into a variable, and the name of that variable into your settings, as "api_key_env" of '
            f"providers.{model.provider}. {ANOTHER_MODEL}"
        )
    where = f", from {_KEY_URLS[model.provider]}" if model.provider in _KEY_URLS else ""
    if name in KEPT:
        return f"Give another key{where}, with `ml-intern setup` (in the app: /setup), or as {name}, which wins. {ANOTHER_MODEL}"
    return f"Set {name} in the environment or in .env{where}. {ANOTHER_MODEL}"


def billing_error(refusal: Refusal, model: ResolvedModel) -> BillingError:
    """No credits; says where to buy some."""
    if model.on_router:
        hint = f"Add credits at {HF_BILLING_URL}, or get the monthly credits of PRO at {HF_PRO_URL}."
    elif url := _BILLING_URLS.get(model.provider):
        hint = f"Add credits at {url}."
    else:
        hint = f"Add credits at the provider. {ANOTHER_MODEL}"
    return BillingError(f"{_who(model)} wants payment: {refusal.message or refusal.status}", hint=hint, status=refusal.status)


def not_found(refusal: Refusal, model: ResolvedModel) -> ModelNotFound:
    """The provider does not serve the model."""
    bare, _, tag = model.wire_model.partition(":")
    if model.on_router and tag:
        hint = f"Drop the suffix: {bare} lets the router choose a provider that serves it."
    elif model.local:
        hint = f"Load the model in the server, or check its address ({model.base_url})."
    else:
        hint = "Check the id, or choose another model with --model (or /model)."
    said = f": {refusal.message}" if refusal.message else ""
    return ModelNotFound(f"{_who(model)} does not serve {model.wire_model!r}{said}", hint=hint, status=refusal.status)


def overflow(refusal: Refusal) -> ContextOverflow:
    """The request is longer than the window; with the window when the provider tells it."""
    limit = refusal.fields.get("n_ctx")  # llama.cpp
    if not isinstance(limit, int):
        found = next((match for pattern in _LIMIT if (match := pattern.search(refusal.message))), None)
        limit = int(found[1].replace(",", "")) if found else None
    message = f"The request is longer than the model's window: {refusal.message or refusal.status}"
    return ContextOverflow(message, hint="Compact the conversation (/compact).", status=refusal.status, limit_tokens=limit or None)


def signature_error(refusal: Refusal) -> SignatureRejected:
    """Replayed reasoning was refused."""
    return SignatureRejected(f"The provider refuses the reasoning that was sent back: {refusal.message}", status=refusal.status)


def _who(model: ResolvedModel) -> str:
    return "The Hugging Face router" if model.on_router else model.provider
