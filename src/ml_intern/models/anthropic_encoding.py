"""Our messages in the form of Anthropic's Messages API. https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

from typing import Any

import msgspec

from ml_intern.models.incremental import IncrementalEncoder
from ml_intern.models.replay import BLIND_NOTE, object_text, safe_id, safe_name
from ml_intern.models.resolved import ResolvedModel
from ml_intern.protocol.messages import AssistantMessage, Image, Message, Thinking, ToolMessage, UserMessage

_json = msgspec.json.Encoder()
_EMPTY = "(empty)"


class ThinkingPlace(msgspec.Struct):
    """Where a thinking block stood in its message, when it did not open it: behind how much text and how many calls."""

    text_chars: int = 0
    calls: int = 0


_place = msgspec.json.Decoder(ThinkingPlace)


class AnthropicEncoder(IncrementalEncoder[str]):
    """Content blocks in messages whose roles alternate; the state is the role of the message that is still open.

    A message is closed by the one that follows it, so that the answers of one batch (and the user's words after them) are
    blocks of one message, and no byte that was sent ever changes.
    """

    def __init__(self, model: ResolvedModel) -> None:
        super().__init__()
        self._model = model

    def start(self) -> str:
        return ""

    def step(self, state: str, message: Message) -> tuple[bytes, str]:
        blocks = self._blocks(message)
        if not blocks:  # an empty block would be refused
            return b"", state
        role = "assistant" if isinstance(message, AssistantMessage) else "user"
        content = b",".join(_json.encode(block) for block in blocks)
        if role == state:
            return b"," + content, role
        opening = b'{"role":"%s","content":[' % role.encode()
        if not state and role == "assistant":  # the first message must be the user's
            opening = _json.encode({"role": "user", "content": [_text(_EMPTY)]}) + b"," + opening
        return (b"]}," if state else b"") + opening + content, role

    def finish(self, state: str) -> bytes:
        return b"]}" if state else b""

    def _blocks(self, message: Message) -> list[dict[str, Any]]:
        match message:
            case UserMessage():
                return [*map(self._image, message.images), *([_text(message.text)] if message.text.strip() else [])]
            case ToolMessage():
                return [self._tool_result(message)]
            case AssistantMessage():
                return self._assistant(message)

    def _image(self, image: Image) -> dict[str, Any]:
        if not self._model.sees_images:
            return _text(BLIND_NOTE)
        return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.data}}

    def _tool_result(self, message: ToolMessage) -> dict[str, Any]:
        wire: dict[str, Any] = {"type": "tool_result", "tool_use_id": safe_id(message.tool_call_id)}
        if message.images:
            wire["content"] = [*([_text(message.text)] if message.text.strip() else []), *map(self._image, message.images)]
        elif message.text:
            wire["content"] = message.text
        if not message.success:
            wire["is_error"] = True
        return wire

    def _assistant(self, message: AssistantMessage) -> list[dict[str, Any]]:
        calls = [
            {"type": "tool_use", "id": safe_id(c.id), "name": safe_name(c.name), "input": msgspec.Raw(object_text(c.arguments).encode())}
            for c in message.tool_calls
        ]
        blocks: list[dict[str, Any]] = []
        said = shown = 0
        for block, wire in self._thinking(message):
            place = _place.decode(block.details) if block.details else ThinkingPlace()
            blocks += _said(message.text[said : place.text_chars])
            blocks += calls[shown : place.calls]
            said, shown = max(said, place.text_chars), max(shown, place.calls)
            blocks.append(wire)
        # The API refuses white space at the end of an assistant's text only in the last message, which is never one of these.
        return [*blocks, *_said(message.text[said:]), *calls[shown:]]

    def _thinking(self, message: AssistantMessage) -> list[tuple[Thinking, dict[str, Any]]]:
        if message.model != self._model.model_id:
            return []
        wired: list[tuple[Thinking, dict[str, Any]]] = []
        for block in self.replayable(message.thinking):
            if block.redacted:
                wired.append((block, {"type": "redacted_thinking", "data": block.redacted}))
            elif block.signature:
                wired.append((block, {"type": "thinking", "thinking": block.text, "signature": block.signature}))
        return wired


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _said(text: str) -> list[dict[str, Any]]:
    return [_text(text)] if text.strip() else []
