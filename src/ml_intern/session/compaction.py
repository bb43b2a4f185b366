"""Making room: older history becomes a summary, whole groups of call and answers stay word for word.

A bounded number of tries: a summary by the model over the same cached prefix, then over a cut-down transcript, then one made
without a model. Whatever fails, the originals stay in the log.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ml_intern.errors import BillingError, ModelAuthError, ModelError
from ml_intern.models.base import ModelRequest
from ml_intern.protocol.events import Compacted
from ml_intern.protocol.messages import AssistantMessage, Message, ToolMessage, UserMessage
from ml_intern.session.history import (
    SHORTENED_CHARS,
    Entry,
    estimate_all,
    estimate_tokens,
    shorten,
    shortened,
    summary_text,
)
from ml_intern.session.log import EventLog
from ml_intern.session.model_call import ModelCaller
from ml_intern.session.model_port import ModelPort, compact_at_tokens

KEEP_SHARE = 0.25
"""Share of the threshold that the newest groups may keep word for word."""
GIANT_SHARE = 0.1
"""A kept message larger than this share of the threshold is cut to head and tail."""
SUMMARY_SHARE = 0.1
MAX_SUMMARY_TOKENS = 4_000
MIN_SUMMARY_CHARS = 40
INSTRUCTION = (
    "[SYSTEM: The context is nearly full.] Do not call a tool. Write a summary of all the work so far, for yourself to go on from "
    "with nothing else to read: what the user asked for, in their words, and every constraint they gave; what was done and found, "
    "with figures, file paths, ids and commands; decisions and why; problems and how they were solved; what is not done yet and "
    "the very next step."
)


class Cut(Struct, frozen=True):
    """Where history is cut: ``old`` is summarised, ``kept`` stays, some of it shortened."""

    old: tuple[Message, ...]
    kept: tuple[Entry, ...]
    keep_from_seq: int
    giants: frozenset[int]


def find_cut(entries: Sequence[Entry], threshold: int, keep_share: float = KEEP_SHARE) -> Cut | None:
    """Keep the newest whole groups within their share, at least one. None when there is nothing to gain."""
    starts = [i for i, entry in enumerate(entries) if not isinstance(entry.message, ToolMessage)]
    if not starts:
        return None
    giant = max(1, int(threshold * GIANT_SHARE))
    split, room = starts[-1], int(threshold * keep_share)
    room -= _size(entries[split:], giant)
    for start in reversed(starts[1:-1]):
        room -= _size(entries[start:split], giant)
        if room < 0:
            break
        split = start
    old = tuple(entry.message for entry in entries[:split])
    kept = tuple(entries[split:])
    measured = (entries[0], *kept) if old else kept
    giants = frozenset(e.seq for e in measured if estimate_tokens(e.message) > giant and shortened(e.message) is not e.message)
    if len(old) <= 1 and not giants:
        return None
    return Cut(old, kept, kept[0].seq, giants)


def _size(entries: Sequence[Entry], giant: int) -> int:
    """Tokens of the entries once the giants among them are cut."""
    cap = SHORTENED_CHARS // 4 + 50
    sizes = [estimate_tokens(entry.message) for entry in entries]
    return sum(min(size, cap) if size > giant else size for size in sizes)


class Compactor:
    """Compacts one session."""

    def __init__(self, log: EventLog, caller: ModelCaller) -> None:
        self._log = log
        self._caller = caller

    async def compact(self, model: ModelPort, request: ModelRequest) -> bool:
        """Make room and store ``compacted``. ``request`` is the one that would be sent. False when nothing could be gained."""
        threshold = compact_at_tokens(model)
        state = self._log.state
        before = state.context_tokens
        for keep_share in (KEEP_SHARE, 0.0):
            cut = find_cut(state.history.kept_entries(), threshold, keep_share)
            if cut is None:
                continue
            earlier = state.history.compactions[-1].summary if state.history.compactions else ""
            summary = await self._summarise(model, request, cut, earlier) if len(cut.old) > 1 else earlier
            after = self._size_after(cut, summary, request)
            await self._log.append(
                Compacted(
                    old_tokens=before,
                    new_tokens=after,
                    summary=summary,
                    keep_from_seq=cut.keep_from_seq,
                    shortened=tuple(sorted(cut.giants)),
                )
            )
            if after <= threshold:
                return True
        return False

    def _size_after(self, cut: Cut, summary: str, request: ModelRequest) -> int:
        first = [cut.old[0]] if cut.old else []
        kept = [shortened(e.message) if e.seq in cut.giants else e.message for e in cut.kept]
        return estimate_all([*map(shortened, first), *kept]) + len(summary_text(summary)) // 4 + fixed_tokens(request)

    async def _summarise(self, model: ModelPort, request: ModelRequest, cut: Cut, earlier: str) -> str:
        """By the model, on smaller and smaller input; by rule when that fails too. ``earlier`` is the summary so far."""
        threshold = compact_at_tokens(model)
        limit = min(MAX_SUMMARY_TOKENS, max(200, int(threshold * SUMMARY_SHARE)))
        attempts: list[Sequence[Message]] = []
        if estimate_all(request.messages) + fixed_tokens(request) + limit < threshold * 1.1:
            attempts.append([*request.messages, UserMessage(text=INSTRUCTION, internal=True)])
        before = f"{summary_text(earlier)}\n\n" if earlier else ""
        for share in (0.5, 0.2):
            text = f"{before}{transcript(cut.old, int(threshold * share) * 4)}\n\n{INSTRUCTION}"
            attempts.append([UserMessage(text=text, internal=True)])
        for messages in attempts:
            if summary := await self._try(model, request, messages, limit):
                return summary
        return shorten(f"{earlier}\n\n{digest(cut.old, limit * 4)}".strip(), limit * 8)

    async def _try(self, model: ModelPort, request: ModelRequest, messages: Sequence[Message], limit: int) -> str:
        """A usable summary, or nothing: an empty, cut or tool-calling reply is none, and neither is an error."""
        aside = ModelRequest(
            system=request.system,
            tools=request.tools,
            messages=messages,
            session_id=request.session_id,
            effort=request.effort,
            max_output_tokens=None if request.effort else limit * 2,
            stream=request.stream,
        )
        try:
            reply = await self._caller.ask_aside(model, aside, kind="compaction")
        except (ModelAuthError, BillingError):
            raise  # the next step would fail as well: better to say so than to go on with less
        except ModelError:
            return ""
        text = reply.message.text.strip()
        usable = reply.finish_reason != "length" and not reply.message.tool_calls and len(text) >= MIN_SUMMARY_CHARS
        return shorten(text, limit * 8) if usable else ""


def fixed_tokens(request: ModelRequest) -> int:
    """About what the system prompt and the tools take."""
    return (len(request.system) + sum(len(t.description) + len(str(t.parameters)) for t in request.tools)) // 4


def transcript(messages: Sequence[Message], max_chars: int) -> str:
    """The messages as text, each cut so that all of them fit."""
    each = max(200, max_chars // max(1, len(messages)))
    return shorten("\n\n".join(shorten(_as_text(message), each) for message in messages), max_chars)


def digest(messages: Sequence[Message], max_chars: int) -> str:
    """A summary without a model: what the user said, what was called and how it went, one line each."""
    lines = ["(The model could not summarise; this is a list made by rule.)"]
    for message in messages:
        match message:
            case UserMessage():
                lines.append(f"User: {shorten(message.text, 400)}")
            case AssistantMessage():
                lines += [f"Assistant: {shorten(message.text, 300)}"] if message.text else []
                lines += [f"Called {call.name} {shorten(call.arguments, 160)}" for call in message.tool_calls]
            case ToolMessage():
                first_line = message.text.strip().split("\n", 1)[0]
                lines.append(f"  {'ok' if message.success else 'failed'}: {first_line[:160]}")
    return shorten("\n".join(lines), max_chars)


def _as_text(message: Message) -> str:
    match message:
        case UserMessage():
            return f"[user]\n{message.text}"
        case AssistantMessage():
            calls = "\n".join(f"[calls {call.name}] {call.arguments}" for call in message.tool_calls)
            return f"[assistant]\n{message.text}\n{calls}".strip()
        case ToolMessage():
            return f"[{message.name} answered{'' if message.success else ', failed'}]\n{message.text}"
