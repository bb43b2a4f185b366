"""The conversation as the model sees it, folded from events.

Every message ever said stays in ``entries``; compactions are marks over it, so undoing past a compaction brings the originals
back. ``messages`` only ever grows at its end between two marks, and keeps the identity of what it holds: model clients rely on
that to encode each message once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from ml_intern.protocol.amounts import counted
from ml_intern.protocol.messages import AssistantMessage, JsonObject, Message, Thinking, ToolCall, ToolMessage, UserMessage

CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 1_500
"""About what providers charge for a picture of ordinary size."""
SHORTENED_CHARS = 8_000
"""What is left of a text that a compaction shortened, and of the arguments of all the calls of a message."""
MIN_ARGUMENTS_CHARS = 400
"""The arguments of one call may keep so much, however many calls a message has."""
_MIN_STRING_CHARS = 40
_NOTE_CHARS = 100
"""More than the note that ``shorten`` leaves."""
_arguments = msgspec.json.Decoder(JsonObject)
UNKNOWN_OUTCOME = "Interrupted: the outcome of this call is unknown. It was not repeated. Check the state of things before going on."


class Entry(Struct, frozen=True):
    """A message and the seq of the event that brought it."""

    seq: int
    message: Message


class Compaction(Struct, frozen=True):
    """From ``keep_from_seq`` on, history counts word for word; what lies before is ``summary`` and the first user message.

    ``keep_from_seq`` is the seq of a user's or an assistant's message; ``shortened`` are the seqs of those that are cut.
    """

    seq: int
    summary: str
    keep_from_seq: int
    shortened: frozenset[int]


class History:
    """Messages in order. Answers are put in the order of their calls, whichever came first."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.compactions: list[Compaction] = []
        self._starts: list[int] = []  # indexes of the user's and assistant's entries: their seqs rise, those of answers need not
        self._open: tuple[ToolCall, ...] = ()
        self._open_seq = 0
        self._answers: dict[str, Entry] = {}
        self._messages: list[Message] = []

    @property
    def messages(self) -> list[Message]:
        """What a request carries. The same list object until a compaction or an undo; do not change it."""
        return self._messages

    @property
    def open_calls(self) -> tuple[ToolCall, ...]:
        """Calls of the last reply that have no answer yet, in order."""
        return tuple(call for call in self._open if call.id not in self._answers)

    def add_user(self, seq: int, message: UserMessage) -> None:
        self._close_open()
        self._add(Entry(seq, message))

    def add_assistant(self, seq: int, message: AssistantMessage) -> None:
        self._close_open()
        self._add(Entry(seq, message))
        self._open, self._open_seq = message.tool_calls, seq

    def answer(self, seq: int, message: ToolMessage) -> tuple[tuple[ToolCall, ToolMessage], ...]:
        """Record an answer. Returns the calls with their answers once the last one is in, else nothing."""
        if message.tool_call_id in self._answers or not any(call.id == message.tool_call_id for call in self._open):
            return ()
        self._answers[message.tool_call_id] = Entry(seq, message)
        return self._flush() if len(self._answers) == len(self._open) else ()

    def compact(self, mark: Compaction) -> None:
        self.compactions.append(mark)
        self._messages = self.view(mark)

    def cut(self, cut_seq: int) -> None:
        """Forget the entries from ``cut_seq`` on, and compactions that came later."""
        del self.entries[self._index_of(cut_seq) :]
        while self._starts and self._starts[-1] >= len(self.entries):
            self._starts.pop()
        self.compactions = [mark for mark in self.compactions if mark.seq < cut_seq]
        self._open, self._answers = (), {}
        self._messages = self.view(self.compactions[-1]) if self.compactions else [entry.message for entry in self.entries]

    def user_seqs(self) -> list[int]:
        """The seq of each message that the user wrote, the first one first."""
        return [e.seq for e in self.entries if isinstance(e.message, UserMessage) and not e.message.internal]

    def kept_entries(self) -> list[Entry]:
        """The entries behind ``messages``, without the summary: originals, even where the view shortens them."""
        if not self.compactions:
            return list(self.entries)
        first, tail = self._kept_by(self.compactions[-1])
        return [*first, *tail]

    def view(self, mark: Compaction) -> list[Message]:
        """What ``messages`` is under this mark."""
        first, tail = self._kept_by(mark)
        summary = [UserMessage(text=summary_text(mark.summary), internal=True)] if mark.summary else []
        return [*_shown(first, mark), *summary, *_shown(tail, mark)]

    def _kept_by(self, mark: Compaction) -> tuple[list[Entry], list[Entry]]:
        """The first user message, where the mark cuts it off, and what is kept behind the summary."""
        index = self._index_of(mark.keep_from_seq)
        first = next((i for i, e in enumerate(self.entries) if isinstance(e.message, UserMessage) and not e.message.internal), index)
        return self.entries[first : first + 1] if first < index else [], self.entries[index:]

    def _index_of(self, seq: int) -> int:
        """Where the first group begins that is not older than ``seq``: groups are never parted."""
        nth = bisect_left(self._starts, seq, key=lambda start: self.entries[start].seq)
        return self._starts[nth] if nth < len(self._starts) else len(self.entries)

    def _add(self, entry: Entry) -> None:
        if not isinstance(entry.message, ToolMessage):
            self._starts.append(len(self.entries))
        self.entries.append(entry)
        self._messages.append(entry.message)

    def _flush(self) -> tuple[tuple[ToolCall, ToolMessage], ...]:
        group: list[tuple[ToolCall, ToolMessage]] = []
        for call in self._open:
            entry = self._answers[call.id]
            self._add(entry)
            assert isinstance(entry.message, ToolMessage)
            group.append((call, entry.message))
        self._open, self._answers = (), {}
        return tuple(group)

    def _close_open(self) -> None:
        """A log that was cut short may lack answers; a request without them would be refused."""
        for call in self.open_calls:
            self.answer(self._open_seq, ToolMessage(tool_call_id=call.id, name=call.name, text=UNKNOWN_OUTCOME, success=False))


def summary_text(summary: str) -> str:
    """How a summary is put to the model."""
    return f"[Earlier work, summarised because the context was full]\n\n{summary}"


def shortened(message: Message) -> Message:
    """The message cut to head and tail; the very same one where nothing of it is too long.

    The calls of an assistant keep arguments that are JSON objects. Its thinking goes: a signature would no longer fit.
    """
    match message:
        case UserMessage():
            text = shorten(message.text)
            return message if text is message.text else msgspec.structs.replace(message, text=text)
        case AssistantMessage():
            text, calls = shorten(message.text), _shortened_calls(message.tool_calls)
            whole = text is message.text and calls == message.tool_calls
            if whole and _thinking_chars(message.thinking) <= SHORTENED_CHARS:
                return message
            return AssistantMessage(text=text, tool_calls=calls, model=message.model)
        case ToolMessage():
            text = shorten(message.text)
            if text is message.text and not message.images:
                return message
            note = f"\n[{counted(len(message.images), 'image')} left out to save context]" if message.images else ""
            return msgspec.structs.replace(message, text=text + note, images=())


def _shown(entries: Iterable[Entry], mark: Compaction) -> list[Message]:
    return [shortened(entry.message) if entry.seq in mark.shortened else entry.message for entry in entries]


def _shortened_calls(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    if sum(len(call.arguments) for call in calls) <= SHORTENED_CHARS:
        return calls
    limit = max(MIN_ARGUMENTS_CHARS, SHORTENED_CHARS // len(calls))
    return tuple(ToolCall(call.id, call.name, shorten_arguments(call.arguments, limit)) for call in calls)


def shorten_arguments(arguments: str, limit: int) -> str:
    """The arguments of a call as a JSON object of at most ``limit`` characters (``MIN_ARGUMENTS_CHARS`` or more).

    Its strings are cut to head and tail; where that does not do, the text of the whole becomes its one member.
    """
    if len(arguments) <= limit:
        return arguments
    try:
        if cut := _with_cut_strings(_arguments.decode(arguments), limit):
            return cut
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        pass  # not a JSON object, or one that is nested too deeply
    text, whole = arguments.encode("utf-8", "replace").decode(), ""
    for part in (2, 4, 12):  # the quotes in it cost a character more each, control characters five
        whole = _json({"_shortened": shorten(text, limit // part)})
        if len(whole) <= limit:
            break
    return whole


def _with_cut_strings(arguments: JsonObject, limit: int) -> str:
    """The object with as much left of its strings as fits; empty when too much else is in it."""
    if len(_json(_cut_strings(arguments, _MIN_STRING_CHARS))) > limit:
        return ""
    chars, text = limit, _json(_cut_strings(arguments, limit))
    while len(text) > limit:
        chars = max(_MIN_STRING_CHARS, chars * 3 // 4)
        text = _json(_cut_strings(arguments, chars))
    return text


def _cut_strings(value: Any, chars: int) -> Any:
    match value:
        case str() if len(value) > chars + _NOTE_CHARS:
            return shorten(value, chars)
        case dict():
            return {key: _cut_strings(member, chars) for key, member in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case list():
            return [_cut_strings(item, chars) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def _json(value: JsonObject) -> str:
    return msgspec.json.encode(value).decode()


def shorten(text: str, limit: int = SHORTENED_CHARS) -> str:
    """Head and tail of a text that is longer than ``limit`` characters, with a note of what is missing."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} of {len(text):,} characters left out to save context …]\n{text[-half:]}"


def estimate_tokens(message: Message) -> int:
    """A rough count where the provider has not told: four characters a token."""
    match message:
        case UserMessage():
            chars, images = len(message.text), len(message.images)
        case AssistantMessage():
            chars, images = len(message.text) + sum(len(c.arguments) + len(c.name) + 20 for c in message.tool_calls), 0
            chars += _thinking_chars(message.thinking)
        case ToolMessage():
            chars, images = len(message.text), len(message.images)
    return chars // CHARS_PER_TOKEN + images * IMAGE_TOKENS + 8


def _thinking_chars(thinking: Iterable[Thinking]) -> int:
    return sum(len(block.text) + len(block.redacted) + len(block.details) for block in thinking)


def estimate_all(messages: Iterable[Message]) -> int:
    """The sum over messages."""
    return sum(map(estimate_tokens, messages))
