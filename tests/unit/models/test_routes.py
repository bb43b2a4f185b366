from __future__ import annotations

from pathlib import Path

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.secret import SecretMap
from ml_intern.config.settings import Prices, ProviderProfile, Settings
from ml_intern.errors import ConfigError
from ml_intern.models.routes import Routes, nearest, sees

HF, ANTHROPIC, OPENAI = {"HF_TOKEN": "hf_x"}, {"ANTHROPIC_API_KEY": "sk-ant"}, {"OPENAI_API_KEY": "sk-o"}
ALL = HF | ANTHROPIC | OPENAI
PROFILE = ProviderProfile(
    base_url="https://models.example.com/v1/",
    wire="anthropic",
    api_key_env="EXAMPLE_KEY",
    headers=SecretMap({"x-team": "secret"}),
    context_window=32_000,
    prices=Prices(input_usd_per_mtok=1, output_usd_per_mtok=2),
    sees_images=False,
)


def routes(environ: dict[str, str] | None = None, **providers: ProviderProfile) -> Routes:
    return Routes(Settings(providers=providers), Environ(environ or {}))


@pytest.mark.parametrize(
    ("model_id", "environ", "provider", "wire", "wire_model"),
    [
        ("moonshotai/Kimi-K2.6:novita", ALL, "huggingface", "openai", "moonshotai/Kimi-K2.6:novita"),
        ("huggingface/moonshotai/Kimi-K2.6", ALL, "huggingface", "openai", "moonshotai/Kimi-K2.6"),
        ("anthropic/claude-opus-4.8", ALL, "anthropic", "anthropic", "claude-opus-4-8"),
        ("anthropic/claude-opus-4.8", HF, "huggingface", "openai", "anthropic/claude-opus-4.8"),
        ("anthropic/claude-opus-4.8:fal-ai", ALL, "huggingface", "openai", "anthropic/claude-opus-4.8:fal-ai"),
        ("huggingface/anthropic/claude-opus-4.8", ALL, "huggingface", "openai", "anthropic/claude-opus-4.8"),
        ("openai/gpt-5.5", ALL, "openai", "openai", "gpt-5.5"),
        ("openai/o3", ALL, "openai", "openai", "o3"),
        ("openai/gpt-5.5", HF, "huggingface", "openai", "openai/gpt-5.5"),
        ("openai/gpt-oss-120b", ALL, "huggingface", "openai", "openai/gpt-oss-120b"),
        ("openrouter/anthropic/claude-opus-4.8", {}, "openrouter", "openai", "anthropic/claude-opus-4.8"),
        ("litellm/mistral/mistral-large-latest", {}, "litellm", "litellm", "mistral/mistral-large-latest"),
        ("scripted/hello", {}, "scripted", "scripted", "hello"),
        ("ollama/qwen3:32b", {}, "ollama", "openai", "qwen3:32b"),
        ("lm_studio/org/model", {}, "lm_studio", "openai", "org/model"),
    ],
)
def test_an_id_leads_to_its_provider(model_id: str, environ: dict[str, str], provider: str, wire: str, wire_model: str) -> None:
    model = routes(environ).resolve(model_id)
    assert (model.model_id, model.provider, model.wire, model.wire_model) == (model_id, provider, wire, wire_model)


def test_a_profile_comes_before_everything_else() -> None:
    model = routes(ALL | {"EXAMPLE_KEY": "k"}, anthropic=PROFILE).resolve("anthropic/claude-opus-4.8")
    assert model.base_url == "https://models.example.com/v1"
    assert model.api_key is not None
    assert model.api_key.reveal() == "k"
    assert (model.window, model.prices, model.sees_images, model.local) == (32_000, PROFILE.prices, False, False)
    assert model.wire_model == "claude-opus-4.8", "what a profile serves is called as its owner calls it"
    assert "secret" not in repr(model)


def test_a_token_goes_to_its_own_provider_only() -> None:
    known = routes(ALL | {"OPENROUTER_API_KEY": "or"}, mine=ProviderProfile(base_url="http://x.example/v1"))
    keys = {
        i: known.resolve(i).api_key
        for i in ("org/m", "anthropic/claude-x", "openai/gpt-5", "openrouter/a/b", "ollama/m", "mine/m", "litellm/a/b")
    }
    assert {i: key.reveal() if key else None for i, key in keys.items()} == {
        "org/m": "hf_x",
        "anthropic/claude-x": "sk-ant",
        "openai/gpt-5": "sk-o",
        "openrouter/a/b": "or",
        "ollama/m": "sk-local-no-key-required",
        "mine/m": None,
        "litellm/a/b": None,
    }


@pytest.mark.parametrize(
    ("prefix", "base_env", "key_env"),
    [
        ("ollama", "OLLAMA_BASE_URL", "OLLAMA_API_KEY"),
        ("vllm", "VLLM_BASE_URL", "VLLM_API_KEY"),
        ("lm_studio", "LMSTUDIO_BASE_URL", "LMSTUDIO_API_KEY"),
        ("llamacpp", "LLAMACPP_BASE_URL", "LLAMACPP_API_KEY"),
    ],
)
def test_local_servers_are_found_by_their_variables(prefix: str, base_env: str, key_env: str) -> None:
    plain = routes().resolve(f"{prefix}/m")
    assert plain.local
    assert not plain.supports_effort
    assert plain.base_url.startswith("http://127.0.0.1:")
    assert plain.base_url.endswith("/v1")
    shared = routes({"LOCAL_LLM_BASE_URL": "http://box:1/", "LOCAL_LLM_API_KEY": "shared"}).resolve(f"{prefix}/m")
    assert (shared.base_url, shared.api_key and shared.api_key.reveal()) == ("http://box:1/v1", "shared")
    own = routes({base_env: "http://own:2/v1", key_env: "own", "LOCAL_LLM_BASE_URL": "http://box:1"}).resolve(f"{prefix}/m")
    assert (own.base_url, own.api_key and own.api_key.reveal()) == ("http://own:2/v1", "own")


@pytest.mark.parametrize(
    "model_id",
    [
        *("", "  ", "org/model name", "org/model\tx", "org/", "/model", "org//model", "openai-compat/x", "ollama/", "org/model/more"),
        *("or!g/model", "org/model:", "org/model:a b", "huggingface/", "openrouter/", "org/model:tag:tag"),
    ],
)
def test_what_cannot_be_an_id_is_refused_with_an_example(model_id: str) -> None:
    with pytest.raises(ConfigError) as caught:
        routes(ALL).resolve(model_id)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("model_id", "suggestion"),
    [("claude-opus-4-8", "anthropic/claude-opus-4-8"), ("gpt-5.5", "openai/gpt-5.5"), ("kimi-k2.6", "moonshotai/Kimi-K2.6")],
)
def test_an_id_without_a_provider_is_answered_with_the_one_that_was_meant(model_id: str, suggestion: str) -> None:
    with pytest.raises(ConfigError, match="names no provider") as caught:
        routes().resolve(model_id)
    assert suggestion in caught.value.hint


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        routes({"OLLAMA_BASE_URL": "box:11434"}).resolve("ollama/m")
    assert "OLLAMA_BASE_URL" in caught.value.hint


def test_the_token_that_hf_auth_login_left_counts(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_saved\n")
    model = routes({"HF_HOME": str(tmp_path)}).resolve("org/m")
    assert model.api_key is not None
    assert model.api_key.reveal() == "hf_saved"


def test_similar_names_are_found() -> None:
    known = ["moonshotai/Kimi-K2.6", "zai-org/GLM-5.1", "deepseek-ai/DeepSeek-V4-Pro"]
    assert nearest("moonshot/kimi-k2", known)[0] == known[0]
    assert nearest("zzzzzz", known) == []


@pytest.mark.parametrize(
    "name", ["claude-opus-4-8", "gpt-5.5", "qwen3-vl:8b", "llava:13b", "moonshotai/Kimi-K2.6:novita", "gemma3:27b", "glm-4.6v"]
)
def test_models_whose_name_says_so_see(name: str) -> None:
    assert sees(name)


@pytest.mark.parametrize(
    "name", ["openai/gpt-oss-120b", "qwen3:32b", "deepseek-ai/DeepSeek-V4-Pro", "gpt-3.5-turbo", "MiniMaxAI/MiniMax-M2.7"]
)
def test_other_models_are_not_sent_pictures(name: str) -> None:
    assert not sees(name)


@pytest.mark.parametrize(
    ("model_id", "named"),
    [
        ("anthropic/claude-opus-4-8", "set ANTHROPIC_API_KEY or HF_TOKEN (or `hf auth login`)."),
        ("openai/gpt-5.5", "set OPENAI_API_KEY or HF_TOKEN (or `hf auth login`)."),
        ("moonshotai/Kimi-K2.6:novita", "set HF_TOKEN (or `hf auth login`)."),
        ("anthropic/claude-opus-4.8:fal-ai", "set HF_TOKEN (or `hf auth login`)."),
        ("huggingface/openai/gpt-5.5", "set HF_TOKEN (or `hf auth login`)."),
        ("openrouter/openai/gpt-5.5", "set OPENROUTER_API_KEY."),
    ],
)
def test_a_missing_key_is_named_with_every_variable_that_would_do(model_id: str, named: str) -> None:
    known = routes()
    missing = known.missing_key(known.resolve(model_id))
    assert missing is not None
    assert missing.hint is not None
    assert missing.hint.startswith("Run `ml-intern setup` (in the app: /setup), or set ") and named in missing.hint


def test_a_key_that_a_profile_names_must_be_there() -> None:
    known = routes(ALL, lab=PROFILE)
    missing = known.missing_key(known.resolve("lab/m"))
    assert missing is not None
    assert "lab" in missing.message
    assert "EXAMPLE_KEY" in missing.message
    given = routes({"EXAMPLE_KEY": "k"}, lab=PROFILE)
    assert given.missing_key(given.resolve("lab/m")) is None


@pytest.mark.parametrize("model_id", ["ollama/qwen3:32b", "scripted/hello", "litellm/bedrock/some-model", "bare/m"])
def test_what_needs_no_key_of_ours_misses_none(model_id: str) -> None:
    known = routes({}, bare=ProviderProfile(base_url="http://x.example/v1"))
    assert known.missing_key(known.resolve(model_id)) is None
