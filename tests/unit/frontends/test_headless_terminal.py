"""On a terminal: what is on the screen at the end is what happened, once, whatever moved meanwhile."""

from __future__ import annotations

import re

import pytest

from ml_intern.protocol import events as e
from ml_intern.protocol.messages import Thinking
from tests.unit.frontends.fake_host import done, plays, reply
from tests.unit.frontends.headless_run import Screen, headless

TEXT = "# Result\n\nThe answer is **42**,\nas it was.\n\n- one\n- two\n"
CALL = e.ToolCalled(tool="bash", arguments={"command": "pytest -q"}, tool_call_id="c1")
ANSWER = e.ToolFinished(tool="bash", tool_call_id="c1", output="3 passed\nexit code 0", success=True, duration_s=1.25)


def streamed(text: str, size: int = 3) -> list[e.AnyEvent]:
    chunks: list[e.AnyEvent] = [e.AssistantChunk(content=text[i : i + size]) for i in range(0, len(text), size)]
    return [*chunks, e.AssistantStreamEnd()]


async def test_streamed_text_is_on_the_screen_once_and_drawn() -> None:
    result = await headless(plays(*streamed(TEXT), reply(TEXT), done(TEXT)), terminal=True)
    assert result.code == 0
    assert [row for row in result.screen if row] == ["Result", "The answer is 42, as it was.", " • one", " • two"]


@pytest.mark.parametrize("lost", [0, 5, 10, 1000])
async def test_text_whose_beginning_was_missed_is_shown_whole(lost: int) -> None:
    chunks = streamed(TEXT)[:-1][lost:]
    result = await headless(plays(*chunks, reply(TEXT), done(TEXT)), terminal=True)
    assert result.shown.rstrip().endswith("Result\n\nThe answer is 42, as it was.\n\n • one\n • two")


async def test_text_whose_end_was_missed_is_completed() -> None:
    result = await headless(plays(*streamed(TEXT)[:4], reply(TEXT), done(TEXT)), terminal=True)
    assert [row for row in result.screen if row] == ["Result", "The answer is 42, as it was.", " • one", " • two"]


async def test_a_secret_that_was_taken_out_of_the_stored_text_does_not_show_the_text_twice() -> None:
    said = "The key is sk-123456 and that is all there is to say about it, is it not.\n"
    stored = said.replace("sk-123456", "[REDACTED]")
    result = await headless(plays(*streamed(said), reply(stored), done(stored)), terminal=True)
    assert result.shown.count("that is all there is") == 1


async def test_a_reply_that_was_not_streamed_is_shown() -> None:
    result = await headless(plays(reply(TEXT), done(TEXT)), terminal=True)
    assert "The answer is 42, as it was." in result.shown


async def test_a_call_is_one_line_with_its_time_and_the_end_of_what_it_printed() -> None:
    log = e.ToolLog(tool="bash", log="...\n3 passed\n", tool_call_id="c1")
    result = await headless(plays(CALL, log, ANSWER, reply("ok"), done("ok")), terminal=True)
    assert "✓ bash  pytest -q  1.2 s\n  │ 3 passed\n  │ exit code 0\n\nok" in result.shown
    assert result.shown.count("pytest -q") == 1


async def test_a_quiet_call_shows_no_output() -> None:
    assert "exit code 0" not in (await headless(plays(CALL, ANSWER, done("ok")), terminal=True)).shown


async def test_parallel_calls_keep_their_own_lines() -> None:
    other = e.ToolCalled(tool="read", arguments={"path": "a.py"}, tool_call_id="c2")
    read = e.ToolFinished(tool="read", tool_call_id="c2", output="x", success=True, duration_s=0.004)
    shown = (await headless(plays(CALL, other, read, ANSWER, done("ok")), terminal=True)).shown
    assert "✓ read  a.py  4 ms\n✓ bash  pytest -q  1.2 s" in shown


async def test_text_that_comes_again_after_a_retry_is_announced() -> None:
    retry = e.Retrying(attempt=1, delay_s=5, reason="the stream broke", discard_text=True)
    events = (*streamed("It is 41.\n\nNo, wai")[:-1], retry, *streamed("It is 42.\n"), reply("It is 42.\n"), done("It is 42.\n"))
    shown = (await headless(plays(*events), terminal=True)).shown
    assert "the text above was cut off and will come again" in shown
    assert shown.count("It is 42.") == 1
    assert "No, wai" not in shown


async def test_thinking_is_shown_only_when_asked_for() -> None:
    message = e.AssistantMessageAdded(content="42", streamed=False, thinking=(Thinking(text="6 times 7"),))
    events = (e.ThinkingChunk(content="6 times 7"), message, done("42"))
    assert "6 times 7" not in (await headless(plays(*events), terminal=True)).shown
    assert "6 times 7" in (await headless(plays(*events), terminal=True, verbose=True)).shown


async def test_nothing_that_moves_stays_behind() -> None:
    for end in (done("42"), e.Interrupted(), e.ErrorRaised(error="The key was refused.")):
        result = await headless(plays(CALL, e.ToolLog(tool="bash", log="half\n", tool_call_id="c1"), end), terminal=True)
        assert not re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", result.shown)
        assert "half" not in result.shown


async def test_a_terminal_is_told_nothing_but_styles_and_the_erasing_of_our_own_lines() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x1b[1;1Hx\x9b5A\u202e\r\n[/INST] [red]"
    call = e.ToolCalled(tool="bash", arguments={"command": evil}, tool_call_id="c1")
    answer = e.ToolFinished(tool="bash", tool_call_id="c1", output=evil, success=False)
    log = e.ToolLog(tool="bash", log=evil, tool_call_id="c1")
    guard = e.GuardTriggered(guard=evil, message=evil)
    result = await headless(plays(*streamed(evil, 1), reply(evil), call, log, answer, guard, done(evil)), terminal=True)
    assert result.code == 0  # `Screen` has refused every other sequence
    assert result.shown.count("␛]0;owned␇") == result.shown.count("owned") == 1  # of what runs nothing is left out
    assert "[/INST] [red]" in result.shown


@pytest.mark.parametrize("columns", [80, 40, 12, 3])
async def test_a_narrow_terminal_is_not_written_over(columns: int) -> None:
    long = e.ToolCalled(tool="bash", arguments={"command": "python train.py --seeds 8 --日本語 " + "x" * 200}, tool_call_id="c1")
    events = (*streamed(TEXT), reply(TEXT), long, e.ToolLog(tool="bash", log="y" * 300, tool_call_id="c1"), ANSWER, done(TEXT))
    result = await headless(plays(*events), terminal=True, columns=columns, rows=6)
    assert result.code == 0
    assert not re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", result.shown)
    if columns >= 40:
        assert any(re.fullmatch(r"✓ bash  python train.*…  1.2 s", row) for row in result.screen)


async def test_no_colour_where_none_is_wanted() -> None:
    environ = {"TERM": "xterm-256color", "NO_COLOR": "1"}
    result = await headless(plays(*streamed(TEXT), reply(TEXT), CALL, ANSWER, done(TEXT)), terminal=True, environ=environ)
    assert not re.search(r"\x1b\[[0-9;]*(?:3|4|9)[0-9][;m]", result.out)
    assert re.search(r"\x1b\[1m", result.out)


async def test_the_status_line_tells_time_step_tokens_and_money() -> None:
    call = e.LlmCall(
        model="m", latency_ms=1, finish_reason="stop", cost_usd=0.0123, kind="main", prompt_tokens=12_000, completion_tokens=412,
        total_tokens=12_412, cache_read_tokens=0, cache_creation_tokens=0,
    )  # fmt: skip
    result = await headless(plays(call, CALL, ANSWER, done("x")), terminal=True)
    assert re.search(r"running.* · 0:00 · step 1 · context 12\.4k · \$0\.0123", result.out)


def test_the_screen_of_these_tests_refuses_what_we_must_not_send() -> None:
    with pytest.raises(AssertionError):
        Screen(80).feed("\x1b[2K")
    with pytest.raises(AssertionError):
        Screen(80).feed("\x07")
