"""The conversation as the model sees it, folded from events.

Every message ever said stays in ``entries``; compactions are marks over it, so undoing past a compaction brings the originals
back. ``messages`` only ever grows at its end between two marks, and keeps the identity of what it holds: model clients rely on
that to encode each message once.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ml_intern.protocol.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage

CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 1_500
"""About what providers charge for a picture of ordinary size."""
SHORTENED_CHARS = 8_000
"""What is left of a message that a compaction shortened."""
UNKNOWN_OUTCOME = "Interrupted: the outcome of this call is unknown. It was not repeated. Check the state of things before going on."


class Entry(Struct, frozen=True):
    """A message and the seq of the event that brought it."""

    seq: int
    message: Message


class Compaction(Struct, frozen=True):
    """From ``keep_from_seq`` on, history counts word for word; what lies before is ``summary`` and the first user message."""

    seq: int
    summary: str
    keep_from_seq: int
    shortened: frozenset[int]


class History:
    """Messages in order. Answers are put in the order of their calls, whichever came first."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.compactions: list[Compaction] = []
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
        self._messages = self._view()

    def cut(self, cut_seq: int) -> None:
        """Forget the entries from ``cut_seq`` on, and compactions that came later."""
        index = next((i for i, entry in enumerate(self.entries) if entry.seq >= cut_seq), len(self.entries))
        del self.entries[index:]
        self.compactions = [mark for mark in self.compactions if mark.seq < cut_seq]
        self._open, self._answers = (), {}
        self._messages = self._view()

    def user_seqs(self) -> list[int]:
        """The seq of each message that the user wrote, the first one first."""
        return [e.seq for e in self.entries if isinstance(e.message, UserMessage) and not e.message.internal]

    def kept_entries(self) -> list[Entry]:
        """The entries behind ``messages``, without the summary: originals, even where the view shortens them."""
        if not self.compactions:
            return list(self.entries)
        mark = self.compactions[-1]
        tail = [e for i, e in enumerate(self.entries) if i >= self._index_of(mark.keep_from_seq)]
        first = self._first_user()
        return [first, *tail] if first is not None and first not in tail else tail

    def _view(self) -> list[Message]:
        if not self.compactions:
            return [entry.message for entry in self.entries]
        mark = self.compactions[-1]
        kept = [shortened(e.message) if e.seq in mark.shortened else e.message for e in self.kept_entries()]
        first = self._first_user()
        split = 1 if first is not None and self._index_of(mark.keep_from_seq) > self.entries.index(first) else 0
        summary = [UserMessage(text=summary_text(mark.summary), internal=True)] if mark.summary else []
        return [*kept[:split], *summary, *kept[split:]]

    def _index_of(self, seq: int) -> int:
        return next((i for i, entry in enumerate(self.entries) if entry.seq >= seq), len(self.entries))

    def _first_user(self) -> Entry | None:
        return next((e for e in self.entries if isinstance(e.message, UserMessage) and not e.message.internal), None)

    def _add(self, entry: Entry) -> None:
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
    """The message with its text cut to head and tail; everything else as it was."""
    match message:
        case UserMessage():
            return UserMessage(text=shorten(message.text), images=message.images, internal=message.internal)
        case AssistantMessage():
            return AssistantMessage(
                text=shorten(message.text), tool_calls=message.tool_calls, thinking=message.thinking, model=message.model
            )
        case ToolMessage():
            text = shorten(message.text)
            return ToolMessage(tool_call_id=message.tool_call_id, name=message.name, text=text, success=message.success)


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
            chars += sum(len(t.text) + len(t.redacted) + len(t.details) for t in message.thinking)
        case ToolMessage():
            chars, images = len(message.text), len(message.images)
    return chars // CHARS_PER_TOKEN + images * IMAGE_TOKENS + 8


def estimate_all(messages: Iterable[Message]) -> int:
    """The sum over messages."""
    return sum(map(estimate_tokens, messages))
