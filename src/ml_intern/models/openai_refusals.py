"""The error codes of OpenAI-style servers. https://platform.openai.com/docs/guides/error-codes; llama.cpp's and the router's own."""

from __future__ import annotations

from ml_intern.errors import EffortRejected, ModelError
from ml_intern.models.refusals import Asked, Refusal, auth_error, billing_error, by_status, by_words, not_found, overflow, signature_error

_OVERFLOW = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded", "string_above_max_length"})
_BILLING = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_credits"})
_NOT_FOUND = frozenset({"model_not_found", "model_not_supported", "model_not_available"})
_AUTH = frozenset({"invalid_api_key", "missing_api_key", "authentication_error"})
_EFFORT_PARAMS = frozenset({"reasoning_effort", "reasoning.effort", "reasoning"})
_REASONING_FIELDS = ("reasoning_content", "reasoning_details", "thought_signature")


def openai_error(refusal: Refusal, asked: Asked) -> ModelError:
    """The exception for a refusal on the Chat Completions wire."""
    codes = refusal.codes
    if codes & _OVERFLOW:
        return overflow(refusal)
    if codes & _BILLING:
        return billing_error(refusal, asked.model)
    if codes & _NOT_FOUND:
        return not_found(refusal, asked.model)
    if codes & _AUTH:
        return auth_error(refusal, asked.model)
    if refusal.status in (400, 422, None):
        return _bad_request(refusal, asked)
    return by_status(refusal, asked)


def _bad_request(refusal: Refusal, asked: Asked) -> ModelError:
    if asked.effort is not None and refusal.param in _EFFORT_PARAMS:
        unsupported = refusal.code in ("unsupported_parameter", "unknown_parameter")
        return EffortRejected(refusal.message, status=refusal.status, thinking_unsupported=unsupported)
    # Some providers refuse a field that others demand; which field it was is said in words only.
    if asked.replays_thinking and any(field in refusal.message or field in refusal.param for field in _REASONING_FIELDS):
        return signature_error(refusal)
    if asked.replays_thinking and "signature" in refusal.message.lower() and "thinking" in refusal.message.lower():
        return signature_error(refusal)
    return by_words(refusal, asked) or by_status(refusal, asked)
