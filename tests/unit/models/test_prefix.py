"""Two consecutive requests are byte-identical up to the new tail: over random histories, for both wires."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_intern.models.anthropic import Anthropic
from ml_intern.models.caching import cache_hints
from ml_intern.models.http import HttpOptions
from ml_intern.models.openai_compatible import OpenAICompatible
from ml_intern.models.resolved import OPENROUTER, ROUTER
from ml_intern.protocol.messages import AssistantMessage, Image, Message, Thinking, ToolCall, ToolMessage, UserMessage
from ml_intern.testing import anthropic_wire, openai_wire
from tests.contracts.model_bench import request, resolved

CLAUDE = "claude-opus-4-8"
words = st.text(max_size=12) | st.sampled_from(["", " ", "\ud800", "</s>", '"quoted"'])
images = st.lists(st.builds(Image, st.just("image/png"), st.just("aGk=")), max_size=2).map(tuple)
arguments = st.sampled_from(['{"a": 1}', "{}", "", "[1]", '{"half": ', "null"])
models = st.sampled_from([f"test/{CLAUDE}", "test/m", "other/model"])
blocks = words.map(lambda text: Thinking(text=text, signature=anthropic_wire.signature_of(text)) if text.isascii() else Thinking(text="x"))


@st.composite
def turns(draw: st.DrawFn, number: int) -> list[Message]:
    """A user message, then an assistant's with its answers: what one step adds."""
    calls = tuple(
        ToolCall(
            f"{draw(st.sampled_from(['call', 'functions.x:', 'ü']))}{number}-{n}",
            draw(st.sampled_from(["bash", "a b", ""])),
            draw(arguments),
        )
        for n in range(draw(st.integers(0, 3)))
    )
    said = AssistantMessage(text=draw(words), tool_calls=calls, thinking=tuple(draw(st.lists(blocks, max_size=2))), model=draw(models))
    answers = [
        ToolMessage(tool_call_id=c.id, name=c.name, text=draw(words), success=draw(st.booleans()), images=draw(images)) for c in calls
    ]
    asked = [UserMessage(text=draw(words) + "!", images=draw(images))] if draw(st.booleans()) else []
    return [*asked, said, *answers]


@st.composite
def histories(draw: st.DrawFn) -> list[list[Message]]:
    """The messages that each request of a session adds."""
    first: list[Message] = [UserMessage(text="go", images=draw(images))]
    return [first, *(draw(turns(n)) for n in range(draw(st.integers(1, 6))))]


def body_of(client: Any, messages: list[Message], **more: Any) -> bytes:
    asked = request(*messages, **more)
    return client._body(asked, cache_hints(client._model, asked.session_id))


def common(a: bytes, b: bytes) -> int:
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


MAKES = {
    "openai": lambda: OpenAICompatible(resolved("openai", "http://x/v1", "m"), HttpOptions()),
    "openai blind": lambda: OpenAICompatible(resolved("openai", "http://x/v1", "m", sees_images=False), HttpOptions()),
    "router claude": lambda: OpenAICompatible(
        resolved("openai", "http://x/v1", "anthropic/claude-opus-4.8:fal-ai", provider=ROUTER), HttpOptions()
    ),
    "openrouter": lambda: OpenAICompatible(
        resolved("openai", "http://x/v1", "anthropic/claude-opus-4.8", provider=OPENROUTER), HttpOptions()
    ),
    "anthropic": lambda: Anthropic(resolved("anthropic", "http://x/v1", CLAUDE), HttpOptions()),
}


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES.keys())
@settings(max_examples=40)
@given(steps=histories())
def test_everything_but_the_new_tail_is_byte_identical(make: Any, steps: list[list[Message]]) -> None:
    client, messages, before = make(), [], b""
    for number, step in enumerate(steps):
        messages = [*messages, *step]
        body = body_of(client, messages, effort="high" if number % 2 else "low")
        if before:
            # What closes the last message and the array, and the fields after it, are the old tail.
            end_of_old_messages = before.rindex(b'],"max_tokens"' if isinstance(client, Anthropic) else b'],"stream"')
            assert common(before, body) >= end_of_old_messages - len(b"]}")
        before = body
        assert body == body_of(make(), messages, effort="high" if number % 2 else "low"), "keeping bytes must not change them"


@given(steps=histories())
def test_the_chat_completions_server_takes_every_history(steps: list[list[Message]]) -> None:
    openai_wire.check(body_of(MAKES["openai"](), [message for step in steps for message in step]))


@given(steps=histories())
def test_the_messages_server_takes_every_history(steps: list[list[Message]]) -> None:
    anthropic_wire.check(
        body_of(MAKES["anthropic"](), [message for step in steps for message in step]), {"anthropic-version": "2023-06-01"}
    )


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES.keys())
@settings(max_examples=40)
@given(steps=histories(), cut=st.integers(0, 20), tail=turns(99))
def test_after_an_undo_or_a_compaction_the_body_is_that_of_a_fresh_client(
    make: Any, steps: list[list[Message]], cut: int, tail: list[Message]
) -> None:
    client, flat = make(), [message for step in steps for message in step]
    body_of(client, flat)
    shorter = [*flat[: min(cut, len(flat))], UserMessage(text="a summary"), *tail]
    assert body_of(client, shorter) == body_of(make(), shorter)


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES.keys())
def test_each_message_is_encoded_once(make: Any) -> None:
    client = make()
    messages: list[Message] = [UserMessage(text=f"m{n}") for n in range(3)]
    body_of(client, messages)
    kept = list(client._encoder._segments)
    body_of(client, [*messages, AssistantMessage(text="next")])
    assert [a is b for a, b in zip(kept, client._encoder._segments, strict=False)] == [True] * 3


def test_the_mark_that_follows_the_tail_stands_behind_the_messages() -> None:
    for name in ("router claude", "openrouter", "anthropic"):
        document = msgspec.json.decode(body_of(MAKES[name](), [UserMessage(text="go")]))
        assert document["cache_control"] == {"type": "ephemeral"}
        keys = list(document)
        assert keys.index("cache_control") > keys.index("messages")
        assert document["tools"][-1]["cache_control"] == {"type": "ephemeral"}
        assert "cache_control" not in msgspec.json.encode(document["messages"][-1]).decode()
