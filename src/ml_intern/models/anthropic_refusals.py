"""The error types of the Anthropic Messages API. https://docs.anthropic.com/en/api/errors"""

from __future__ import annotations

import re
from dataclasses import replace

from ml_intern.errors import ContextOverflow, ModelError
from ml_intern.models.refusals import Asked, Refusal, by_status, by_words, signature_error

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_NO_ROOM = re.compile(r"(\d+) \+ (\d+) > (\d+)")
_LEAST_ROOM_TOKENS = 1024


def output_room(error: ModelError) -> int | None:
    """How long the answer may be, when only prompt *and* answer together would be too long; None when the prompt alone is.

    Older models refuse "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"; newer ones just stop.
    """
    found = _NO_ROOM.search(error.message) if isinstance(error, ContextOverflow) else None
    if found is None:
        return None
    room = int(found[3]) - int(found[1])
    return room if room >= _LEAST_ROOM_TOKENS else None


def anthropic_error(refusal: Refusal, asked: Asked) -> ModelError:
    """The exception for a refusal on the Messages wire; inside a stream the type stands for the status."""
    if refusal.status is None or refusal.status == 200:
        refusal = replace(refusal, status=_STATUS.get(refusal.kind))
    if refusal.status != 400:
        return by_status(refusal, asked)
    words = refusal.message.lower()
    if (
        asked.replays_thinking
        and "thinking" in words
        and ("signature" in words or "cannot be modified" in words or "expected `thinking`" in words)
    ):
        return signature_error(refusal)
    return by_words(refusal, asked) or by_status(refusal, asked)
