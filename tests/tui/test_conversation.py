"""The conversation in the app: what events look like on the screen, and what keys do with it."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from ml_intern.config.settings import Settings
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.blocks.tool import ToolBlock
from ml_intern.frontends.tui.blocks.words import CodeBlock
from ml_intern.protocol import display as d
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import Thinking
from ml_intern.protocol.resource_events import HfJobComplete, HfJobSubmit
from ml_intern.protocol.subagent_events import SubagentProgress
from tests.tui.picker_world import over, submitted
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import done, reply, started


def finished(call_id: str, output: str = "", *, success: bool = True, **more: object) -> e.ToolFinished:
    return e.ToolFinished(tool="bash", tool_call_id=call_id, output=output, success=success, **more)  # type: ignore[arg-type]


def called(call_id: str, command: str = "ls") -> e.ToolCalled:
    return e.ToolCalled(tool="bash", arguments={"command": command}, tool_call_id=call_id)


def chunk(text: str) -> e.AssistantChunk:
    return e.AssistantChunk(content=text)


def shown(app: TuiApp) -> str:
    return "\n".join(screen_text(app))


def above_the_bar(app: TuiApp) -> list[str]:
    """The first rows, without the scroll bar."""
    return [row[:78].rstrip() for row in screen_text(app)[:10]]


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_enter_sends_what_was_written_and_the_answer_streams_in() -> None:
    host = scripted(chunk("Hello **wor"), chunk("ld**."), reply("Hello **world**."), done("…"))
    async with running(host) as (app, pilot):
        await pilot.press(*"hi", "enter")
        await settled(app, pilot, host)
        rows = screen_text(app)
    assert host.operations == [op.UserInput(text="hi")]
    assert "  ❯ hi" in rows
    assert "  Hello world." in rows


async def test_an_open_code_fence_is_drawn_as_code_before_it_is_closed() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), chunk("Look:\n\n```python\nx = 1\ny ="))
        await settled(app, pilot, host)
        assert "  │ x = 1\n  │ y =" in shown(app)
        host.emit(chunk(" 2\n```\n\nDone"))
        await settled(app, pilot, host)
        assert "  │ x = 1\n  │ y = 2\n\n  Done" in shown(app)
        (code,) = [block for block in app.conversation.blocks if isinstance(block, CodeBlock)]
        assert code.text == "x = 1\ny = 2"


async def test_a_finished_paragraph_stays_as_it_was_drawn_while_the_next_one_streams() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), chunk("First.\n\nSecond.\nIt"))
        await settled(app, pilot, host)
        first = app.conversation.blocks[1]
        host.emit(chunk(" goes on.\n\nThird"))
        await settled(app, pilot, host)
        assert app.conversation.blocks[1] is first
        assert "  First.\n\n  Second. It goes on.\n\n  Third" in shown(app)


async def test_a_reply_whose_stored_text_lost_a_secret_shows_the_stored_text() -> None:
    host = scripted(chunk("The key is hunter2, "), chunk("keep it."), reply("The key is [REDACTED], keep it."), done("…"))
    async with running(host) as (app, pilot):
        await pilot.press("x", "enter")
        await settled(app, pilot, host)
        assert "hunter2" not in shown(app)
        assert "  The key is [REDACTED], keep it." in shown(app)


async def test_a_reply_that_broke_off_is_taken_back_when_it_comes_again() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), chunk("Half an ans"), e.Retrying(attempt=1, delay_s=0, reason="the connection broke", discard_text=True))
        host.emit(chunk("A whole answer."), reply("A whole answer."))
        await settled(app, pilot, host)
        assert "Half an ans" not in shown(app)
        assert "  A whole answer." in screen_text(app)


async def test_thinking_streams_and_becomes_one_row_that_unfolds() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), e.ThinkingChunk(content="Let me see. It is "), e.ThinkingChunk(content="simple."))
        await settled(app, pilot, host)
        assert "  ✻ thinking\n    Let me see. It is simple." in shown(app)
        host.emit(
            chunk("Yes."),
            e.AssistantMessageAdded(content="Yes.", streamed=True, thinking=(Thinking(text="Let me see. It is simple."),)),
            done("Yes."),
        )
        await settled(app, pilot, host)
        assert "  ✻ thought · 6 words\n\n  Yes." in shown(app)
        await pilot.press("ctrl+o")
        await settled(app, pilot, host)
        assert "    Let me see. It is simple." in screen_text(app)


async def test_what_a_tool_writes_is_no_markup_and_no_command_to_the_terminal() -> None:
    host = scripted(called("1", "echo [bold]x"), finished("1", "[red]\x1b[31mboom\x1b]0;title\x07[/red]", success=False))
    async with running(host) as (app, pilot):
        await pilot.press("x", "enter")
        await settled(app, pilot, host)
        text = shown(app)
    assert "echo [bold]x" in text
    assert "[red]boom[/red]" in text
    assert "\x1b" not in text


# ── calls, agents, jobs ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_parallel_calls_have_a_card_each_with_its_own_live_output() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), called("1", "make a"), called("2", "make b"))
        host.emit(e.ToolLog(tool="bash", log="of b\n", tool_call_id="2"), e.ToolLog(tool="bash", log="of a\n", tool_call_id="1"))
        await settled(app, pilot, host)
        rows = [row[2:18].strip() for row in screen_text(app) if row.lstrip().startswith(("●", "│ of"))]
        assert rows == ["● bash  make a", "│ of a", "● bash  make b", "│ of b"]
        host.emit(finished("2", "of b", duration_s=3.0))
        await settled(app, pilot, host)
        text = shown(app)
        assert "● bash  make a" in text
        assert "✓ bash  make b" in text


async def test_parallel_sub_agents_have_a_live_card_each() -> None:
    host = scripted()
    agents = [
        SubagentProgress(agent_id=str(i), label=f"agent {i}", steps=i, tokens=1_000 * i, tool_calls=i, cost_usd=0.0, activity=f"look {i}")
        for i in (1, 2)
    ]
    async with running(host) as (app, pilot):
        host.emit(*started(), *(e.ToolCalled(tool="research", arguments={"task": f"t{i}"}, tool_call_id=str(i)) for i in (1, 2)), *agents)
        await settled(app, pilot, host)
        text = shown(app)
    assert re.search(r"└ look 1 +1 step · 1k tokens · 1 call · \$0.00", text)
    assert re.search(r"└ look 2 +2 steps · 2k tokens · 2 calls · \$0.00", text)


async def test_a_job_card_follows_the_job_to_its_end_and_the_status_bar_counts_it() -> None:
    host = scripted()
    job = HfJobSubmit(
        job_id="j1", job_url="https://hub.example/jobs/j1", flavor="a10g-small", timeout="2h", job_type="python", image="", namespace="me",
        push_to_hub=False,
    )  # fmt: skip
    end = HfJobComplete(
        job_id="j1", flavor="a10g-small", final_status="error", wall_time_s=130, billable_seconds_estimate=130, price_usd_per_hour=1.0,
        estimated_cost_usd=0.04, cost_estimate_source="",
    )  # fmt: skip
    async with running(host, size=(120, 24)) as (app, pilot):
        host.emit(job)
        await settled(app, pilot, host)
        assert "● job  j1  a10g-small" in shown(app)
        assert "1 job" in screen_text(app)[-1]
        host.emit(end)
        await settled(app, pilot, host)
        assert "✗ job  j1  a10g-small  error · 2:10 · $0.0400" in shown(app)
        assert shown(app).count("j1  ") == 1 and "error after" not in shown(app), "its block says it: no line says it again"
        assert "1 job" not in screen_text(app)[-1]


@pytest.mark.parametrize("live", [True, False], ids=["live", "resumed"])
async def test_a_job_is_shown_in_the_card_of_the_call_that_started_it_until_it_ends(live: bool) -> None:
    run = e.ToolCalled(tool="hf_jobs", arguments={"operation": "run", "detach": True}, tool_call_id="1")
    job = replace(submitted("j1"), tool_call_id="1", job_url="https://hub.example/jobs/j1")
    events = (
        *started(), run, e.ToolStateChange(tool_call_id="1", tool="hf_jobs", state="running", job_url=job.job_url), job,
        e.ToolLog(tool="hf_jobs", log="epoch 1\n", tool_call_id="1"),
    )  # fmt: skip
    answer = e.ToolFinished(
        tool="hf_jobs", tool_call_id="1", output="It runs.", success=True, display=(d.Job("j1", "running", "python x.py", job.job_url),)
    )
    host = scripted() if live else scripted(past=(STARTED, *events))
    async with running(host, size=(120, 24)) as (app, pilot):
        host.emit(*events if live else ())
        await settled(app, pilot, host)
        assert shown(app).count("https://hub.example/jobs/j1") == shown(app).count("● job  j1") == shown(app).count("epoch 1") == 1
        (card,) = [block for block in app.conversation.blocks if "j1" in "".join(block.links)]
        assert (card.links, card.animated) == (["https://hub.example/jobs/j1"], True)
        host.emit(answer, done("It runs."))
        await settled(app, pilot, host)
        assert "✓ hf_jobs" in shown(app)
        assert shown(app).count("j1  ") == 1 and "● job  j1" in shown(app), "it goes on after the call"
        host.emit(over("j1"))
        await settled(app, pilot, host)
        assert "✓ job  j1  a10g-small  completed · 2:05" in shown(app)
        assert shown(app).count("job  j1") == 1 and not card.animated


async def test_a_job_whose_card_was_taken_back_is_told_in_a_line_when_it_ends() -> None:
    host = scripted()
    async with running(host, size=(120, 24)) as (app, pilot):
        host.emit(*started(), submitted("j1"))
        await settled(app, pilot, host)
        (message,) = app.recall.messages
        host.emit(e.UndoComplete(cut_seq=message.seq), over("j1"))
        await settled(app, pilot, host)
        assert "job j1: completed after 2:05" in shown(app)


async def test_only_the_newest_plan_is_shown_whole() -> None:
    host = scripted()
    first = (d.PlanItem("1", "look", "in_progress"), d.PlanItem("2", "write", "pending"))
    second = (d.PlanItem("1", "look", "completed"), d.PlanItem("2", "write", "in_progress"))
    async with running(host) as (app, pilot):
        host.emit(e.PlanUpdate(plan=first), e.PlanUpdate(plan=second))
        await settled(app, pilot, host)
        text = shown(app)
    assert "  plan  0 of 2 done  ▸ look\n\n  plan  1 of 2 done\n  ✓ look\n  ▸ write" in text


async def test_a_call_without_an_answer_stops_counting_when_the_turn_ends() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), called("1"), e.Interrupted())
        await settled(app, pilot, host)
        (block,) = [block for block in app.conversation.blocks if isinstance(block, ToolBlock)]
        assert not block.animated
        assert "  · interrupted" in screen_text(app)


# ── the session ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("backend", "words"), [("hub", "1 job goes on and costs"), ("local", "1 job goes on")])
async def test_an_interrupt_says_that_a_job_goes_on_and_a_cancelled_one_says_so_once(backend: str, words: str) -> None:
    host = scripted()
    async with running(host, size=(120, 24)) as (app, pilot):
        host.emit(*started(), replace(submitted("j1"), backend=backend), e.Interrupted())
        await settled(app, pilot, host)
        assert f"· interrupted · {words}: /jobs cancels" in shown(app)
        host.emit(replace(over("j1"), final_status="canceled", message="It was cancelled."))
        await settled(app, pilot, host)
        assert shown(app).count("cancelled ·") == 1 and "canceled" not in shown(app) and "It was" not in shown(app)
        host.emit(*started(), e.Interrupted())
        await settled(app, pilot, host)
        assert shown(app).count("goes on") == 1


async def test_undo_takes_the_turn_off_the_screen() -> None:
    past = (STARTED, *started("first"), reply("One."), done("One."), *started("second"), reply("Two."), done("Two."))
    host = scripted(past=past)
    async with running(host) as (app, pilot):
        assert "Two." in shown(app)
        host.emit(e.UndoComplete(cut_seq=6))
        await settled(app, pilot, host)
        text = shown(app)
    assert "One." in text
    assert "second" not in text
    assert "Two." not in text


async def test_a_resumed_conversation_is_there_without_a_key_pressed() -> None:
    host = scripted(past=(STARTED, *started("hello"), reply("Good day.", "1"), called("1"), finished("1", "x"), done("Good day.")))
    async with running(host) as (app, _):
        text = shown(app)
    assert host.read_from == 0
    assert "❯ hello" in text
    assert "Good day." in text
    assert "✓ bash  ls" in text


async def test_an_error_says_what_to_do_next() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), e.ErrorRaised(error="The key was refused.", kind="AuthError", hint="Set HF_TOKEN."))
        await settled(app, pilot, host)
        assert "The key was refused." in shown(app)
        assert "Set HF_TOKEN." in shown(app)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_escape_interrupts_the_turn() -> None:
    host = scripted(called("1"))
    async with running(host) as (app, pilot):
        await pilot.press("x", "enter")
        await settled(app, pilot, host)
        await pilot.press("escape")
        await settled(app, pilot, host)
    assert op.Interrupt() in host.operations


async def test_two_ctrl_c_leave_and_close_the_session() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert app.is_running
        assert not host.closed
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert host.closed
    assert app.return_value == 0


async def test_one_block_can_be_selected_unfolded_and_copied() -> None:
    host = scripted(past=(STARTED, *started("go"), called("1"), finished("1", "the output\nExit code: 0"), done(None)))
    async with running(host) as (app, pilot):
        app.conversation.focus()
        await pilot.press("up", "enter")
        await settled(app, pilot, host)
        assert "▌   the output" in screen_text(app)
        await pilot.press("c")
        await pilot.pause()
        assert app.clipboard == "the output\nExit code: 0"
        await pilot.press("escape")
        await pilot.pause()
        assert app.focused is app.composer


async def test_scrolling_up_stays_where_it_is_while_more_comes_and_the_end_is_followed_again() -> None:
    past = tuple(event for i in range(40) for event in (*started(f"question {i}"), reply(f"answer {i}"), done("")))
    host = scripted(past=(STARTED, *past))
    async with running(host) as (app, pilot):
        assert "answer 39" in shown(app)
        await pilot.press("pageup", "pageup")
        await pilot.pause()
        before = above_the_bar(app)
        host.emit(*started("more"), reply("much more\n\n" * 20))
        await settled(app, pilot, host)
        assert above_the_bar(app) == before
        app.conversation.scroll_end(animate=False)
        await pilot.pause()
        host.emit(*started("the newest"))
        await settled(app, pilot, host)
        assert "❯ the newest" in shown(app)


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (20, 8), (200, 60)])
async def test_every_size_of_terminal_shows_the_newest_rows(size: tuple[int, int]) -> None:
    host = scripted(
        past=(STARTED, *started("hello"), called("1", "a long command " * 9), finished("1"), reply("日本語 " * 30 + "end"), done(""))
    )
    async with running(host, size=size) as (app, pilot):
        await pilot.resize_terminal(size[0] - 3, size[1])
        await settled(app, pilot, host)
        assert "end" in shown(app)


async def test_calls_stand_close_and_a_call_that_hides_leaves_no_trace() -> None:
    plan = d.Plan((d.PlanItem("1", "look", "pending"),))
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), reply("First."), called("p", "plan"), called("1", "a"), called("2", "b"))
        await settled(app, pilot, host)
        host.emit(finished("p", display=(plan,)), finished("1"), finished("2"))
        await settled(app, pilot, host)
        rows = [row.split("  ")[1] if row.strip() else "" for row in above_the_bar(app)]
    assert rows[2:7] == ["First.", "", "✓ bash", "✓ bash", ""]


@pytest.mark.parametrize(("keys", "named"), [({}, "Ctrl-O"), ({"fold": "f5,ctrl+x"}, "F5")])
async def test_what_is_folded_names_the_key_that_unfolds_it_also_the_users_own(keys: dict[str, str], named: str) -> None:
    table = d.Table("runs", ("name",), tuple((f"run{i}",) for i in range(30)))
    host = scripted()
    async with running(host, settings=Settings(keys=keys), size=(80, 60)) as (app, pilot):
        host.emit(*started("\n".join(f"line {i}" for i in range(30))), called("1"), finished("1", display=(table,)), done(""))
        await settled(app, pilot, host)
        assert f"… 19 more rows: {named} or a click" in shown(app) and shown(app).count(f"{named} or a click") == 2
        await pilot.press(named.lower().replace("-", "+"))
        await settled(app, pilot, host)
        assert "or a click" not in shown(app) and "run29" in shown(app)
