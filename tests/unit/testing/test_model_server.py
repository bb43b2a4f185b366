"""The double refuses what the real servers refuse: a client that talks to it happily would talk to them."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from ml_intern.testing.anthropic_wire import signature_of
from ml_intern.testing.model_server import ModelServer, generated_session
from ml_intern.testing.replies import Call, ServerReply

USER = {"role": "user", "content": "go"}


def openai_call(*ids: str) -> dict[str, Any]:
    calls = [{"id": i, "type": "function", "function": {"name": "bash", "arguments": "{}"}} for i in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def openai_answer(call_id: str, content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def claude_call(*ids: str, before: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"role": "assistant", "content": [*before, *({"type": "tool_use", "id": i, "name": "bash", "input": {}} for i in ids)]}


def claude_answer(*ids: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": i, "content": "ok"} for i in ids]}


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


async def post(server: ModelServer, path: str, body: object, **headers: str) -> httpx2.Response:
    async with plain_client() as client:
        return await client.post(server.v1 + path, content=msgspec.json.encode(body), headers=headers)


def plain_client() -> httpx2.AsyncClient:
    """Without the system's certificates, which take longer to read than a request to loopback takes."""
    return httpx2.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeout=60)


async def chat(server: ModelServer, *messages: dict[str, Any], **more: Any) -> httpx2.Response:
    return await post(server, "/chat/completions", {"model": "m", "messages": messages} | more)


async def claude(server: ModelServer, *messages: dict[str, Any], **more: Any) -> httpx2.Response:
    body = {"model": "m", "max_tokens": 4096, "messages": messages} | more
    return await post(server, "/messages", body, **{"anthropic-version": "2023-06-01"})


GOOD_CHATS = [
    [USER],
    [USER, openai_call("a", "b"), openai_answer("b"), openai_answer("a"), USER, USER],
    [{"role": "system", "content": [{"type": "text", "text": "x"}]}, USER, {"role": "assistant", "content": ""}, USER],
]
BAD_CHATS = [
    [],
    [USER, openai_call("a")],
    [USER, openai_call("a", "b"), openai_answer("a"), USER],
    [USER, openai_answer("a")],
    [USER, openai_call("a"), openai_answer("a"), openai_answer("a")],
    [USER, openai_call("a"), openai_answer("other")],
    [USER, openai_call("a"), openai_answer("a", [{"type": "image_url"}])],
    [USER, openai_call("a", "a"), openai_answer("a")],
    [USER, openai_call("x" * 41), openai_answer("x" * 41)],
    [USER, {"role": "assistant", "content": None}],
    [{"role": "wizard", "content": "x"}],
]


@pytest.mark.parametrize("messages", GOOD_CHATS)
async def test_valid_chats_are_answered(server: ModelServer, messages: list[dict[str, Any]]) -> None:
    answer = await chat(server, *messages)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("messages", BAD_CHATS)
async def test_chats_that_a_real_server_would_refuse_are_refused(server: ModelServer, messages: list[dict[str, Any]]) -> None:
    answer = await chat(server, *messages)
    assert (answer.status_code, len(server.refusals)) == (400, 1)
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "more",
    [
        {"stream_options": {"include_usage": True}},
        {"no_such_field": 1},
        {"max_tokens": 1, "max_completion_tokens": 1},
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        {"model": ""},
    ],
)
async def test_fields_are_checked_too(server: ModelServer, more: dict[str, Any]) -> None:
    assert (await chat(server, USER, **more)).status_code == 400


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": signature_of("hm")}
GOOD_CLAUDES = [
    [USER],
    [USER, claude_call("a", "b"), claude_answer("a", "b"), {"role": "assistant", "content": "fine"}, USER],
    [USER, claude_call("a", before=(THOUGHT, {"type": "redacted_thinking", "data": "redacted-x"})), claude_answer("a")],
]
BAD_CLAUDES = [
    [],
    [{"role": "assistant", "content": "x"}],
    [USER, USER],
    [USER, claude_call("a")],
    [USER, claude_call("a"), USER],
    [USER, claude_call("a", "b"), claude_answer("a")],
    [USER, claude_call("a"), claude_answer("a", "a")],
    [USER, claude_call("a"), claude_answer("b")],
    [USER, claude_call("a"), {"role": "user", "content": [{"type": "text", "text": "x"}, *claude_answer("a")["content"]]}],
    [USER, claude_call("not an id"), claude_answer("not an id")],
    [USER, claude_call("a", before=({**THOUGHT, "signature": "forged"},)), claude_answer("a")],
    [{"role": "user", "content": ""}],
    [{"role": "user", "content": []}],
    [{"role": "system", "content": "x"}, USER],
]


@pytest.mark.parametrize("messages", GOOD_CLAUDES)
async def test_valid_conversations_are_answered(server: ModelServer, messages: list[dict[str, Any]]) -> None:
    answer = await claude(server, *messages)
    assert answer.status_code == 200, answer.text
    assert answer.json()["content"][0]["text"]


@pytest.mark.parametrize("messages", BAD_CLAUDES)
async def test_conversations_that_the_real_api_would_refuse_are_refused(server: ModelServer, messages: list[dict[str, Any]]) -> None:
    answer = await claude(server, *messages)
    assert (answer.status_code, len(server.refusals)) == (400, 1)
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "more",
    [
        {"max_tokens": 0},
        {"stream_options": {}},
        {"thinking": {"type": "enabled", "budget_tokens": 100}},
        {"thinking": {"type": "enabled", "budget_tokens": 4096}},
        {"system": [{"type": "text", "text": "x", "cache_control": {}}] * 5},
    ],
)
async def test_parameters_are_checked_too(server: ModelServer, more: dict[str, Any]) -> None:
    assert (await claude(server, USER, **more)).status_code == 400


async def test_a_thinking_budget_wants_the_turn_to_open_with_thinking(server: ModelServer) -> None:
    budget = {"type": "enabled", "budget_tokens": 1024}
    assert (await claude(server, USER, claude_call("a"), claude_answer("a"), thinking=budget)).status_code == 400
    assert (await claude(server, USER, claude_call("a", before=(THOUGHT,)), claude_answer("a"), thinking=budget)).status_code == 200


async def test_the_version_header_is_wanted(server: ModelServer) -> None:
    assert (await post(server, "/messages", {"model": "m", "max_tokens": 9, "messages": [USER]})).status_code == 400


async def test_bodies_are_recorded_byte_for_byte(server: ModelServer) -> None:
    body = b'{ "model":"m" ,"messages":[{"role":"user","content":"\xc3\xa4"}]}'
    async with plain_client() as client:
        await client.post(f"{server.v1}/chat/completions", content=body)
    assert server.requests[0].body == body


async def test_answers_come_from_the_queue_then_from_the_function() -> None:
    async with ModelServer(lambda document: ServerReply(text=f"{len(document['messages'])} messages")) as server:
        server.enqueue(ServerReply(calls=(Call("bash", "{}"),)))
        first, second = await chat(server, USER), await chat(server, USER, USER)
    assert first.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert second.json()["choices"][0]["message"]["content"] == "2 messages"


async def test_several_clients_are_served_at_once(server: ModelServer) -> None:
    answers = await asyncio.gather(*(chat(server, USER) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}


def test_a_generated_session_ends_after_its_steps() -> None:
    play = generated_session(2, "echo hi")
    replies = [play({"messages": [USER, *[{"role": "assistant"}] * n]}) for n in range(3)]
    assert [len(reply.calls) for reply in replies] == [1, 1, 0]
    assert replies[0].calls[0].arguments == '{"command":"echo hi"}'


def test_it_runs_as_a_program_and_ends_with_its_parent() -> None:
    command = [sys.executable, "-m", "ml_intern.testing.model_server", "--steps", "3", "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answer = httpx2.post(f"{url}/chat/completions", json={"model": "m", "messages": [USER]})
        assert answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "bash"
        process.stdin.close()
        assert process.wait(timeout=20) == 0
