from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ml_intern.errors import ContextOverflow, RetryableModelError
from ml_intern.models.anthropic import Anthropic
from ml_intern.models.anthropic_thinking import thinking_style
from ml_intern.models.http import HttpOptions
from ml_intern.models.retry import Backoff, RetryingModel
from ml_intern.protocol.messages import AssistantMessage, Image, Thinking, ToolCall, ToolMessage, UserMessage
from ml_intern.testing.anthropic_wire import signature_of
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, Fault, FaultKind, ServerReply
from tests.contracts.model_bench import hear, request, resolved, say

OLD, NEW = "claude-sonnet-4-5", "claude-opus-4-8"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


def client(server: ModelServer, wire_model: str = NEW, **more: object) -> Anthropic:
    return Anthropic(resolved("anthropic", server.v1, wire_model, **more), HttpOptions())


@pytest.mark.parametrize(
    ("wire_model", "adaptive", "levels"),
    [
        ("claude-3-5-haiku-20241022", False, ()),
        ("claude-3-7-sonnet-20250219", False, ("minimal", "low", "medium", "high", "xhigh", "max")),
        ("claude-opus-4-20250514", False, ("minimal", "low", "medium", "high", "xhigh", "max")),
        ("claude-haiku-4-5-20251001", False, ("minimal", "low", "medium", "high", "xhigh", "max")),
        ("claude-opus-4-6", True, ("low", "medium", "high", "max")),
        ("claude-opus-4-8", True, ("low", "medium", "high", "xhigh", "max")),
        ("claude-sonnet-5", True, ("low", "medium", "high", "xhigh", "max")),
        ("claude-fable-5-1", True, ("low", "medium", "high", "xhigh", "max")),
        ("some-other-model", True, ("low", "medium", "high", "xhigh", "max")),
    ],
)
def test_each_generation_is_asked_to_think_in_its_own_way(wire_model: str, adaptive: bool, levels: tuple[str, ...]) -> None:
    style = thinking_style(wire_model)
    assert (style.adaptive, style.levels) == (adaptive, levels)


@pytest.mark.parametrize("counts", [{"prompt_tokens": -5}, {"completion_tokens": -1}, {"prompt_tokens": 10, "cache_read_tokens": 20}])
async def test_token_counts_that_cannot_be_count_as_not_stated(server: ModelServer, counts: dict[str, int]) -> None:
    server.enqueue(ServerReply(**{"text": "x", **counts}))  # pyright: ignore[reportArgumentType]
    model = client(server)
    assert (await say(model)).usage is None, "the uncached ones of the third are -10"
    await model.aclose()


async def test_new_models_get_an_effort_and_old_ones_a_budget(server: ModelServer) -> None:
    new, old = client(server), client(server, OLD)
    await say(new, effort="high")
    await say(old, effort="high")
    await say(old)
    assert server.documents[0]["output_config"] == {"effort": "high"}
    assert server.documents[0]["thinking"]["type"] == "adaptive"
    assert server.documents[1]["thinking"] == {"type": "enabled", "budget_tokens": 16384}
    assert "output_config" not in server.documents[1]
    assert "thinking" not in server.documents[2]
    await new.aclose()
    await old.aclose()


async def test_there_is_no_budget_where_there_is_no_room(server: ModelServer) -> None:
    model = client(server, OLD)
    await say(model, effort="max", max_output_tokens=4096)
    await say(model, effort="max", max_output_tokens=64)
    assert server.documents[0]["thinking"]["budget_tokens"] == 3072
    assert "thinking" not in server.documents[1]
    assert server.refusals == []
    await model.aclose()


async def test_a_budget_is_not_given_in_the_middle_of_anothers_turn(server: ModelServer) -> None:
    model = client(server, OLD)
    other = AssistantMessage(tool_calls=(ToolCall("a", "bash", "{}"),), model="other/model")
    answer = ToolMessage(tool_call_id="a", name="bash", text="ok")
    await say(model, UserMessage(text="go"), other, answer, effort="high")
    await say(model, UserMessage(text="go"), other, answer, AssistantMessage(text="done"), UserMessage(text="more"), effort="high")
    assert "thinking" not in server.documents[0]
    assert "thinking" in server.documents[1]
    assert server.refusals == []
    await model.aclose()


async def test_every_kind_of_thinking_comes_back_signed_and_in_its_place(server: ModelServer) -> None:
    server.enqueue(
        ServerReply(
            text_before_thinking="Well. ", thinking="Hm.", redacted="redacted-1", text="So.", calls=(Call("bash", '{"command":"ls"}', "a"),)
        ),
        ServerReply(text="Done."),
    )
    model = client(server)
    reply = await say(model, effort="high")
    assert reply.message.text == "Well. So."
    assert [(b.text, b.signature, b.redacted) for b in reply.message.thinking] == [("Hm.", signature_of("Hm."), ""), ("", "", "redacted-1")]
    await say(model, UserMessage(text="go"), reply.message, ToolMessage(tool_call_id="a", name="bash", text="ok"), effort="high")
    sent = server.documents[1]["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["text", "thinking", "redacted_thinking", "text", "tool_use"]
    assert [block.get("text") for block in sent if block["type"] == "text"] == ["Well. ", "So."]
    assert server.refusals == []
    await model.aclose()


async def test_answers_steering_and_pictures_are_one_user_message(server: ModelServer) -> None:
    model = client(server)
    said = AssistantMessage(tool_calls=(ToolCall("a", "read", "{}"), ToolCall("b", "bash", "{}")), model=model.model_id)
    picture = ToolMessage(tool_call_id="a", name="read", text="see", images=(Image("image/png", "AAAA"),))
    failed = ToolMessage(tool_call_id="b", name="bash", text="exit code 1", success=False)
    await say(model, UserMessage(text="go"), said, picture, failed, UserMessage(text="hurry"))
    last = server.documents[0]["messages"][-1]["content"]
    assert [block["type"] for block in last] == ["tool_result", "tool_result", "text"]
    assert last[0]["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert last[1]["is_error"] is True
    await model.aclose()


async def test_a_history_that_opens_with_the_assistant_is_made_valid(server: ModelServer) -> None:
    model = client(server)
    await say(model, AssistantMessage(text="A summary."), UserMessage(text="go"))
    assert server.refusals == []
    await model.aclose()


async def test_a_changed_signature_is_healed_by_leaving_the_thinking_out(server: ModelServer) -> None:
    model = RetryingModel(client(server), backoff=Backoff(transient_s=(0,)))
    forged = AssistantMessage(
        thinking=(Thinking(text="Hm.", signature="forged"),), tool_calls=(ToolCall("a", "bash", "{}"),), model=model.model_id
    )
    heard = await hear(model, request(UserMessage(text="go"), forged, ToolMessage(tool_call_id="a", name="bash", text="ok"), effort="high"))
    assert heard.reply.message.text
    assert len(server.refusals) == 1
    assert "signature" in server.refusals[0]
    await hear(model, request(UserMessage(text="go"), forged, ToolMessage(tool_call_id="a", name="bash", text="ok"), effort="high"))
    assert len(server.refusals) == 1, "it is remembered"
    await model.aclose()


async def test_an_overloaded_server_may_say_so_in_the_middle_of_the_stream(server: ModelServer) -> None:
    server.enqueue(Fault(kind=FaultKind.ERROR_IN_STREAM, after=4))
    model = client(server)
    with pytest.raises(RetryableModelError, match="Overloaded") as caught:
        await say(model)
    assert caught.value.status == 529
    await model.aclose()


async def test_an_answer_that_would_not_fit_beside_the_prompt_is_asked_for_shorter(server: ModelServer) -> None:
    said = "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or `max_tokens`"
    server.enqueue(Fault(kind=FaultKind.BAD_REQUEST, message=said), ServerReply(text="short"))
    model = client(server, "claude-opus-4-1")
    assert (await say(model, effort="max")).message.text == "short"
    assert [d["max_tokens"] for d in server.documents] == [32_000, 10_000]
    assert server.documents[1]["thinking"]["budget_tokens"] < 10_000
    server.enqueue(Fault(kind=FaultKind.BAD_REQUEST, message=said.replace("190000", "199999")))
    with pytest.raises(ContextOverflow) as caught:
        await say(model)
    assert caught.value.limit_tokens == 200_000
    await model.aclose()


async def test_the_key_and_the_version_are_headers() -> None:
    async with ModelServer(api_key="sk-a-key-that-must-not-be-shown-anywhere") as server:
        model = client(server)
        await say(model)
        assert server.requests[0].headers["anthropic-version"] == "2023-06-01"
        await model.aclose()
