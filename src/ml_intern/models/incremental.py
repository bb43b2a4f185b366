"""Request bodies that grow: each message is encoded once, and what was sent before is sent again byte for byte.

A history grows at its end only, so the encoded form of its first n messages never changes: it is kept, and a request
costs what its new messages cost. After a compaction or an undo the messages from the first difference on are encoded again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

from ml_intern.protocol.messages import AssistantMessage, Message, Thinking

State = TypeVar("State")


class IncrementalEncoder(ABC, Generic[State]):
    """Encodes a history into the inside of a JSON array, remembering message by message what it wrote.

    A subclass writes one message at a time; ``State`` is what the next message must know about those before it.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._segments: list[bytes] = []
        self._states: list[State] = []
        self._forgotten: set[Thinking] = set()

    @abstractmethod
    def start(self) -> State:
        """The state ahead of the first message."""

    @abstractmethod
    def step(self, state: State, message: Message) -> tuple[bytes, State]:
        """The bytes that ``message`` adds, separators included. Bytes already written cannot be changed."""

    @abstractmethod
    def finish(self, state: State) -> bytes:
        """What closes the array after the last message; a longer history may continue without these bytes."""

    def encode(self, messages: Sequence[Message]) -> list[bytes]:
        """The segments of the whole history; join them."""
        self._keep_common_prefix(messages)
        for message in messages[len(self._messages) :]:
            state = self._states[-1] if self._states else self.start()
            segment, state = self._encoded(state, message)
            self._messages.append(message)
            self._segments.append(segment)
            self._states.append(state)
        return [*self._segments, self.finish(self._states[-1] if self._states else self.start())]

    def forget_thinking(self, messages: Sequence[Message]) -> bool:
        """Never again replay the reasoning in these messages. False when there was none left to forget."""
        blocks = {block for message in messages if isinstance(message, AssistantMessage) for block in message.thinking}
        if blocks <= self._forgotten:
            return False
        self._forgotten |= blocks
        self._truncate(0)
        return True

    def replayable(self, blocks: Sequence[Thinking]) -> list[Thinking]:
        """Those blocks that were not forgotten."""
        return [block for block in blocks if block not in self._forgotten] if self._forgotten else list(blocks)

    def _keep_common_prefix(self, messages: Sequence[Message]) -> None:
        # Identity is enough, and cheap: messages are frozen. Most often the whole old history is a prefix of the new one.
        known = self._messages
        for index, message in enumerate(known):
            if index >= len(messages) or messages[index] is not message:
                self._truncate(index)
                return

    def _truncate(self, length: int) -> None:
        del self._messages[length:], self._segments[length:], self._states[length:]

    def _encoded(self, state: State, message: Message) -> tuple[bytes, State]:
        try:
            return self.step(state, message)
        except UnicodeEncodeError:
            # Half a surrogate pair (undecodable bytes in a tool's output) has no UTF-8 form.
            return self.step(state, without_surrogates(message))


def without_surrogates(message: Message) -> Message:
    """The message with lone surrogates replaced by ``?``."""
    return msgspec.convert(_clean(msgspec.to_builtins(message)), Message)


def _clean(node: Any) -> Any:
    if isinstance(node, str):
        return node.encode("utf-8", "replace").decode("utf-8")
    if isinstance(node, list):
        return [_clean(item) for item in cast(list[Any], node)]
    if isinstance(node, dict):
        return {key: _clean(value) for key, value in cast(dict[str, Any], node).items()}
    return node
