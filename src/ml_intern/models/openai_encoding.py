"""Our messages in OpenAI's Chat Completions form. https://platform.openai.com/docs/api-reference/chat/create"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, assert_never

import msgspec

from ml_intern.models.incremental import IncrementalEncoder
from ml_intern.models.replay import BLIND_NOTE, object_text, safe_id, safe_name
from ml_intern.models.resolved import OPENAI, OPENROUTER, ResolvedModel
from ml_intern.protocol.messages import AssistantMessage, Image, Message, Thinking, ToolMessage, UserMessage

_json = msgspec.json.Encoder()
_State: TypeAlias = tuple[Image, ...]
"""The images of tool answers that still have to be shown."""


class OpenAIEncoder(IncrementalEncoder[_State]):
    """Messages as JSON objects, each with its leading comma.

    A tool message of this wire holds text alone: images go into a user message after the last answer of the batch.
    """

    def __init__(self, model: ResolvedModel) -> None:
        super().__init__()
        self._model = model

    def start(self) -> _State:
        return ()

    def step(self, state: _State, message: Message) -> tuple[bytes, _State]:
        if isinstance(message, ToolMessage):
            note = f"{message.text}\n{BLIND_NOTE}" if message.images and not self._model.sees_images else message.text
            wire = {"role": "tool", "tool_call_id": safe_id(message.tool_call_id), "content": note}
            return b"," + _json.encode(wire), (*state, *message.images) if self._model.sees_images else state
        shown = self.finish(state)
        match message:
            case UserMessage():
                wire = {"role": "user", "content": self._user_content(message)}
            case AssistantMessage():
                wire = self._assistant(message)
            case _:
                assert_never(message)
        return shown + b"," + _json.encode(wire), ()

    def finish(self, state: _State) -> bytes:
        if not state:
            return b""
        parts: list[dict[str, Any]] = [{"type": "text", "text": "Images from the tool results above:"}, *map(_image_part, state)]
        return b"," + _json.encode({"role": "user", "content": parts})

    def _user_content(self, message: UserMessage) -> str | list[dict[str, Any]]:
        if not message.images:
            return message.text
        if not self._model.sees_images:
            return f"{message.text}\n{BLIND_NOTE}"
        text: list[dict[str, Any]] = [{"type": "text", "text": message.text}] if message.text else []
        return text + [_image_part(image) for image in message.images]

    def _assistant(self, message: AssistantMessage) -> dict[str, Any]:
        wire: dict[str, Any] = {"role": "assistant", "content": message.text or (None if message.tool_calls else "")}
        if message.model == self._model.model_id:
            wire |= self.reasoning(self.replayable(message.thinking))
        if message.tool_calls:
            wire["tool_calls"] = [
                {
                    "id": safe_id(call.id),
                    "type": "function",
                    "function": {"name": safe_name(call.name), "arguments": object_text(call.arguments)},
                }
                for call in message.tool_calls
            ]
        return wire

    def reasoning(self, blocks: Sequence[Thinking]) -> dict[str, Any]:
        """The fields in which reasoning is sent back."""
        # OpenAI's own Chat Completions takes no reasoning back; OpenRouter and the open models' servers want it.
        if not blocks or self._model.provider == OPENAI:
            return {}
        details = [msgspec.Raw(block.details.encode()) for block in blocks if block.details]
        if details:
            return {"reasoning_details": details[0]} if len(details) == 1 else {}
        text = "".join(block.text for block in blocks)
        if not text:
            return {}
        return {"reasoning" if self._model.provider == OPENROUTER else "reasoning_content": text}


def _image_part(image: Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{image.data}"}}
