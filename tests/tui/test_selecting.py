"""Text selected with the mouse: what is highlighted, what is copied, and what Ctrl-C does then."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from ml_intern.frontends.headless.text import line
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.cards.card import CardBody
from ml_intern.frontends.tui.clipboard import programs
from ml_intern.frontends.tui.screens.lines_view import LinesView
from ml_intern.frontends.tui.screens.pager import Pager
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.tui.pilots import until
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled
from tests.tui.test_approvals import asked, pending
from tests.unit.frontends.fake_host import started

CODE = "```python\ndef f(x):\n    if x:\n\n        return 1\n```"
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"


def said(text: str) -> e.AssistantMessageAdded:
    return e.AssistantMessageAdded(content=text)


def where(app: TuiApp, text: str) -> tuple[int, int]:
    """Column and row of the first such text on the screen."""
    for y, row in enumerate(screen_text(app)):
        if (x := row.find(text)) >= 0:
            return x, y
    raise AssertionError(f"{text!r} is not on the screen")


async def drag(app: TuiApp, pilot: Pilot[int], begin: tuple[int, int], end: tuple[int, int]) -> None:
    """From one cell of the screen to another, both within what is selected."""
    await pilot.mouse_down(offset=begin)
    await pilot.hover(offset=end)
    await pilot.mouse_up(offset=end)
    await pilot.pause()


async def select(app: TuiApp, pilot: Pilot[int], first: str, last: str) -> None:
    """From the beginning of one text to the end of another."""
    x, y = where(app, last)
    await drag(app, pilot, where(app, first), (x + len(last) - 1, y))


async def shown(host: ScriptedHost, app: TuiApp, pilot: Pilot[int], *events: e.AnyEvent) -> None:
    host.emit(*events)
    await settled(app, pilot, host)


async def test_what_is_dragged_over_is_copied_on_release_and_ctrl_c_lets_go_of_it() -> None:
    host = scripted(past=(STARTED, said("Look at the learning rate.")))
    async with running(host) as (app, pilot):
        await select(app, pilot, "learning", "rate")
        assert app.clipboard == "learning rate"
        assert "copied 13 characters" in "\n".join(screen_text(app))
        app.copy_to_clipboard("")
        await pilot.press("ctrl+c")
        assert (app.clipboard, app.screen.selections) == ("learning rate", {})
        assert "nothing is selected now" in "\n".join(screen_text(app))
        assert host.operations == [], "that one did not interrupt"
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert host.operations == [op.Interrupt()]


async def test_code_is_copied_as_code_without_its_bar() -> None:
    host = scripted(past=(STARTED, said(CODE)))
    async with running(host) as (app, pilot):
        await select(app, pilot, "│ def", "return 1")
    assert app.clipboard == "def f(x):\n    if x:\n\n        return 1"


async def test_rows_that_only_the_width_has_broken_are_one_line_again() -> None:
    host = scripted(past=(STARTED, said(f"```\n{LONG}\nnext\n```")))
    async with running(host, size=(60, 24)) as (app, pilot):
        await select(app, pilot, "one", "next")
    assert app.clipboard == f"{LONG}\nnext"


async def test_a_selection_goes_across_blocks_and_leaves_marks_out() -> None:
    call = e.ToolCalled(tool="bash", arguments={"command": "make"}, tool_call_id="1")
    failed = e.ToolFinished(tool="bash", tool_call_id="1", output="no rule\nstop", success=False)
    host = scripted(past=(STARTED, e.UserMessageAdded(content="build it"), call, failed, said("It failed.")))
    async with running(host) as (app, pilot):
        await select(app, pilot, "build", "failed.")
    lines = app.clipboard.split("\n")
    assert (lines[0], lines[-1]) == ("build it", "It failed.")
    assert "no rule" in lines and "stop" in lines


async def test_a_table_is_copied_without_its_rule() -> None:
    host = scripted(past=(STARTED, said("| a | b |\n|---|---|\n| 1 | 2 |")))
    async with running(host) as (app, pilot):
        assert "─" in "\n".join(screen_text(app)[:8])
        await select(app, pilot, "a", "2")
    assert [row.split() for row in app.clipboard.split("\n")] == [["a", "b"], ["1", "2"]]


async def test_what_is_selected_stays_where_it_is_while_more_comes() -> None:
    host = scripted(past=(STARTED, said("keep this here")))
    async with running(host) as (app, pilot):
        await select(app, pilot, "keep", "this")
        await shown(host, app, pilot, *(e.UserMessageAdded(content=f"more {i}") for i in range(40)))
        assert "  keep this here" in screen_text(app), "it does not scroll away"
        assert app.screen.get_selected_text() == "keep this"
        await pilot.press("ctrl+c")
        await settled(app, pilot, host)
        assert "more 39" in "\n".join(screen_text(app)), "and the end is followed again"


async def test_a_click_folds_and_a_drag_does_not() -> None:
    host = scripted(past=(STARTED, e.ToolCalled(tool="bash", arguments={"command": "make all"}, tool_call_id="1"),
                          e.ToolFinished(tool="bash", tool_call_id="1", output="out", success=True)))  # fmt: skip
    async with running(host) as (app, pilot):
        (block,) = [block for block in app.conversation.blocks if block.foldable]
        await select(app, pilot, "make", "all")
        assert block.folded and app.clipboard == "make all"
        await pilot.click("#conversation", offset=where(app, "make"))
        assert not block.folded and not app.screen.selections


@pytest.mark.parametrize(("clicks", "copied"), [(2, "learning"), (3, "Look at the learning rate.")])
async def test_a_double_click_takes_the_word_and_a_triple_click_the_block(clicks: int, copied: str) -> None:
    host = scripted(past=(STARTED, said("Look at the learning rate.")))
    async with running(host) as (app, pilot):
        x, y = where(app, "learning")
        await pilot.click("#conversation", offset=(x + 3, y), times=clicks)
        await pilot.pause()
    assert app.clipboard == copied


async def test_the_selection_is_seen() -> None:
    host = scripted(past=(STARTED, said("Look here.")))
    async with running(host) as (app, pilot):
        await select(app, pilot, "Look", "Look")
        ground = app.screen.get_component_rich_style("screen--selection").bgcolor
        rows = [row for row in app.screen._compositor.render_strips() if "Look here." in row.text]
        lit = "".join(part.text for part in rows[0] if part.style is not None and part.style.bgcolor == ground)
    assert lit == "Look"


async def move(app: TuiApp, pilot: Pilot[int], place: tuple[int, int], rows: int) -> None:
    """As a terminal tells it while a button is held: with how far it went, which the pilot leaves out."""
    x, y = place
    app.post_message(events.MouseMove(None, x, y, 0, rows, 1, False, False, False, screen_x=x, screen_y=y))
    await pilot.pause()


@pytest.mark.parametrize("row", [0, 1, 2])
async def test_a_drag_to_the_upper_edge_scrolls_on_however_slowly(row: int) -> None:
    host = scripted(past=(STARTED, said("\n".join(f"- item {n:02}" for n in range(60)))))
    async with running(host) as (app, pilot):
        view = app.conversation
        assert view.scroll_y == view.max_scroll_y > 20
        await pilot.mouse_down(offset=where(app, "item 50"))
        await move(app, pilot, (5, row), -4)
        await until(pilot, lambda: view.scroll_y == 0)
        await until(pilot, lambda: "item 10" in (app.screen.get_selected_text() or ""))
        await pilot.mouse_up(offset=(5, row))
        await pilot.pause()
    copied = app.clipboard.splitlines()
    assert copied[-2].endswith("item 49") and any(line.endswith("item 10") for line in copied), "all that was scrolled over"


async def test_a_drag_to_the_lower_edge_scrolls_to_the_end() -> None:
    host = scripted(past=(STARTED, said("\n".join(f"- item {n:02}" for n in range(60)))))
    async with running(host) as (app, pilot):
        view = app.conversation
        view.scroll_to(y=0, animate=False)
        await pilot.pause()
        low = view.region.bottom - 2
        await pilot.mouse_down(offset=where(app, "item 03"))
        await move(app, pilot, (5, low), 8)
        await until(pilot, lambda: view.scroll_y == view.max_scroll_y)
        await until(pilot, lambda: "item 50" in (app.screen.get_selected_text() or ""))
        await pilot.mouse_up(offset=(5, low))
        await pilot.pause()
    assert "item 03" in app.clipboard and "item 50" in app.clipboard


async def test_after_a_selection_one_goes_on_writing() -> None:
    host = scripted(past=(STARTED, said("Look at the learning rate.")))
    async with running(host) as (app, pilot):
        await pilot.press("a")
        await select(app, pilot, "learning", "rate")
        await pilot.press("b")
        assert app.composer.text == "ab"


SCRIPT = "\n".join(f"echo step {n:02}" for n in range(40))


async def test_a_card_can_be_selected_from() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending("c1", tool="bash", arguments={"command": SCRIPT}, display=()))))
    async with running(host) as (app, pilot):
        await until(pilot, lambda: "step 01" in "\n".join(screen_text(app)))
        await select(app, pilot, "echo step 01", "step 02")
        assert app.clipboard == "echo step 01\necho step 02"
    assert not any(isinstance(each, op.ExecApproval) for each in host.operations), "and nothing is decided by it"


async def test_a_drag_to_the_lower_edge_of_a_card_scrolls_the_card() -> None:
    host = scripted(past=(STARTED, *started(), asked(pending("c1", tool="bash", arguments={"command": SCRIPT}, display=()))))
    async with running(host) as (app, pilot):
        await until(pilot, lambda: "step 01" in "\n".join(screen_text(app)))
        body = app.query_one(CardBody)
        low = body.region.bottom - 1
        await pilot.mouse_down(offset=where(app, "step 01"))
        await move(app, pilot, (20, low), 4)
        await until(pilot, lambda: body.scroll_y == body.max_scroll_y > 0)
        await until(pilot, lambda: "step 30" in (app.screen.get_selected_text() or ""))
        await pilot.mouse_up(offset=(20, low))


async def test_a_drag_to_the_edge_of_a_page_scrolls_the_page() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await app.push_screen(Pager("Page", [line(f"row {n:02}") for n in range(60)]))
        await pilot.pause()
        view = app.screen.query_one(LinesView)
        low = view.region.bottom - 1
        await pilot.mouse_down(offset=where(app, "row 01"))
        await move(app, pilot, (5, low), 4)
        await until(pilot, lambda: view.scroll_y == view.max_scroll_y > 0)
        await until(pilot, lambda: "row 55" in (app.screen.get_selected_text() or ""))
        await pilot.mouse_up(offset=(5, low))


async def test_pages_can_be_selected_from_as_well() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await app.push_screen(Pager("Page", [line("first row"), line(("dim", "second row"))]))
        await pilot.pause()
        await select(app, pilot, "row", "second")
    assert app.clipboard == "row\nsecond"


async def test_ctrl_c_copies_what_is_selected_in_the_composer() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await pilot.press(*"word", "shift+left", "shift+left", "ctrl+c")
        assert app.clipboard == "rd"
    assert host.operations == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DISPLAY": ":0"}, ["xclip", "pbcopy"]),
        ({"WAYLAND_DISPLAY": "w", "DISPLAY": ":0"}, ["wl-copy", "pbcopy"]),
        ({"TMUX": "x", "SSH_CONNECTION": "y"}, ["tmux"]),
    ],
)
def test_the_clipboards_programs_are_those_of_the_display(environ: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    for name in ("xclip", "xsel", "wl-copy", "tmux", "pbcopy"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    found = programs({"PATH": str(tmp_path), **environ})
    assert [str(program[0]).rpartition("/")[2] for program in found] == expected
