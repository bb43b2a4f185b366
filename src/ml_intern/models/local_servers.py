"""Asking a local server what it serves: which models there are, and how much a loaded one can read."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec

from ml_intern.config.secret import SecretStr
from ml_intern.errors import ModelError
from ml_intern.models.http import HttpOptions, ModelHttp
from ml_intern.models.resolved import ResolvedModel

PROBE_TIMEOUT_S = 2.0
"""Where nothing listens, a machine says so at once: this is how long one may take that does answer. Half a second was too little for a busy
one, and for our own event loop while tables are read beside it.
"""
_WINDOW_FIELDS = ("max_model_len", "loaded_context_length", "n_ctx", "context_length", "max_context_length")


async def served_models(base_url: str, key: SecretStr | None, timeout_s: float = PROBE_TIMEOUT_S) -> list[dict[str, Any]]:
    """The entries of ``GET {base}/models``; none when nobody answers in time."""
    document = await _document(base_url, "/models", key, timeout_s)
    data = document.get("data")
    return [cast(dict[str, Any], item) for item in cast(list[Any], data) if isinstance(item, dict)] if isinstance(data, list) else []


async def served_window(model: ResolvedModel, timeout_s: float = 2.0) -> int | None:
    """The window that the server really gives the model, where it tells.

    vLLM says ``max_model_len``, LM Studio ``context_length``, llama.cpp ``meta.n_ctx`` (``n_ctx_train`` is not what was
    loaded); Ollama says it only of loaded models, at ``/api/ps``: it cuts longer prompts without a word.
    """
    if model.provider == "ollama":
        root = model.base_url.removesuffix("/v1")
        document = await _document(root, "/api/ps", model.api_key, timeout_s)
        entries = cast(list[Any], document.get("models") or [])
    else:
        entries = await served_models(model.base_url, model.api_key, timeout_s)
    for entry in entries:
        if isinstance(entry, dict) and model.wire_model in (entry.get("id"), entry.get("name"), entry.get("model")):  # pyright: ignore[reportUnknownMemberType]
            return stated_window(cast(dict[str, Any], entry))
    return stated_window(cast(dict[str, Any], entries[0])) if len(entries) == 1 and isinstance(entries[0], dict) else None


def stated_window(entry: dict[str, Any]) -> int | None:
    """What an entry says of the window, by whichever server it was written."""
    meta = entry.get("meta")
    places = [entry, cast(dict[str, Any], meta)] if isinstance(meta, dict) else [entry]
    found = [place[field] for place in places for field in _WINDOW_FIELDS if isinstance(place.get(field), int) and place[field] > 0]
    return found[0] if found else None


async def _document(base_url: str, path: str, key: SecretStr | None, timeout_s: float) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {key.reveal()}"} if key else {}
    http = ModelHttp(base_url, headers, HttpOptions(inactivity_s=timeout_s, connect_s=timeout_s))
    try:
        async with asyncio.timeout(timeout_s):
            status, body = await http.get(path, timeout_s)
        document: Any = msgspec.json.decode(body) if status == 200 else {}
    except (ModelError, TimeoutError, msgspec.MsgspecError):
        return {}
    finally:
        await http.aclose()
    return cast(dict[str, Any], document) if isinstance(document, dict) else {}
