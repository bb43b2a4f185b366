from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from ml_intern.config.secret import SecretStr
from ml_intern.errors import NonsenseReply, RateLimited, SignatureRejected, StreamBroken
from ml_intern.models.base import TextDelta, Usage
from ml_intern.models.http import HttpOptions
from ml_intern.models.openai_compatible import OpenAICompatible
from ml_intern.models.openai_reply import OpenAIReply
from ml_intern.models.resolved import OPENAI, OPENROUTER, ROUTER
from ml_intern.protocol.messages import AssistantMessage, Image, Thinking, ToolCall, ToolMessage, UserMessage
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, Fault, FaultKind, Quirk, ServerReply
from tests.contracts.model_bench import hear, request, resolved, say

CALLS = (Call("bash", '{"command": "one"}', "a"), Call("bash", '{"command": "two"}', "b"), Call("read", "{}", "c"))


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running
        assert running.refusals == []


def client(server: ModelServer, wire_model: str = "m", **more: object) -> OpenAICompatible:
    return OpenAICompatible(resolved("openai", server.v1, wire_model, **more), HttpOptions())


@pytest.mark.parametrize(
    "quirk",
    [
        Quirk.NO_INDEX,
        Quirk.INDEX_ZERO,
        Quirk.REPEATED_NAMES,
        Quirk.LATE_ID,
        Quirk.FRESH_IDS,
        Quirk.NO_FINISH,
        Quirk.NO_DONE,
        Quirk.EARLY_USAGE,
        Quirk.STOP_WITH_CALLS,
        Quirk.JSON_ANSWER,
        Quirk.ONE_NEWLINE,
        Quirk.CRLF,
        Quirk.COMMENTS,
        Quirk.OBJECT_ARGUMENTS,
    ],
)
async def test_the_oddities_of_real_servers_change_nothing(server: ModelServer, quirk: Quirk) -> None:
    server.enqueue(ServerReply(text="So: three.", calls=CALLS, piece_chars=5, quirks=frozenset({quirk})))
    model = client(server)
    heard = await hear(model, request())
    assert heard.reply.message.text == "So: three."
    got = [(c.id, c.name, msgspec.json.decode(c.arguments)) for c in heard.reply.message.tool_calls]
    assert got == [("a", "bash", {"command": "one"}), ("b", "bash", {"command": "two"}), ("c", "read", {})]
    assert heard.reply.finish_reason == "tool_calls"
    assert heard.reply.usage == Usage(prompt_tokens=100, completion_tokens=20)
    await model.aclose()


async def test_a_reply_without_usage_says_that_it_is_unknown(server: ModelServer) -> None:
    server.enqueue(ServerReply(text="x", quirks=frozenset({Quirk.NO_USAGE})))
    model = client(server)
    assert (await say(model)).usage is None
    await model.aclose()


async def test_a_cost_that_the_provider_states_is_kept(server: ModelServer) -> None:
    server.enqueue(ServerReply(text="x", cost_usd=0.0123456789))
    model = client(server, provider=OPENROUTER)
    assert (await say(model)).cost_usd == 0.0123456789
    assert server.documents[0]["usage"] == {"include": True}
    await model.aclose()


async def test_a_cost_below_zero_counts_as_not_stated(server: ModelServer) -> None:
    server.enqueue(ServerReply(text="x", cost_usd=-5.0))
    model = client(server, provider=OPENROUTER)
    assert (await say(model)).cost_usd is None
    await model.aclose()


@pytest.mark.parametrize("cost", [b'"nan"', b'"inf"', b'"-inf"', b"-0.01"])
def test_a_cost_that_is_no_amount_of_money_counts_as_not_stated(cost: bytes) -> None:
    reply = OpenAIReply("m")
    reply.absorb([b'{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"cost":%s}}' % cost])
    assert reply.finish(set()).cost_usd is None


@pytest.mark.parametrize("counts", [(-5, 20), (100, -20), (10**12, 20), (100, 10**12)])
async def test_token_counts_that_cannot_be_count_as_not_stated(server: ModelServer, counts: tuple[int, int]) -> None:
    server.enqueue(ServerReply(text="x", prompt_tokens=counts[0], completion_tokens=counts[1]))
    model = client(server, provider=OPENROUTER)
    assert (await say(model)).usage is None
    await model.aclose()


async def test_openrouters_reasoning_items_are_joined_and_sent_back_as_they_came(server: ModelServer) -> None:
    details = (
        {"type": "reasoning.text", "text": "I th", "index": 0, "format": "anthropic-claude-v1"},
        {"type": "reasoning.text", "text": "ink.", "index": 0},
        {"type": "reasoning.text", "signature": "sig", "index": 0},
        {"type": "reasoning.encrypted", "data": "xyz", "index": 1, "id": "r1"},
    )
    server.enqueue(
        ServerReply(thinking="I think.", reasoning_field="reasoning", reasoning_details=details, calls=CALLS[:1]), ServerReply(text="y")
    )
    model = client(server, provider=OPENROUTER)
    reply = await say(model)
    await say(model, UserMessage(text="go"), reply.message, ToolMessage(tool_call_id="a", name="bash", text="ok"))
    (sent,) = [m for m in server.documents[1]["messages"] if m["role"] == "assistant"]
    assert sent["reasoning_details"] == [
        {"type": "reasoning.text", "text": "I think.", "index": 0, "format": "anthropic-claude-v1", "signature": "sig"},
        {"type": "reasoning.encrypted", "data": "xyz", "index": 1, "id": "r1"},
    ]
    await model.aclose()


@pytest.mark.parametrize(
    ("provider", "field"), [(ROUTER, "reasoning_content"), (OPENROUTER, "reasoning"), ("vllm", "reasoning_content"), (OPENAI, "")]
)
async def test_reasoning_goes_back_in_the_field_that_the_provider_reads(server: ModelServer, provider: str, field: str) -> None:
    model = client(server, provider=provider)
    said = AssistantMessage(text="a", thinking=(Thinking(text="thought"),), model=model.model_id)
    await say(model, UserMessage(text="go"), said, UserMessage(text="on"))
    sent = server.documents[0]["messages"][2]
    assert {key: value for key, value in sent.items() if key not in ("role", "content")} == ({field: "thought"} if field else {})
    await model.aclose()


async def test_a_provider_that_refuses_reasoning_back_is_told_apart(server: ModelServer) -> None:
    server.enqueue(Fault(kind=FaultKind.BAD_REQUEST, message="property 'reasoning_content' is unsupported"))
    model = client(server)
    said = AssistantMessage(text="a", thinking=(Thinking(text="thought"),), model=model.model_id)
    with pytest.raises(SignatureRejected):
        await say(model, UserMessage(text="go"), said, UserMessage(text="on"))
    await model.aclose()


async def test_images_of_tool_answers_follow_the_last_answer_of_the_batch(server: ModelServer) -> None:
    model = client(server)
    said = AssistantMessage(tool_calls=(ToolCall("a", "read", "{}"), ToolCall("b", "read", "{}")), model="other")
    pictures = [ToolMessage(tool_call_id=i, name="read", text=f"see {i}", images=(Image("image/png", f"{i}AAA"),)) for i in "ab"]
    await say(model, UserMessage(text="go"), said, *pictures)
    roles = [m["role"] for m in server.documents[0]["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    urls = [p["image_url"]["url"] for p in server.documents[0]["messages"][-1]["content"] if p["type"] == "image_url"]
    assert urls == ["data:image/png;base64,aAAA", "data:image/png;base64,bAAA"]
    await model.aclose()


async def test_a_model_that_does_not_see_is_told_that_there_was_a_picture(server: ModelServer) -> None:
    model = client(server, sees_images=False)
    await say(model, UserMessage(text="look", images=(Image("image/png", "AAAA"),)))
    assert server.documents[0]["messages"][1]["content"] == "look\n[image left out: this model does not see images]"
    await model.aclose()


async def test_the_router_hears_of_the_session_and_others_do_not(server: ModelServer) -> None:
    router, local = client(server, "org/m", provider=ROUTER), client(server)
    await say(router, session_id="s" * 300)
    await say(local)
    assert server.requests[0].headers["x-hf-session-id"] == "s" * 256
    assert "x-hf-session-id" not in server.requests[1].headers
    await router.aclose()
    await local.aclose()


@pytest.mark.parametrize(
    ("wire_model", "provider", "expected"),
    [
        ("anthropic/claude-opus-4.8:fal-ai", ROUTER, {"cache_control": {"type": "ephemeral"}}),
        ("openai/gpt-5.5:fal-ai", ROUTER, {"prompt_cache_key": "session-1", "prompt_cache_retention": "24h"}),
        ("moonshotai/Kimi-K2.6:novita", ROUTER, {}),
        ("gpt-5.5", OPENAI, {"prompt_cache_key": "session-1"}),
        ("qwen", "ollama", {}),
    ],
)
async def test_each_provider_gets_its_own_cache_hints(
    server: ModelServer, wire_model: str, provider: str, expected: dict[str, object]
) -> None:
    model = client(server, wire_model, provider=provider)
    await say(model)
    assert {k: v for k, v in server.documents[0].items() if "cache" in k} == expected
    await model.aclose()


@pytest.mark.parametrize(
    ("provider", "wire_model", "effort", "levels", "expected"),
    [
        (ROUTER, "org/m", "max", ("low", "medium", "high"), {"reasoning_effort": "high"}),
        (ROUTER, "org/m", "minimal", ("low", "medium", "high"), {"reasoning_effort": "low"}),
        (OPENROUTER, "org/m", "high", ("low", "high"), {"reasoning": {"effort": "high"}}),
        ("ollama", "m", "high", (), {}),
    ],
)
async def test_effort_is_sent_as_the_provider_wants_it(
    server: ModelServer, provider: str, wire_model: str, effort: str, levels: tuple[str, ...], expected: dict[str, object]
) -> None:
    model = client(server, wire_model, provider=provider, effort_levels=levels)
    await say(model, effort=effort)
    assert {k: v for k, v in server.documents[0].items() if "reasoning" in k} == expected
    await model.aclose()


@pytest.mark.parametrize(
    ("provider", "wire_model", "field"),
    [(OPENAI, "gpt-5.5", "max_completion_tokens"), (ROUTER, "openai/gpt-5.5:fal-ai", "max_completion_tokens"), ("vllm", "m", "max_tokens")],
)
async def test_the_limit_has_the_name_that_the_provider_knows(server: ModelServer, provider: str, wire_model: str, field: str) -> None:
    model = client(server, wire_model, provider=provider)
    await say(model, max_output_tokens=64)
    assert server.documents[0][field] == 64
    await model.aclose()


async def test_a_key_travels_in_the_header_and_nowhere_else() -> None:
    async with ModelServer(api_key="secret-key-1") as server:
        model = client(server, api_key=SecretStr("secret-key-1"))
        await say(model)
        assert server.requests[0].headers["authorization"] == "Bearer secret-key-1"
        assert b"secret-key-1" not in server.requests[0].body
        await model.aclose()


async def test_a_kept_connection_that_the_server_closed_is_replaced_at_once(server: ModelServer) -> None:
    model = client(server)
    await say(model)
    server.enqueue(Fault(kind=FaultKind.CUT_BEFORE_HEAD), ServerReply(text="on a new one"))
    assert (await say(model)).message.text == "on a new one"
    assert len(server.requests) == 3
    await model.aclose()


async def test_a_retry_after_may_be_a_date(server: ModelServer) -> None:
    server.enqueue(
        Fault(kind=FaultKind.RATE_LIMIT, retry_after="Wed, 01 Jan 2098 00:00:00 GMT"), Fault(kind=FaultKind.RATE_LIMIT, retry_after="soon")
    )
    model = client(server)
    with pytest.raises(RateLimited) as caught:
        await say(model)
    assert (caught.value.retry_after_s or 0) > 1e9
    with pytest.raises(RateLimited) as caught:
        await say(model)
    assert caught.value.retry_after_s is None
    await model.aclose()


async def test_one_giant_chunk_is_read(server: ModelServer) -> None:
    giant = "x" * 5_000_000
    server.enqueue(ServerReply(text_pieces=(giant, "!")))
    model = client(server)
    assert (await say(model)).message.text == giant + "!"
    await model.aclose()


async def test_many_small_pieces_that_arrive_together_are_shown_together(server: ModelServer) -> None:
    server.enqueue(ServerReply(text_pieces=tuple(f"{n} " for n in range(20_000))))
    model = client(server)
    heard = await hear(model, request())
    assert heard.text == heard.reply.message.text == "".join(f"{n} " for n in range(20_000))
    assert len(heard.deltas) < 2_000
    await model.aclose()


def chunk(**delta: object) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]})


def test_text_and_thinking_that_alternate_keep_their_order() -> None:
    builder = OpenAIReply("m")
    deltas = builder.absorb([chunk(content="a"), chunk(content="b"), chunk(reasoning="t"), chunk(content="c")])
    assert [(type(d).__name__, getattr(d, "text", "")) for d in deltas] == [("TextDelta", "ab"), ("ThinkingDelta", "t"), ("TextDelta", "c")]


def test_content_may_be_a_list_of_parts() -> None:
    builder = OpenAIReply("m")
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "so"}]
    builder.absorb([chunk(content=parts), b"[DONE]"])
    message = builder.finish(set()).message
    assert (message.text, message.thinking[0].text) == ("so", "hm")


def test_a_refusal_is_text_too() -> None:
    assert OpenAIReply("m").absorb([chunk(refusal="I will not.")]) == [TextDelta("I will not.")]


def test_a_name_that_comes_in_pieces_is_joined() -> None:
    builder = OpenAIReply("m")
    pieces = [{"index": 0, "id": "x", "function": {"name": "ba"}}, {"index": 0, "function": {"name": "sh", "arguments": "{}"}}]
    builder.absorb([chunk(tool_calls=[piece]) for piece in pieces] + [b"[DONE]"])
    assert builder.finish(set()).message.tool_calls[0].name == "bash"


def test_figures_that_are_not_the_protocol_are_nonsense() -> None:
    with pytest.raises(NonsenseReply):
        OpenAIReply("m").absorb([b'{"choices": 7}'])


def test_an_end_without_an_end_is_a_broken_stream() -> None:
    builder = OpenAIReply("m")
    builder.absorb([chunk(content="a")])
    with pytest.raises(StreamBroken):
        builder.finish(set())


@pytest.mark.parametrize(
    ("report", "read", "written", "prompt"),
    [
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}}, 4, 2, 9),
        ({"prompt_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}, 4, 2, 9),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, 4, 0, 9),
        ({"prompt_tokens": 9, "cached_tokens": 4}, 4, 0, 9),
        ({"prompt_tokens": 3, "cache_read_input_tokens": 400}, 400, 0, 403),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, 0, 0, 9),
    ],
)
def test_every_spelling_of_cached_tokens_is_understood(report: dict[str, object], read: int, written: int, prompt: int) -> None:
    builder = OpenAIReply("m")
    builder.absorb([chunk(content="a"), msgspec.json.encode({"choices": [], "usage": report}), b"[DONE]"])
    usage = builder.finish(set()).usage
    assert usage == Usage(prompt_tokens=prompt, cache_read_tokens=read, cache_creation_tokens=written)
