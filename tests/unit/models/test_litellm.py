from __future__ import annotations

import sys

import pytest

from ml_intern.errors import ConfigError
from ml_intern.models.http import HttpOptions
from ml_intern.models.litellm import LiteLLM, LiteLLMReply
from ml_intern.protocol.messages import Thinking
from tests.contracts.model_bench import resolved, say


async def test_a_missing_extra_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    model = LiteLLM(resolved("litellm", "", "mistral/mistral-large-latest"), HttpOptions())
    with pytest.raises(ConfigError) as caught:
        await say(model)
    assert "pip install 'ml-intern[litellm]'" in caught.value.hint
    await model.aclose()


def test_signed_thinking_is_put_together_from_its_pieces() -> None:
    builder = LiteLLMReply("m")

    def piece(**block: str) -> dict[str, object]:
        return {"choices": [{"index": 0, "delta": {"content": "", "thinking_blocks": [block]}}]}

    for block in (
        {"type": "thinking", "thinking": "Let me "},
        {"type": "thinking", "thinking": "see."},
        {"type": "thinking", "thinking": "", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "More.", "signature": "sig2"},
    ):
        builder.absorb_document(piece(**block))
    assert builder.thinking_blocks() == (
        Thinking(text="Let me see.", signature="sig"),
        Thinking(redacted="xyz"),
        Thinking(text="More.", signature="sig2"),
    )
