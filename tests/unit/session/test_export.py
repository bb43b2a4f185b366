"""A log for programs and for people."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ml_intern.errors import SessionBusy
from ml_intern.protocol import display as d
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope, decode, encode_data
from ml_intern.protocol.messages import Image, ToolCall
from ml_intern.session.export import opened, read_log, to_jsonl, to_markdown
from ml_intern.session.retitle import retitle
from ml_intern.session.state import SessionState
from ml_intern.stores.base import SessionRecord, StoredEvent
from ml_intern.stores.memory import MemoryStore

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
RECORD = SessionRecord(id="abcdef123", created_at=NOW, updated_at=NOW, cwd="/w", model="m", title="Digits", cost_usd=0.5)


def log(*events: e.AnyEvent) -> list[Envelope]:
    return [Envelope(session="abcdef123", seq=seq, at=NOW, event=event) for seq, event in enumerate(events, 1)]


def answer(call_id: str, output: str, *, success: bool = True, display: tuple[d.Display, ...] = ()) -> e.ToolFinished:
    return e.ToolFinished(tool="bash", tool_call_id=call_id, output=output, success=success, display=display)


def markdown(*events: e.AnyEvent) -> str:
    return "".join(to_markdown(RECORD, log(*events)))


def test_jsonl_is_one_envelope_a_line_and_reads_back_as_it_was() -> None:
    envelopes = log(
        e.UserMessageAdded(content="line one\nline two\u2028three"),
        e.AssistantMessageAdded(content="", tool_calls=(ToolCall(id="c", name="bash", arguments='{"command": "ls"}'),)),
        e.UndoComplete(cut_seq=1),
    )
    lines = list(to_jsonl(envelopes))
    assert all(line.count("\n") == 1 and line.endswith("\n") for line in lines)
    assert [decode(line) for line in lines] == envelopes


def test_markdown_tells_the_conversation_in_order() -> None:
    text = markdown(
        e.UserMessageAdded(content="Compare them.", images=(Image(media_type="image/png", data="AA"),)),
        e.AssistantMessageAdded(content="I look first."),
        e.ToolCalled(tool="bash", arguments={"command": "ls", "timeout_s": 5}, tool_call_id="c"),
        answer("c", "a.csv\n"),
        e.PlanUpdate(plan=(d.PlanItem(id="1", content="look", status="completed"), d.PlanItem(id="2", content="train", status="pending"))),
        e.AssistantMessageAdded(content="Done."),
        e.TurnComplete(history_size=3, final_response="Done."),
    )
    wanted = ["# Digits", "`abcdef123`", "$0.50", "## User", "Compare them.", "(1 picture)", "## Assistant", "I look first."]
    wanted += ["### bash: ok", "command: `ls`", "timeout_s: `5`", "a.csv", "- [x] look", "- [ ] train", "Done."]
    places = [text.index(part) for part in wanted]
    assert places == sorted(places)
    assert "turn_complete" not in text


def test_a_fence_inside_an_output_does_not_end_the_block() -> None:
    text = markdown(answer("c", "```python\nprint()\n```\n````\n"))
    assert "`````\n```python" in text


def test_failures_unanswered_calls_and_what_was_undone_are_told() -> None:
    text = markdown(
        e.ToolCalled(tool="bash", arguments={"command": "false"}, tool_call_id="c1"),
        answer("c1", "exit code 1", success=False),
        e.Interrupted(),
        e.UndoComplete(cut_seq=3),
        e.TurnComplete(history_size=1, final_response=None, reason="spend_cap", detail="$5"),
        e.ErrorRaised(error="no credits", hint="Top up."),
        e.ToolCalled(tool="bash", arguments={"command": "sleep 9"}, tool_call_id="c2"),
    )
    for part in (
        "### bash: failed",
        "> Interrupted",
        "> ↶ what was said last was taken back",
        "Stopped: spend_cap $5",
        "no credits Top up.",
        "no answer",
    ):
        assert part in text


def test_a_turn_that_was_taken_back_is_named_by_its_words_and_not_by_a_number() -> None:
    text = markdown(
        e.UserMessageAdded(content="Try A."),
        e.UserMessageAdded(content="Try B,\nthen wait."),
        e.UserMessageAdded(content="faster", steering=True),
        e.UndoComplete(cut_seq=2),
        e.UndoComplete(cut_seq=1),
    )
    assert "> ↶ the turn “Try B, then wait.” was taken back\n" in text
    assert "> ↶ the turn “Try A.” was taken back\n" in text
    assert "event" not in text


def test_diffs_tables_and_links_are_drawn() -> None:
    text = markdown(
        answer(
            "c",
            "",
            display=(
                d.Diff(path="a.py", unified="-old\n+new", added=1, removed=1),
                d.Table(title="t", columns=("model", "a|b"), rows=(("svm", "0.98"),)),
                d.Link(title="repo", url="https://example.com"),
                d.Picture(path="plot.png", media_type="image/png"),
                d.Job(id="j1", status="running", command="x"),
            ),
        )
    )
    for part in (
        "```diff\n-old\n+new\n```",
        "| model | a\\|b |\n| --- | --- |\n| svm | 0.98 |",
        "[repo](<https://example.com>)",
        "plot.png",
        "`j1`",
    ):
        assert part in text


async def a_store(*events: e.AnyEvent) -> MemoryStore:
    store = MemoryStore()
    await store.create(RECORD)
    await store.acquire(RECORD.id)
    rows = [StoredEvent(seq, NOW, event.wire, encode_data(event)) for seq, event in enumerate(events, 1)]
    await store.append(RECORD.id, rows)
    return store


async def test_a_log_is_read_from_the_store_whole_or_from_a_place_on() -> None:
    events = (e.UserMessageAdded(content="a"), e.AssistantMessageAdded(content="b"))
    store = await a_store(*events)
    assert await read_log(store, RECORD.id) == log(*events)
    assert await read_log(store, RECORD.id, after_seq=1) == log(*events)[1:]


async def test_a_new_title_is_an_event_that_a_resumed_session_finds() -> None:
    secret = "hf_" + "a1B2" * 9
    store = await a_store(e.SessionUpdate(session_id="s", auto_approval={"enabled": False, "cost_cap_usd": 5.0}))
    with pytest.raises(SessionBusy):
        await retitle(store.beside(), RECORD.id, "new")
    await store.release(RECORD.id)
    await retitle(store, RECORD.id, f"Digits, again {secret}")
    assert (await store.record(RECORD.id)).title == "Digits, again [REDACTED_HF_TOKEN]"
    assert (await store.record(RECORD.id)).owner == ""
    state = SessionState()
    for row in await store.load(RECORD.id):
        state.apply(row.seq, opened(RECORD.id, row).event)
    assert state.title == "Digits, again [REDACTED_HF_TOKEN]"
    assert state.spending.cap_usd == 5.0, "a title changes nothing else"
