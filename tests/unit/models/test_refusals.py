from __future__ import annotations

import msgspec
import pytest

from ml_intern.config.secret import SecretStr
from ml_intern.errors import (
    BadRequest,
    BillingError,
    ContextOverflow,
    EffortRejected,
    ModelAuthError,
    ModelNotFound,
    RateLimited,
    ServerFailed,
)
from ml_intern.models.anthropic_refusals import anthropic_error
from ml_intern.models.openai_refusals import openai_error
from ml_intern.models.refusals import Asked, read_refusal
from ml_intern.models.resolved import ANTHROPIC, OPENAI, ROUTER
from tests.contracts.model_bench import resolved

ROUTED = resolved("openai", "https://router.example/v1", "org/model:novita", provider=ROUTER, api_key=None)


def refused(
    status: int | None, body: object, *, model: object = ROUTED, effort: str | None = None, wire: str = "openai", thinks: bool = False
) -> Exception:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    refusal = read_refusal(status, raw, {}, model)  # type: ignore[arg-type]
    asked = Asked(model=model, effort=effort, replays_thinking=thinks)  # type: ignore[arg-type]
    return (openai_error if wire == "openai" else anthropic_error)(refusal, asked)


@pytest.mark.parametrize(
    "said", ["item 429 of 500", "502 files, capacity 402", "end of file (eof)", "rate limit in the text of a tool", "timeout=503"]
)
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_numbers_and_words_in_a_message_mean_nothing(said: str, wire: str) -> None:
    assert type(refused(400, {"error": {"message": said, "type": "invalid_request_error"}}, wire=wire)) is BadRequest


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({"error": {"message": "too long", "code": "context_length_exceeded"}}, None),
        ({"error": {"code": 400, "type": "exceed_context_size_error", "message": "the request exceeds", "n_ctx": 8192}}, 8192),
        (
            {
                "object": "error",
                "message": "This model's maximum context length is 32768 tokens. However, you requested 40000",
                "code": 400,
            },
            32768,
        ),
        ({"error": {"message": "prompt is too long: 212345 tokens > 200000 maximum", "type": "invalid_request_error"}}, 200_000),
        ({"error": {"message": "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease"}}, 200_000),
        ({"detail": "Input is too long for a context length of 131,072 tokens"}, 131_072),
    ],
)
def test_every_way_to_say_too_long_is_an_overflow(body: object, limit: int | None) -> None:
    error = refused(400, body)
    assert isinstance(error, ContextOverflow)
    assert error.limit_tokens == limit


def test_a_request_that_the_gateway_finds_too_large_is_an_overflow() -> None:
    assert isinstance(refused(413, b"<html>413 Request Entity Too Large</html>"), ContextOverflow)


def test_the_router_says_where_to_buy_credits_and_where_pro_has_some() -> None:
    error = refused(402, {"error": "You have exceeded your monthly included credits for Inference Providers."})
    assert isinstance(error, BillingError)
    assert "https://huggingface.co/settings/billing" in error.hint
    assert "https://huggingface.co/subscribe/pro" in error.hint


@pytest.mark.parametrize(("provider", "url"), [(OPENAI, "platform.openai.com"), (ANTHROPIC, "console.anthropic.com")])
def test_other_providers_have_their_own_pages(provider: str, url: str) -> None:
    model = resolved("openai", "https://x.example/v1", "m", provider=provider, api_key_env="THE_KEY")
    assert url in refused(402, {"error": {"message": "pay"}}, model=model).hint  # type: ignore[attr-defined]
    hint = refused(401, {"error": {"message": "who?"}}, model=model).hint  # type: ignore[attr-defined]
    assert "THE_KEY" in hint
    assert url in hint


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_token_is_told_from_a_refused_one(status: int) -> None:
    missing = refused(status, {"error": "Invalid username or password."})
    assert isinstance(missing, ModelAuthError)
    assert "none is set" in missing.message
    assert "HF_TOKEN" in missing.hint


@pytest.mark.parametrize("provider", [ROUTER, OPENAI, ANTHROPIC])
def test_a_key_that_is_refused_is_told_with_what_to_do_in_the_app_and_in_a_shell(provider: str) -> None:
    key = None if provider == ROUTER else SecretStr("sk-wrong")
    env = {OPENAI: "OPENAI_API_KEY", ANTHROPIC: "ANTHROPIC_API_KEY"}.get(provider, "HF_TOKEN")
    model = resolved("openai", "https://example.com/v1", "a/model", provider=provider, api_key=key, api_key_env=env)
    hint = refused(401, {"error": "no"}, model=model).hint  # type: ignore[attr-defined]
    for words in ("`ml-intern setup`", "/setup", "/model", "--model", env):
        assert words in hint, hint


def test_a_pinned_provider_that_does_not_serve_is_answered_with_the_bare_id() -> None:
    error = refused(400, {"error": {"message": "The requested model is not supported by provider novita", "code": "model_not_supported"}})
    assert isinstance(error, ModelNotFound)
    assert "org/model lets the router choose" in error.hint


def test_a_model_that_is_not_loaded_is_looked_for_at_home() -> None:
    model = resolved("openai", "http://127.0.0.1:11434/v1", "qwen3", provider="ollama", local=True)
    error = refused(404, {"error": {"message": "model 'qwen3' not found"}}, model=model)
    assert isinstance(error, ModelNotFound)
    assert "http://127.0.0.1:11434/v1" in error.hint


def test_effort_is_only_to_blame_when_it_was_sent() -> None:
    body = {"error": {"message": "Invalid value for reasoning effort", "type": "invalid_request_error"}}
    assert isinstance(refused(400, body, effort="high"), EffortRejected)
    assert isinstance(refused(400, body), BadRequest)


def test_an_error_inside_a_stream_has_the_status_that_it_names() -> None:
    assert isinstance(refused(None, {"error": {"message": "slow down", "code": 429}}), RateLimited)
    assert isinstance(refused(None, {"error": {"message": "busy"}}), ServerFailed)
    overloaded = refused(None, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, wire="anthropic")
    assert isinstance(overloaded, ServerFailed)
    assert overloaded.status == 529


@pytest.mark.parametrize(
    "body", [b"", b"<html><h1>502</h1></html>", b"upstream connect error", b'["not", "an object"]', b'[{"error": {"message": "x"}}]']
)
def test_a_body_of_any_shape_is_read(body: bytes) -> None:
    error = refused(502, body)
    assert isinstance(error, ServerFailed)
    assert "<" not in error.message


def test_a_claude_that_the_router_would_serve_may_be_asked_of_its_maker() -> None:
    model = resolved("openai", "https://r.example/v1", "anthropic/claude-opus-4.8", provider=ROUTER, api_key=None)
    hint = refused(401, {"error": "no token"}, model=model).hint  # type: ignore[attr-defined]
    assert "ANTHROPIC_API_KEY" in hint
    assert "HF_TOKEN" in hint


def test_secret_headers_are_not_repeated() -> None:
    model = resolved("openai", "https://x.example/v1", "m", headers={"x-key": "header-secret-1"})
    assert "header-secret-1" not in str(refused(400, {"error": {"message": "bad header-secret-1"}}, model=model))


def test_a_message_is_cut_to_a_readable_length() -> None:
    assert len(str(refused(400, {"error": {"message": "x" * 100_000}}))) < 1000
