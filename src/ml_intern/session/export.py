"""A log for other programs (JSONL) and for people (Markdown)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import assert_never

import msgspec

from ml_intern.protocol import display as d
from ml_intern.protocol import events as e
from ml_intern.protocol.amounts import counted, usd
from ml_intern.protocol.codec import Envelope, decode_data, encode
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.taken_back import TurnsSaid
from ml_intern.stores.base import EventStore, SessionRecord, StoredEvent

_BACKTICKS = re.compile(r"`{3,}")


async def read_log(store: EventStore, session_id: str, *, after_seq: int = 0) -> list[Envelope]:
    """The stored events behind ``after_seq``. Raises ``StoreError``, or ``ProtocolError`` for what this version cannot read."""
    return [opened(session_id, row) for row in await store.load(session_id, after_seq=after_seq)]


def opened(session_id: str, row: StoredEvent) -> Envelope:
    """A stored row as an envelope."""
    return Envelope(session=session_id, seq=row.seq, at=row.at, event=decode_data(row.type, row.data, row.version))


def to_jsonl(envelopes: Iterable[Envelope]) -> Iterator[str]:
    """One envelope a line, as in ``docs/protocol.md``; nothing is left out, what was undone neither."""
    for envelope in envelopes:
        yield encode(envelope).decode() + "\n"


def to_markdown(record: SessionRecord, envelopes: Iterable[Envelope]) -> Iterator[str]:
    """The conversation: what users, models and tools said. Bookkeeping is left out."""
    yield _head(record)
    calls: dict[str, e.ToolCalled] = {}
    turns = TurnsSaid()
    for envelope in envelopes:
        event = envelope.event
        turns.read(envelope)
        if isinstance(event, e.ToolCalled):
            calls[event.tool_call_id] = event
        elif isinstance(event, e.ToolFinished):
            yield _call(calls.pop(event.tool_call_id, None), event)
        elif isinstance(event, e.UndoComplete):
            if event.cut_seq:
                yield f"\n> ↶ {turns.cut(event.cut_seq)}\n"
        elif section := _section(event):
            yield f"\n{section}\n"
    for call in calls.values():
        yield _call(call, None)


def _cost(record: SessionRecord) -> str:
    known = usd(record.cost_usd)
    if not record.unpriced_calls:
        return known
    return f"{known} and {counted(record.unpriced_calls, 'call')} of unknown price" if record.cost_usd else "unknown"


def _head(record: SessionRecord) -> str:
    title = _line(record.title or record.preview or f"Session {short_id(record.id)}")
    rows = [
        f"# {title}",
        "",
        f"- Session: `{record.id}`",
        f"- Begun: {record.created_at:%Y-%m-%d %H:%M} UTC",
        f"- Folder: `{_line(record.cwd)}`",
        f"- Model: `{_line(record.model)}`",
        f"- Cost: {_cost(record)}",
    ]
    if record.parent_id:
        rows.append(f"- Forked from: `{record.parent_id}`")
    return "\n".join(rows) + "\n"


def _section(event: e.AnyEvent) -> str:
    """A turn of the conversation, or empty."""
    match event:
        case e.UserMessageAdded():
            pictures = f"\n\n*({counted(len(event.images), 'picture')})*" if event.images else ""
            return f"## User\n\n{event.content.strip()}{pictures}"
        case e.AssistantMessageAdded():
            return f"## Assistant\n\n{event.content.strip()}" if event.content.strip() else ""
        case e.PlanUpdate():
            return _plan(event.plan)
        case _:
            remark = _remark(event)
            return f"> {_line(remark)}" if remark else ""


def _remark(event: e.AnyEvent) -> str:
    match event:
        case e.ModelSwitched():
            return f"Model: {event.previous} → {event.model}"
        case e.GuardTriggered():
            return f"{event.guard}: {event.message}"
        case e.Compacted():
            return f"Older history was summarised for the model: {event.summary}" if event.summary else ""
        case e.Interrupted():
            return "Interrupted"
        case e.ErrorRaised():
            return f"Error: {event.error} {event.hint}"
        case e.SessionTerminated():
            return f"Ended: {event.user_message or event.error}"
        case e.TurnComplete():
            return "" if event.reason == "done" else f"Stopped: {event.reason} {event.detail}"
        case e.QuestionAsked():
            return f"Question: {event.question}"
        case e.QuestionAnswered():
            return f"Answer: {event.answer}" if event.answer is not None else f"The question was {event.outcome_words}"
        case _:
            return ""


def _plan(items: Iterable[d.PlanItem]) -> str:
    marks = {"completed": "x", "in_progress": "-", "pending": " "}
    return "\n".join(["### Plan", "", *(f"- [{marks.get(item.status, ' ')}] {_line(item.content)}" for item in items)])


def _call(call: e.ToolCalled | None, answer: e.ToolFinished | None) -> str:
    tool = call.tool if call else answer.tool if answer else ""
    outcome = "no answer" if answer is None else "ok" if answer.success else "failed"
    parts = [f"### {_line(tool)}: {outcome}"]
    if call is not None and call.arguments:
        parts += [_argument(name, value) for name, value in call.arguments.items()]
    if answer is not None:
        parts += [_shown(item) for item in answer.display]
        if answer.output.strip():
            parts.append(_fenced(answer.output))
    return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _argument(name: str, value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"{name}:\n\n{_fenced(text)}" if "\n" in text else f"{name}: {_code(text)}"


def _shown(item: d.Display) -> str:
    match item:
        case d.Diff():
            return _fenced(item.unified, "diff")
        case d.Table():
            return _table(item)
        case d.Link():
            return f"[{_line(item.title)}](<{_line(item.url)}>)"
        case d.Picture():
            return f"![{_line(item.path)}](<{_line(item.path)}>)"
        case d.Job():
            return f"Job {_code(item.id)}: {_line(item.status)}"
        case d.Text() | d.Plan():
            return ""  # said by the output, and by the plan's own event
        case _:
            assert_never(item)


def _table(table: d.Table) -> str:
    rows = [table.columns, tuple("---" for _ in table.columns), *table.rows]
    return "\n".join("| " + " | ".join(_line(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)


def _fenced(text: str, language: str = "") -> str:
    """A code block whose fence is longer than every one inside."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _code(text: str) -> str:
    return f"``{text}``" if "`" in text else f"`{text}`"


def _line(text: str) -> str:
    return " ".join(text.split())
