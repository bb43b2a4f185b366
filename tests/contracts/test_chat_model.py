"""What every model client does, run over all of them against a server that speaks the real protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from ml_intern.errors import (
    BadRequest,
    BillingError,
    ConnectionFailed,
    ContextOverflow,
    EffortRejected,
    ModelAuthError,
    ModelError,
    ModelNotFound,
    NonsenseReply,
    RateLimited,
    RetryableModelError,
    ServerFailed,
    SignatureRejected,
    StreamBroken,
    Unreachable,
)
from ml_intern.models.base import Usage
from ml_intern.models.client import ModelClient
from ml_intern.models.http import HttpOptions
from ml_intern.protocol.messages import AssistantMessage, Image, Thinking, ToolCall, ToolMessage, UserMessage
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, Fault, FaultKind, ServerReply
from tests.contracts.model_bench import KEY, WIRED, Wired, hear, request, say

# litellm leaves warnings of its own and of pydantic behind; they are not ours to cure.
LITELLM = pytest.mark.filterwarnings("ignore")
EVERY = [pytest.param(wired, id=str(wired), marks=[] if wired.exact else [LITELLM]) for wired in WIRED]
EXACT = [wired for wired in WIRED if wired.exact]
BOTH = [pytest.param(True, id="streamed"), pytest.param(False, id="whole")]
PNG = Image("image/png", "iVBORw0KGgo=")


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running
        assert running.refusals == []


@pytest.fixture
async def model(wired: Wired, server: ModelServer) -> AsyncIterator[ModelClient]:
    client = wired.make(server, HttpOptions())
    yield client
    await client.aclose()


@pytest.mark.parametrize("stream", BOTH)
@pytest.mark.parametrize("wired", EVERY)
async def test_text_thinking_and_parallel_calls_come_back_whole(model: ModelClient, server: ModelServer, stream: bool) -> None:
    calls = (Call("bash", '{"command": "ls -la | grep \\"x\\""}', "id_a"), Call("read", '{"path":"ünïcode.py"}', "id_b"))
    server.enqueue(ServerReply(text="Ich prüfe «das» 🤖.", thinking="First, look.", calls=calls, piece_chars=3))
    heard = await hear(model, request(stream=stream, effort="high"))
    message = heard.reply.message
    assert message.text == "Ich prüfe «das» 🤖."
    assert "".join(block.text for block in message.thinking) == "First, look."
    assert [(call.id, call.name) for call in message.tool_calls] == [("id_a", "bash"), ("id_b", "read")]
    assert heard.reply.finish_reason == "tool_calls"
    assert message.model == model.model_id
    if stream:
        assert heard.text == message.text
        assert heard.thinking == "First, look."
        assert heard.names() == ["bash", "read"]
        assert [heard.arguments(0), heard.arguments(1)] == [call.arguments for call in message.tool_calls]


@pytest.mark.parametrize("stream", BOTH)
@pytest.mark.parametrize("wired", EVERY)
async def test_arguments_are_the_models_own_text(model: ModelClient, server: ModelServer, stream: bool) -> None:
    server.enqueue(ServerReply(calls=(Call("bash", '{"command":"a","n":1.50}'),)))
    reply = (await hear(model, request(stream=stream))).reply
    assert reply.message.tool_calls[0].arguments.replace(" ", "").replace("1.50", "1.5") == '{"command":"a","n":1.5}'


@pytest.mark.parametrize("stream", BOTH)
@pytest.mark.parametrize("wired", EVERY)
async def test_cached_tokens_are_part_of_the_prompt(model: ModelClient, server: ModelServer, stream: bool) -> None:
    server.enqueue(ServerReply(text="x", prompt_tokens=1000, completion_tokens=7, cache_read_tokens=600, cache_creation_tokens=300))
    reply = (await hear(model, request(stream=stream))).reply
    assert reply.usage == Usage(prompt_tokens=1000, completion_tokens=7, cache_read_tokens=600, cache_creation_tokens=300)


@pytest.mark.parametrize("wired", EVERY)
async def test_a_cut_reply_says_so(model: ModelClient, server: ModelServer, wired: Wired) -> None:
    server.enqueue(ServerReply(text="half a sent", model_finish="length" if wired.wire == "openai" else "max_tokens"))
    assert (await say(model)).finish_reason == "length"


@pytest.mark.parametrize("wired", EVERY)
async def test_a_whole_conversation_is_taken_by_a_server_that_checks(model: ModelClient, server: ModelServer) -> None:
    server.enqueue(
        ServerReply(text="Two things.", thinking="Both at once.", calls=(Call("bash", '{"command":"ls"}'), Call("read", '{"path":"a"}'))),
        ServerReply(text="Done."),
    )
    first = UserMessage(text="Do two things.", images=(PNG,))
    reply = await say(model, first, effort="high")
    answers = [
        ToolMessage(tool_call_id=c.id, name=c.name, text="" if n else "ok", images=(PNG,)) for n, c in enumerate(reply.message.tool_calls)
    ]
    steering = UserMessage(text="Hurry up.")
    assert (await say(model, first, reply.message, *answers, steering, effort="high")).message.text == "Done."
    assert server.refusals == []


@pytest.mark.parametrize("wired", EVERY)
async def test_history_of_another_model_is_taken_too(model: ModelClient, server: ModelServer) -> None:
    strange = AssistantMessage(
        text="",
        tool_calls=(
            ToolCall("functions.bash:0", "bash", '{"command": "ls"'),
            ToolCall("functions.bash:0" + "x" * 80, "no such tool!", "[1]"),
            ToolCall("ok", "read", ""),
        ),
        thinking=(Thinking(text="mine", signature="of another model"), Thinking(details='[{"type":"reasoning.text","text":"t"}]')),
        model="other/model",
    )
    answers = [ToolMessage(tool_call_id=c.id, name=c.name, text="that failed", success=False) for c in strange.tool_calls]
    lone = UserMessage(text="half a pair: \ud83d")
    server.enqueue(ServerReply(text="Fine."))
    assert (await say(model, UserMessage(text="x"), strange, *answers, lone)).message.text == "Fine."
    assert b"of another model" not in server.requests[-1].body


@pytest.mark.parametrize("wired", EVERY)
async def test_calls_without_ids_or_with_used_ones_get_their_own(model: ModelClient, server: ModelServer) -> None:
    same = (Call("bash", "{}", "call_0"), Call("read", "{}", "call_0"), Call("bash", "{}", ""))
    used = AssistantMessage(tool_calls=(ToolCall("call_0", "bash", "{}"),), model=model.model_id)
    server.enqueue(ServerReply(calls=same))
    reply = await say(model, UserMessage(text="x"), used, ToolMessage(tool_call_id="call_0", name="bash", text="ok"))
    ids = [call.id for call in reply.message.tool_calls]
    assert len({*ids, "call_0"}) == 4
    assert all(ids)


@pytest.mark.parametrize("wired", EVERY)
async def test_thinking_goes_back_to_the_model_that_had_it(model: ModelClient, server: ModelServer) -> None:
    server.enqueue(ServerReply(text="a", thinking="A long thought.", calls=(Call("bash", '{"command":"ls"}'),)), ServerReply(text="b"))
    reply = await say(model, effort="high")
    answer = ToolMessage(tool_call_id=reply.message.tool_calls[0].id, name="bash", text="ok")
    await say(model, UserMessage(text="go"), reply.message, answer, effort="high")
    assert b"A long thought." in server.requests[-1].body


@pytest.mark.parametrize("wired", EVERY)
async def test_forgotten_thinking_is_not_sent_again(model: ModelClient, server: ModelServer) -> None:
    server.enqueue(ServerReply(text="a", thinking="A long thought.", calls=(Call("bash", '{"command":"ls"}'),)), ServerReply(text="b"))
    first = UserMessage(text="go")
    reply = await say(model, first, effort="high")
    history = (first, reply.message, ToolMessage(tool_call_id=reply.message.tool_calls[0].id, name="bash", text="ok"))
    assert model.forget_thinking(history)
    assert not model.forget_thinking(history), "there is nothing left to forget"
    await say(model, *history, effort="high")
    assert b"A long thought." not in server.requests[-1].body


FAULTS: list[tuple[FaultKind, type[ModelError]]] = [
    (FaultKind.RATE_LIMIT, RateLimited),
    (FaultKind.SERVER_ERROR, ServerFailed),
    (FaultKind.OVERLOADED, ServerFailed),
    (FaultKind.UNAUTHORIZED, ModelAuthError),
    (FaultKind.PAYMENT_REQUIRED, BillingError),
    (FaultKind.INSUFFICIENT_QUOTA, BillingError),
    (FaultKind.NOT_FOUND, ModelNotFound),
    (FaultKind.NOT_BY_PROVIDER, ModelNotFound),
    (FaultKind.OVERFLOW, ContextOverflow),
    (FaultKind.OVERFLOW_WORDS, ContextOverflow),
    (FaultKind.BAD_REQUEST, BadRequest),
    (FaultKind.EFFORT_REJECTED, EffortRejected),
    (FaultKind.THINKING_UNSUPPORTED, EffortRejected),
]


@pytest.mark.parametrize("stream", BOTH)
@pytest.mark.parametrize(("kind", "expected"), FAULTS, ids=[kind.name for kind, _ in FAULTS])
@pytest.mark.parametrize("wired", EVERY)
async def test_a_refusal_is_an_exception_of_its_own_type(
    model: ModelClient, server: ModelServer, kind: FaultKind, expected: type[ModelError], stream: bool
) -> None:
    server.enqueue(Fault(kind=kind, retry_after="7"))
    with pytest.raises(expected) as caught:
        await say(model, effort="high", stream=stream)
    error = caught.value
    assert type(error) is expected
    if isinstance(error, RateLimited):
        assert error.retry_after_s == 7
    if isinstance(error, ContextOverflow):
        assert error.limit_tokens == 4096
    if isinstance(error, EffortRejected):
        assert error.thinking_unsupported == (kind is FaultKind.THINKING_UNSUPPORTED)
    if isinstance(error, ModelAuthError | BillingError | ModelNotFound):
        assert error.hint


@pytest.mark.parametrize("wired", EVERY)
async def test_refused_thinking_is_told_apart(model: ModelClient, server: ModelServer) -> None:
    server.enqueue(ServerReply(text="a", thinking="Thought.", calls=(Call("bash", '{"command":"ls"}'),)))
    reply = await say(model, effort="high")
    server.enqueue(Fault(kind=FaultKind.SIGNATURE_INVALID))
    with pytest.raises(SignatureRejected):
        await say(
            model, UserMessage(text="go"), reply.message, ToolMessage(tool_call_id=reply.message.tool_calls[0].id, name="bash", text="ok")
        )


@pytest.mark.parametrize("wired", EVERY)
async def test_no_key_is_ever_in_a_message(model: ModelClient, server: ModelServer) -> None:
    server.enqueue(Fault(kind=FaultKind.UNAUTHORIZED, message=f"Incorrect API key provided: {KEY}."))
    with pytest.raises(ModelAuthError) as caught:
        await say(model)
    assert KEY not in str(caught.value)
    assert "TEST_KEY" in caught.value.hint


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.ERROR_IN_STREAM, FaultKind.CUT_BEFORE_HEAD])
@pytest.mark.parametrize("wired", EVERY)
async def test_a_broken_stream_may_be_tried_again(model: ModelClient, server: ModelServer, kind: FaultKind) -> None:
    # An own client replaces a kept connection that was closed, once: hence two of them.
    server.enqueue(Fault(kind=kind, after=5), Fault(kind=kind, after=5))
    with pytest.raises(RetryableModelError):
        await say(model)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.CUT, StreamBroken),
        (FaultKind.ERROR_IN_STREAM, ServerFailed),
        (FaultKind.BAD_JSON, NonsenseReply),
        (FaultKind.NO_CHOICE, NonsenseReply),
        (FaultKind.EMPTY_CHOICE, NonsenseReply),
        (FaultKind.WEB_PAGE, NonsenseReply),
        (FaultKind.CUT_BEFORE_HEAD, ConnectionFailed),
    ],
)
@pytest.mark.parametrize("wired", EXACT, ids=str)
async def test_our_own_clients_name_what_broke(
    model: ModelClient, server: ModelServer, kind: FaultKind, expected: type[ModelError]
) -> None:
    server.enqueue(Fault(kind=kind, after=5))
    with pytest.raises(expected) as caught:
        await say(model)
    assert not caught.value.message.endswith("..")


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.HANG_MIDWAY])
@pytest.mark.parametrize("wired", EXACT, ids=str)
async def test_a_silent_server_is_given_up(wired: Wired, server: ModelServer, kind: FaultKind) -> None:
    server.enqueue(Fault(kind=kind, after=5))
    client = wired.make(server, HttpOptions(inactivity_s=0.05))
    with pytest.raises(RetryableModelError, match="silent"):
        await say(client)
    await client.aclose()


@pytest.mark.parametrize("wired", EVERY)
async def test_waiting_for_the_first_token_can_be_cancelled(model: ModelClient, server: ModelServer) -> None:
    server.enqueue(Fault(kind=FaultKind.HANG))
    asking = asyncio.create_task(say(model))
    await server.asked(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await say(model)).message.text, "nothing is poisoned after it"


@pytest.mark.parametrize("wired", EXACT, ids=str)
async def test_closing_the_iterator_hangs_up(model: ModelClient, server: ModelServer) -> None:
    server.enqueue(Fault(kind=FaultKind.HANG_MIDWAY, after=6))
    async with aclosing(model.stream(request())) as deltas:
        async for _ in deltas:
            break
    await server.hung_up(1)


@pytest.mark.parametrize("wired", EXACT, ids=str)
async def test_nobody_listening_says_where(wired: Wired) -> None:
    async with ModelServer() as gone:
        pass
    client = wired.make(gone, HttpOptions())
    with pytest.raises(Unreachable, match=gone.url) as caught:
        await say(client)
    assert "running" in caught.value.hint
    await client.aclose()


@pytest.mark.parametrize("wired", EVERY)
async def test_an_answer_without_text_that_cost_tokens_is_an_answer(model: ModelClient, server: ModelServer) -> None:
    server.enqueue(ServerReply(text="", completion_tokens=3))
    assert (await say(model)).message.text == ""
