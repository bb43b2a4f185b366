"""History keeps its law whatever comes: every answer behind its call, nothing lost, undo brings back what was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_intern.protocol.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from ml_intern.session.compaction import find_cut
from ml_intern.session.history import SHORTENED_CHARS, Compaction, History, shorten


def is_whole(messages: list[Message]) -> bool:
    """Answers follow their calls at once, in their order, every call but those of the last reply has one."""
    expected: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            if not expected or message.tool_call_id != expected.pop(0):
                return False
        elif expected:
            return False
        elif isinstance(message, AssistantMessage):
            expected = [call.id for call in message.tool_calls]
    return True


Step = tuple[str, int]
steps = st.lists(
    st.tuples(st.sampled_from(["user", "guard", "calls", "answer_first", "answer_last", "text", "compact", "undo"]), st.integers(0, 4)),
    max_size=40,
)


def play(history: History, script: list[Step], seqs: Iterator[int]) -> None:
    for kind, n in script:
        seq = next(seqs)
        match kind:
            case "user":
                history.add_user(seq, UserMessage(text=f"user {seq}"))
            case "guard":
                history.add_user(seq, UserMessage(text=f"guard {seq}", internal=True))
            case "calls":
                history.add_assistant(seq, AssistantMessage(tool_calls=tuple(ToolCall(f"c{seq}.{i}", "t", "{}") for i in range(n))))
            case "text":
                history.add_assistant(seq, AssistantMessage(text="said"))
            case "answer_first" | "answer_last" if history.open_calls:
                call = history.open_calls[0 if kind == "answer_first" else -1]
                history.answer(seq, ToolMessage(tool_call_id=call.id, name="t", text="x" * n * 1000))
            case "compact" if not history.open_calls and (cut := find_cut(history.kept_entries(), 2_000)):
                history.compact(Compaction(seq, "summary", cut.keep_from_seq, cut.giants))
            case "undo" if seqs_of_user := history.user_seqs():
                history.cut(seqs_of_user[-1])
            case _:
                pass


@given(steps)
def test_messages_are_whole_after_every_step(script: list[Step]) -> None:
    history, seqs = History(), iter(range(1, 1000))
    history.add_user(next(seqs), UserMessage(text="first"))
    for step in script:
        play(history, [step], seqs)
        assert is_whole(history.messages)
        assert is_whole([entry.message for entry in history.entries])


@given(steps, steps)
def test_undoing_a_turn_brings_back_what_was_before_it(before: list[Step], turn: list[Step]) -> None:
    history, seqs = History(), iter(range(1, 1000))
    play(history, before, seqs)
    for call in history.open_calls:
        history.answer(next(seqs), ToolMessage(tool_call_id=call.id, name="t", text=""))
    then = list(history.messages)
    start = next(seqs)
    history.add_user(start, UserMessage(text="a turn"))
    play(history, [step for step in turn if step[0] not in ("user", "undo")], seqs)
    history.cut(start)
    assert history.messages == then


@given(steps)
def test_between_changes_of_mind_the_list_only_grows_and_keeps_its_objects(script: list[Step]) -> None:
    history, seqs = History(), iter(range(1, 1000))
    for step in script:
        before = list(history.messages)
        play(history, [step], seqs)
        if step[0] not in ("compact", "undo"):
            assert all(a is b for a, b in zip(before, history.messages, strict=False)) and len(history.messages) >= len(before)


def test_an_answer_to_nothing_and_a_second_answer_are_ignored() -> None:
    history = History()
    history.add_assistant(1, AssistantMessage(tool_calls=(ToolCall("a", "t", "{}"), ToolCall("b", "t", "{}"))))
    history.answer(2, ToolMessage(tool_call_id="zzz", name="t", text="?"))
    history.answer(3, ToolMessage(tool_call_id="a", name="t", text="one"))
    history.answer(4, ToolMessage(tool_call_id="a", name="t", text="two"))
    history.answer(5, ToolMessage(tool_call_id="b", name="t", text="three"))
    assert [m.text for m in history.messages if isinstance(m, ToolMessage)] == ["one", "three"]


@given(st.text(max_size=3 * SHORTENED_CHARS), st.integers(10, SHORTENED_CHARS))
def test_a_shortened_text_keeps_its_ends_and_its_bound(text: str, limit: int) -> None:
    short = shorten(text, limit)
    if len(text) <= limit:
        assert short is text
    else:
        assert short.startswith(text[: limit // 2]) and short.endswith(text[-(limit // 2) :])
        assert len(short) <= limit + 100


@pytest.mark.parametrize("rounds", [1, 2, 30])
def test_a_cut_never_parts_a_call_from_its_answer(rounds: int) -> None:
    history, seqs = History(), iter(range(1, 1000))
    history.add_user(next(seqs), UserMessage(text="go"))
    for _ in range(rounds):
        play(history, [("calls", 2), ("answer_last", 4), ("answer_first", 4)], seqs)
    cut = find_cut(history.kept_entries(), 4_000)
    if rounds > 2:
        assert cut is not None and isinstance(cut.kept[0].message, AssistantMessage)
        assert is_whole([entry.message for entry in cut.kept])
