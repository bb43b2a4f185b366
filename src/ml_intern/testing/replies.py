"""What the model server can be told to say, and the ways in which it can be told to misbehave."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. ``arguments`` is JSON text; ``id`` None: the server makes one up."""

    name: str
    arguments: str = "{}"
    id: str | None = None


class Quirk(StrEnum):
    """Harmless oddities of real OpenAI-style servers."""

    NO_INDEX = "tool call pieces have no index"
    INDEX_ZERO = "every tool call has index 0"
    REPEATED_NAMES = "id and name are repeated in every piece"
    LATE_ID = "the id comes with the last piece only"
    FRESH_IDS = "every piece carries another id"
    NO_FINISH = "there is no finish reason"
    NO_DONE = "the stream ends without [DONE]"
    NO_USAGE = "usage is not reported"
    EARLY_USAGE = "usage is in the chunk that has the finish reason"
    STOP_WITH_CALLS = "the finish reason is stop, though there are calls"
    JSON_ANSWER = "a JSON document although a stream was asked for"
    ONE_NEWLINE = "events are not separated by a blank line"
    CRLF = "lines end with CR LF"
    COMMENTS = "comment lines keep the connection alive"
    OBJECT_ARGUMENTS = "arguments are an object, not text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReply:
    """A reply. Text and arguments are sent in pieces of ``piece_chars`` characters, each in an HTTP chunk of its own.

    ``text_pieces`` gives the pieces themselves. ``reasoning_field`` is where the OpenAI wire puts ``thinking``;
    ``redacted`` is sent as a ``redacted_thinking`` block on the Anthropic wire. ``model_finish`` overrides the finish reason.
    """

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    text_pieces: tuple[str, ...] = ()
    piece_chars: int = 8
    reasoning_field: str = "reasoning_content"
    reasoning_details: tuple[dict[str, object], ...] = ()
    redacted: str = ""
    text_before_thinking: str = ""
    model_finish: str = ""
    prompt_tokens: int = 100
    completion_tokens: int = 20
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    cost_usd: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    quirks: frozenset[Quirk] = frozenset()


class FaultKind(StrEnum):
    """Ways to fail."""

    RATE_LIMIT = "429"
    SERVER_ERROR = "500"
    OVERLOADED = "503, or 529 overloaded_error"
    UNAUTHORIZED = "401"
    PAYMENT_REQUIRED = "402"
    INSUFFICIENT_QUOTA = "429 with the code insufficient_quota"
    NOT_FOUND = "404"
    NOT_BY_PROVIDER = "the pinned provider does not serve the model"
    OVERFLOW = "the context is too long, with the wire's typed code where it has one"
    OVERFLOW_WORDS = "the context is too long, in words only"
    BAD_REQUEST = "400 for no reason that a client could cure"
    EFFORT_REJECTED = "the reasoning effort is not a valid value"
    THINKING_UNSUPPORTED = "the model does not think"
    SIGNATURE_INVALID = "replayed thinking is refused"
    CUT = "the connection breaks after `after` events"
    CUT_BEFORE_HEAD = "the connection breaks before the answer"
    ERROR_IN_STREAM = "an error event after `after` events"
    BAD_JSON = "an event that is not JSON, after `after` events"
    NO_CHOICE = "an answer without a choice or a message"
    EMPTY_CHOICE = "an answer with nothing in it"
    WEB_PAGE = "a web page"
    HANG = "no answer at all"
    HANG_MIDWAY = "silence after `after` events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A failure. ``reply`` is what breaks in the middle; ``retry_after`` is the header, in seconds or as an HTTP date."""

    kind: FaultKind
    retry_after: str = ""
    message: str = ""
    limit_tokens: int = 4096
    after: int = 2
    reply: ServerReply = field(default_factory=lambda: ServerReply(text="This text is broken off somewhere."))


Answer: TypeAlias = ServerReply | Fault


def pieces(text: str, chars: int) -> list[str]:
    """The text in pieces."""
    return [text[i : i + chars] for i in range(0, len(text), chars)]
