"""A session as one training sample in chat format, with tool calls and the tools' schemas.

What was undone is left out; what a compaction summarised is there as it was said. A call that cannot be learned from (arguments that are
no JSON object, no answer) is left out with its answer, so that every call has exactly one answer, right behind it. What policies told the
model is no user's word and is left out. Arguments are JSON text: datasets would else give every row the keys of every other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ml_intern.models.base import ToolSchema
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.messages import JsonObject, ToolCall
from ml_intern.session.trace_formats.said import with_images
from ml_intern.session.trace_formats.tags import tag_session


class SftFunction(Struct, frozen=True):
    """``arguments`` is the text of a JSON object."""

    name: str
    arguments: str


class SftCall(Struct, frozen=True, kw_only=True):
    """As in OpenAI's chat format."""

    id: str
    type: Literal["function"] = "function"
    function: SftFunction


class SftMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As in OpenAI's chat format."""

    role: Literal["user", "assistant", "tool"]
    content: str
    tool_calls: tuple[SftCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""


class _Function(Struct, frozen=True):
    name: str
    description: str
    parameters: JsonObject


class _Tool(Struct, frozen=True, kw_only=True):
    type: Literal["function"] = "function"
    function: _Function


class SftSample(Struct, frozen=True, kw_only=True):
    """One row of the dataset."""

    session_id: str
    model: str
    timestamp: str
    tags: list[str]
    messages: list[SftMessage]
    tools: list[_Tool]


def sft_sample(session_id: str, envelopes: Sequence[Envelope], schemas: Iterable[ToolSchema]) -> SftSample | None:
    """The sample, or None for a session in which nobody answered. ``schemas``: the tools that this version offers."""
    folded = _Folded()
    for envelope in envelopes:
        folded.take(envelope.seq or 0, envelope.event)
    messages = folded.messages()
    if not any(message.role == "assistant" for message in messages):
        return None
    return SftSample(
        session_id=session_id,
        model=folded.model,
        timestamp=_stamp(envelopes[0].at),
        tags=tag_session(envelopes),
        messages=messages,
        tools=_tools(schemas, messages),
    )


def sft_line(sample: SftSample) -> bytes:
    """The row as a line of JSONL."""
    return msgspec.json.encode(sample) + b"\n"


class _Folded:
    """The conversation that counts."""

    def __init__(self) -> None:
        self.model = ""
        self._said: list[tuple[int, e.UserMessageAdded | e.AssistantMessageAdded]] = []
        self._answers: dict[str, tuple[int, e.ToolFinished]] = {}
        self._edited: dict[str, JsonObject] = {}

    def take(self, seq: int, event: e.AnyEvent) -> None:
        match event:
            case e.SessionStarted():
                self.model = event.model
            case e.ModelSwitched():
                self.model = event.model
            case e.UserMessageAdded() | e.AssistantMessageAdded():
                self._said.append((seq, event))
            case e.ToolFinished():
                self._answers[event.tool_call_id] = (seq, event)
            case e.ToolStateChange() if event.state in ("approved", "changed") and event.arguments is not None:
                self._edited[event.tool_call_id] = event.arguments  # what ran is what the user, or a hook, made of it
            case e.UndoComplete() if event.cut_seq:
                self._said = [(at, said) for at, said in self._said if at < event.cut_seq]
                self._answers = {key: (at, answer) for key, (at, answer) in self._answers.items() if at < event.cut_seq}
            case _:
                pass

    def messages(self) -> list[SftMessage]:
        """In the order of the chat format: answers right behind the calls, whatever came in between."""
        messages: list[SftMessage] = []
        for _, said in self._said:
            if isinstance(said, e.UserMessageAdded):
                _add_user(messages, with_images(said.content, said.images))
            else:
                messages += self._reply(said)
        while messages and messages[-1].role == "user":
            messages.pop()  # nobody has answered it
        return messages

    def _reply(self, said: e.AssistantMessageAdded) -> list[SftMessage]:
        calls = [made for call in said.tool_calls if call.id in self._answers and (made := self._call(call)) is not None]
        if not calls and not said.content.strip():
            return []
        answers = [chat_answer(self._answers[call.id][1]) for call in calls]
        return [SftMessage(role="assistant", content=said.content, tool_calls=tuple(calls)), *answers]

    def _call(self, call: ToolCall) -> SftCall | None:
        """None for arguments that are no object: nobody should learn to write such."""
        if (edited := self._edited.get(call.id)) is not None:
            return SftCall(id=call.id, function=SftFunction(call.name, msgspec.json.encode(edited).decode()))
        try:
            msgspec.json.decode(call.arguments or "{}", type=JsonObject)
        except (msgspec.MsgspecError, UnicodeError):
            return None
        return SftCall(id=call.id, function=SftFunction(call.name, call.arguments or "{}"))


def _add_user(messages: list[SftMessage], text: str) -> None:
    """Two in a row are one: many chat templates refuse them."""
    if messages and messages[-1].role == "user":
        messages[-1] = replace(messages[-1], content=f"{messages[-1].content}\n\n{text}")
    else:
        messages.append(SftMessage(role="user", content=text))


def chat_answer(event: e.ToolFinished) -> SftMessage:
    """The answer to a call; pictures as words."""
    return SftMessage(role="tool", content=with_images(event.output, event.images), tool_call_id=event.tool_call_id, name=event.tool)


def _tools(schemas: Iterable[ToolSchema], messages: Iterable[SftMessage]) -> list[_Tool]:
    """What this version offers, and an open schema for whatever else was called (tools of MCP servers, of older versions)."""
    known = {schema.name: _Tool(function=_Function(schema.name, schema.description, schema.parameters)) for schema in schemas}
    for message in messages:
        for call in message.tool_calls:
            name = call.function.name
            known.setdefault(name, _Tool(function=_Function(name, "", {"type": "object", "additionalProperties": True})))
    return list(known.values())


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
