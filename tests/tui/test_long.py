"""Long sessions and much output: what is far from the viewport costs nothing but its text."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from ml_intern.frontends.tui.activity import ActivityLine
from ml_intern.frontends.tui.block_view import KEPT_DRAWN
from ml_intern.frontends.tui.blocks.base import Block, Rows
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.blocks.tool import LIVE_CHARS, ToolBlock
from ml_intern.protocol import events as e
from tests.tui.scripted import STARTED, envelopes, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import done, reply, started

MESSAGES = 5_000


def called(call_id: str) -> e.ToolCalled:
    return e.ToolCalled(tool="bash", arguments={"command": "ls"}, tool_call_id=call_id)


class Counted(Block):
    """Counts how often it is drawn."""

    drawn = 0

    def draw(self, pen: Pen) -> Rows:
        type(self).drawn += 1
        return pen.wrapped("a row\nand another")

    def guess_rows(self, columns: int) -> int:
        return 1  # wrong on purpose


async def test_of_thousands_of_messages_only_those_in_view_are_drawn() -> None:
    past = tuple(
        event for i in range(MESSAGES // 2) for event in (*started(f"question {i}"), reply(f"answer {i}\n\nand **more**"), done(""))
    )
    host = scripted(past=(STARTED, *past))
    async with running(host) as (app, _):
        view = app.conversation
        assert len(view.blocks) == 3 * MESSAGES // 2
        assert len(view._drawn) <= KEPT_DRAWN
        assert f"answer {MESSAGES // 2 - 1}" in "\n".join(screen_text(app))


async def test_what_was_drawn_is_forgotten_when_enough_else_was() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        view = app.conversation
        view.add(*(Counted() for _ in range(2_000)))
        await settled(app, pilot, host)
        for step in range(100):
            view.scroll_to(y=view.max_scroll_y * step / 100, animate=False, immediate=True)
        assert len(view._drawn) <= KEPT_DRAWN


async def test_scrolling_up_through_guessed_heights_never_jumps() -> None:
    class Numbered(Counted):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def draw(self, pen: Pen) -> Rows:
            return pen.wrapped("\n".join(f"block {self.number} row {row}" for row in range(1 + self.number % 7)))

    host = scripted()
    async with running(host) as (app, pilot):
        view = app.conversation
        view.add(*map(Numbered, range(300)))
        await settled(app, pilot, host)
        seen = [_content(row) for row in screen_text(app)][: view.size.height]
        for _ in range(150):
            view.scroll_relative(y=-3, animate=False, immediate=True)
            await pilot.pause()
            rows = [_content(row) for row in screen_text(app)][: view.size.height]
            assert rows[3:] == seen[: len(rows) - 3]
            seen = rows


def _content(row: str) -> str:
    """Without the scroll bar."""
    return row[:78].rstrip()


async def test_resizing_keeps_the_place_where_one_reads() -> None:
    past = tuple(event for i in range(200) for event in (*started(f"question {i}"), reply("word " * 60)))
    host = scripted(past=(STARTED, *past))
    async with running(host) as (app, pilot):
        view = app.conversation
        await pilot.press("pageup", "pageup", "pageup")
        await pilot.pause()
        first = view.blocks[view._visible()[0]]
        await pilot.resize_terminal(50, 30)
        await settled(app, pilot, host)
        assert view.blocks[view._visible()[0]] is first


async def test_ten_megabytes_of_live_output_are_kept_as_their_tail_and_drawn_once_a_frame() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(), e.ToolCalled(tool="bash", arguments={"command": "yes"}, tool_call_id="1"))
        for number in range(2_500):
            host.emit(e.ToolLog(tool="bash", log=f"{'y' * 40} {number}\n" * 95, tool_call_id="1"))
        await settled(app, pilot, host)
        (call,) = [block for block in app.conversation.blocks if isinstance(block, ToolBlock)]
        assert len(call.text) <= LIVE_CHARS
        assert f"y {2_499}" in "\n".join(screen_text(app))


async def test_a_block_that_changes_a_hundred_times_is_drawn_once_a_frame() -> None:
    class Once(Counted):
        pass

    host = scripted()
    async with running(host) as (app, pilot):
        block = Once()
        app.conversation.add(block)
        await settled(app, pilot, host)
        before = Once.drawn
        for _ in range(100):
            block.changed()
        app.conversation.show_changes()
        await pilot.pause()
        assert Once.drawn == before + 1


async def test_a_past_that_is_read_starts_no_timer_and_draws_no_line_for_each_of_its_turns() -> None:
    turns = 300
    host = scripted(past=(STARTED, *(event for i in range(turns) for event in (*started(f"question {i}"), called(str(i)), done("")))))
    loop, tasks = asyncio.get_running_loop(), count()

    def counted(loop: asyncio.AbstractEventLoop, work: Any, **named: Any) -> asyncio.Task[Any]:
        next(tasks)
        return asyncio.Task(work, loop=loop, **named)

    loop.set_task_factory(counted)
    async with running(host) as (app, _):
        assert next(tasks) < turns, "each timer is a task"
        for widget in (app.query_one(ActivityLine), app.waiting_lines):
            for envelope in envelopes(*started(), called("1")):
                widget.read(envelope, live=False)
            assert not widget._repaint_required  # pyright: ignore[reportPrivateUsage]  # Textual's


async def test_a_turn_that_runs_when_its_past_was_read_has_its_line() -> None:
    host = scripted(past=(STARTED, *started(), called("1")))
    async with running(host) as (app, pilot):
        while "running bash" not in screen_text(app)[-5]:
            await settled(app, pilot, host)
        host.emit(done("…"))
        await settled(app, pilot, host)
        assert not any("running bash" in row for row in screen_text(app))
