"""Pipes and JSON lines: what a script reads."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from ml_intern.frontends.headless.options import HeadlessOptions
from ml_intern.frontends.headless.output import PENDING_LIMIT_BYTES, Console, OutputThread
from ml_intern.frontends.headless.run import run_headless
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import decode
from ml_intern.protocol.display import Diff, Job, Link, PlanItem, Table, Text
from tests.unit.frontends.fake_host import FakeHost, done, loaded_with, plays, reply, started
from tests.unit.frontends.headless_run import Reader, headless

CALL = e.ToolCalled(tool="bash", arguments={"command": "pytest -q"}, tool_call_id="c1")


def answer(output: str = "ok", *, success: bool = True, **changes: Any) -> e.ToolFinished:
    return e.ToolFinished(tool="bash", tool_call_id="c1", output=output, success=success, duration_s=1.25, **changes)


def spent(cost_usd: float | None, kind: str = "main") -> e.LlmCall:
    return e.LlmCall(
        model="fake/model",
        latency_ms=10,
        finish_reason="stop",
        cost_usd=cost_usd,
        kind=kind,
        prompt_tokens=12_000,
        completion_tokens=412,
        total_tokens=12_412,
        cache_read_tokens=0,
        cache_creation_tokens=0,
    )


# ── pipes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_standard_output_carries_the_final_answer_and_nothing_else() -> None:
    result = await headless(plays(reply("I look first.", "c1"), CALL, answer(), reply("It is **42**."), done("It is **42**.")))
    assert result.out == "It is **42**.\n"
    assert result.err.count("It is **42**.") == 0
    assert "I look first.\n▸ bash  pytest -q\n✓ bash  pytest -q  1.2 s\n" in result.err


CHANGED = e.ToolStateChange(tool_call_id="c1", tool="bash", state="changed", note="changed by a hook", arguments={"command": "touch other"})


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_call_that_a_hook_changed_is_shown_as_what_ran(terminal: bool) -> None:
    result = await headless(plays(CALL, CHANGED, answer(), done("It is done.")), terminal=terminal)
    shown = result.shown if terminal else result.err
    assert "▸ bash  touch other  changed by a hook\n" in shown and "✓ bash  touch other  1.2 s\n" in shown
    assert "✓ bash  pytest -q" not in shown


async def test_a_reply_that_a_guard_sent_back_is_not_the_answer() -> None:
    guard = e.GuardTriggered(guard="unfinished_plan", message="Two items are open.")
    result = await headless(plays(reply("I am done."), guard, reply("Now I am."), done("Now I am.")))
    assert result.out == "Now I am.\n"
    assert result.err.index("I am done.") < result.err.index("its plan unfinished")


async def test_a_turn_without_an_answer_leaves_standard_output_empty() -> None:
    result = await headless(plays(reply("Half of it"), done(None, "iteration_limit")))
    assert result.out == ""
    assert "Half of it" in result.err


async def test_a_failed_call_shows_the_end_of_its_output() -> None:
    output = "\n".join(f"line {n}" for n in range(30)) + "\nexit code 1"
    result = await headless(plays(CALL, answer(output, success=False, error_kind="timeout"), done("x")))
    assert "✗ bash  pytest -q  1.2 s · timeout\n  │ … 23 more lines\n  │ line 23\n" in result.err
    assert "  │ exit code 1\n" in result.err
    assert "line 22" not in result.err


async def test_output_of_a_running_command_is_not_repeated_line_by_line() -> None:
    log = e.ToolLog(tool="bash", log="epoch 1\n", tool_call_id="c1")
    assert "epoch 1" not in (await headless(plays(CALL, log, answer(), done("x")))).err
    assert "epoch 1" in (await headless(plays(CALL, log, answer(), done("x")), verbose=True)).err


async def test_a_stored_note_is_told() -> None:
    assert "system: truncated" in (await headless(plays(e.ToolLog(tool="system", log="truncated"), done("x")))).err


async def test_a_plan_is_told_in_full_once_and_then_where_it_changes() -> None:
    first = (PlanItem("1", "look", "in_progress"), PlanItem("2", "train", "pending"))
    second = (PlanItem("1", "look", "completed"), PlanItem("2", "train", "pending"))
    result = await headless(plays(*(e.PlanUpdate(plan=plan) for plan in (first, first, second)), done("x")))
    assert result.err.count("○ train") == 1
    assert "plan  0/2 done\n  ▸ look\n  ○ train\nplan  1/2 done\n  ✓ look\n" in result.err


async def test_what_a_tool_shows_is_shown_and_shortened() -> None:
    unified = "--- a/x.py\n+++ b/x.py\n@@ -1 +1,40 @@\n-old\n" + "\n".join(f"+new {n}" for n in range(40))
    shown = (
        Diff("x.py", unified, 40, 1),
        Table("Scores", ("model", "accuracy"), (("svm", "0.99"), ("dummy", "0.10"))),
        Link("dashboard", "https://example.org/run"),
        Job("job-1", "running", "python train.py", "https://example.org/job-1"),
        Text("a note"),
    )
    err = (await headless(plays(CALL, answer(display=shown), done("x")))).err
    assert "  x.py  +40 −1\n  @@ -1 +1,40 @@\n  -old\n  +new 0\n" in err
    assert "more lines" in err
    assert "+new 39" not in err
    assert "  model  accuracy\n  svm    0.99\n  dummy  0.10\n" in err
    assert "dashboard  https://example.org/run" in err
    assert "job-1  running  python train.py" in err
    assert "  a note\n" in err


async def test_a_retry_is_told() -> None:
    retry = e.Retrying(attempt=2, delay_s=15, reason="429: too many requests")
    assert "! 429: too many requests · trying again in 15 s (attempt 2)" in (await headless(plays(retry, done("x")))).err


@pytest.mark.parametrize(
    ("costs", "told"),
    [((0.01, 0.0023), "$0.0123"), ((None,), "unknown price"), ((0.01, None), "$0.0100 + unknown price"), ((0.0,), "$0.00")],
)
async def test_an_unknown_price_is_said_and_is_not_nothing(costs: tuple[float | None, ...], told: str) -> None:
    err = (await headless(plays(*map(spent, costs), done("x")))).err
    assert f"context 12.4k · {told}\n" in err


async def test_control_sequences_of_models_and_tools_reach_nobody() -> None:
    evil = "\x1b]0;owned\x07\x1b[2Jtext\x9b31m\u202etxet\r\n"
    events = (reply(evil, "c1"), CALL, answer(evil, success=False), e.GuardTriggered(guard=evil, message=evil), reply(evil), done(evil))
    result = await headless(plays(*events))
    for stream in (result.out, result.err):
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(stream)
    assert result.out == "texttxet\n"


async def test_markup_of_rich_means_nothing() -> None:
    result = await headless(plays(answer("[/INST] [red]x[/red]", success=False), reply("[/INST]"), done("[/INST]")))
    assert "[/INST] [red]x[/red]" in result.err
    assert result.out == "[/INST]\n"


async def test_a_call_is_one_line_whatever_its_arguments_hold() -> None:
    calls = (
        e.ToolCalled(tool="bash", arguments={"command": "cat <<E\nx\nE"}, tool_call_id="1"),
        e.ToolCalled(tool="plan_tool", arguments={"todos": [1, 2, 3]}, tool_call_id="2"),
        e.ToolCalled(tool="odd", arguments={"a": 1, "b": {"c": "\n"}}, tool_call_id="3"),
        e.ToolCalled(tool="bare", arguments={}, tool_call_id="4"),
    )
    err = (await headless(plays(*calls, done("x")))).err
    assert '▸ bash  cat <<E … (+2 lines)\n▸ plan_tool  3 todos\n▸ odd  {"a":1,"b":{"c":"\\n"}}\n▸ bare\n' in err


@pytest.mark.parametrize("term", ["dumb", ""])
async def test_a_dumb_terminal_gets_plain_lines(term: str) -> None:
    result = await headless(plays(reply("**42**"), done("**42**")), terminal=True, environ={"TERM": term})
    assert result.out.replace("\r\n", "\n") == "**42**\n"
    assert "\x1b" not in result.out + result.err


async def test_text_that_the_encoding_lacks_does_not_end_the_run() -> None:
    reading, writing = os.pipe()
    reader = Reader(reading)
    out = OutputThread(Console(stdout=writing, stderr=writing, stdout_is_terminal=False, encoding="ascii"), lambda _fd, _error: None)
    out.stdout("▸ a lone surrogate: \ud800\n")
    await out.flush()
    out.close()
    os.close(writing)
    assert reader.text() == "? a lone surrogate: ?\n"


@pytest.mark.parametrize(
    ("guard", "message", "told"),
    [
        ("doom_loop", "[SYSTEM: REPETITION GUARD] You are repeating bash.", "· the model repeats itself; told to take another way\n"),
        ("new_guard", "[SYSTEM: Look here.] Do [x]. Then y.", "· new_guard: Look here.\n"),
        ("new_guard", "Only this", "· new_guard: Only this\n"),
    ],
)
async def test_a_guard_is_told_in_a_sentence_for_people(guard: str, message: str, told: str) -> None:
    events = (e.GuardTriggered(guard=guard, message=message), done("x"))
    assert told in (await headless(plays(*events))).err
    assert message in (await headless(plays(*events), verbose=True)).err


# ── JSON lines ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_json_mode_prints_every_event_as_one_line_and_nothing_else() -> None:
    events = (e.AssistantChunk(content="4\n2"), e.AssistantStreamEnd(), reply("4\n2"), spent(0.1), done("4\n2"))
    result = await headless(plays(*events), json=True)
    lines = [decode(line) for line in result.out.splitlines()]
    assert [line.event for line in lines] == [*started(), *events]
    assert [line.seq for line in lines] == [1, 2, None, None, 3, 4, 5]
    assert result.err == ""


async def test_json_mode_says_on_standard_error_what_no_event_says() -> None:
    async def play(host: FakeHost, operation: op.AnyOperation) -> None:
        host.end_stream()

    result = await headless(play, json=True)
    assert (result.code, result.out) == (1, "")
    assert "stopped without ending its turn" in result.err


# ── readers that stop ────────────────────────────────────────────────────────────────────────────────────────────────


async def _into_a_closed_pipe(host: FakeHost, *, json: bool) -> int:
    async def open_host(**_given: Any) -> FakeHost:
        return host

    reading, writing = os.pipe()
    os.close(reading)
    console = Console(stdout=writing, stderr=os.open(os.devnull, os.O_WRONLY), stdout_is_terminal=False)
    try:
        return await run_headless(open_host, loaded_with(), HeadlessOptions(prompt="x", json=json), console)
    finally:
        os.close(writing)
        os.close(console.stderr)


async def test_a_closed_pipe_stops_the_turn() -> None:
    host = FakeHost(plays(reply("42")))
    assert await _into_a_closed_pipe(host, json=True) == 141
    assert op.Interrupt() in host.operations
    assert host.closed


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("json", [True, False])
async def test_a_full_disk_is_a_failure_and_is_said(json: bool) -> None:
    async def open_host(**_given: Any) -> FakeHost:
        return FakeHost(plays(reply("42"), done("42")))

    reading, writing = os.pipe()
    reader, full = Reader(reading), os.open("/dev/full", os.O_WRONLY)
    console = Console(stdout=full, stderr=writing, stdout_is_terminal=False)
    code = await run_headless(open_host, loaded_with(), HeadlessOptions(prompt="x", json=json), console)
    os.close(writing)
    os.close(full)
    assert code == 1
    assert "failed: standard output cannot be written: No space left on device" in reader.text()


async def test_an_answer_that_nobody_read_was_not_given() -> None:
    assert await _into_a_closed_pipe(FakeHost(plays(reply("42"), done("42"))), json=False) == 141


async def test_a_reader_that_pauses_stops_neither_the_loop_nor_memory() -> None:
    reading, writing = os.pipe()
    out = OutputThread(Console(stdout=writing, stderr=writing, stdout_is_terminal=False), lambda _fd, _error: None)
    out.stdout("x" * (PENDING_LIMIT_BYTES * 2))
    waiting = asyncio.create_task(out.room())
    done_, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done_, "there is no room while nobody reads"
    reader = Reader(reading)
    await waiting
    await out.flush()
    out.close()
    os.close(writing)
    assert len(reader.text()) == PENDING_LIMIT_BYTES * 2


async def test_what_is_written_keeps_its_order_over_both_streams() -> None:
    reading, writing = os.pipe()
    reader = Reader(reading)
    other = os.dup(writing)
    out = OutputThread(Console(stdout=writing, stderr=other, stdout_is_terminal=False), lambda _fd, _error: None)
    for number in range(200):
        (out.stdout if number % 3 else out.stderr)(f"{number}\n")
    await out.flush()
    out.close()
    os.close(writing)
    os.close(other)
    assert reader.text().split() == [str(number) for number in range(200)]
