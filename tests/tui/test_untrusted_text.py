"""Text of models, tools and the web is data, wherever the app shows it."""

from __future__ import annotations

import pytest

from ml_intern.frontends.tui.blocks.words import PART_ROWS, CodeBlock
from ml_intern.protocol import display as d
from ml_intern.protocol import events as e
from tests.tui.scripted import running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import reply, started

NASTY = "[/INST] [red]x[/red] [@click=app.quit]q[/] [link=https://evil.example]l[/link] \x1b]8;;https://evil.example\x07h\x1b[2J\x9b31m"
SHOWN = "[/INST] [red]x[/red] [@click=app.quit]q[/] [link=https://evil.example]l[/link] h"
MARKED = "[link=https://evil.example]l[/link] ␛]8;;https://evil.example␇"


@pytest.mark.parametrize(
    "event",
    [
        e.ErrorRaised(error=NASTY, ends_turn=False),
        e.UserMessageAdded(content=NASTY),
        e.PlanUpdate(plan=(d.PlanItem("1", NASTY, "pending"),)),
        e.ThinkingChunk(content=NASTY),
        e.ToolCalled(tool="bash", arguments={"command": NASTY}, tool_call_id="9"),
        e.ToolFinished(tool="bash", tool_call_id="1", output=NASTY, success=False),
        e.ToolLog(tool="bash", log=NASTY, tool_call_id="1"),
        e.ToolFinished(
            tool="bash", tool_call_id="1", output="", success=True, display=(d.Text(NASTY), d.Table(NASTY, (NASTY,), ((NASTY,),)))
        ),
        e.ToolFinished(
            tool="bash", tool_call_id="1", output="", success=True, display=(d.Diff(NASTY, f"+{NASTY}", 1, 0), d.Link(NASTY, ""))
        ),
        e.GuardTriggered(guard="other", message=NASTY),
        e.SessionStarted(session_id="0", cwd="/w", model=NASTY),
    ],
    ids=lambda event: type(event).__name__,
)
async def test_markup_and_escapes_are_shown_as_they_are_written_and_do_nothing(event: e.AnyEvent) -> None:
    """W5.1: the original raised on ``[/INST]`` (and hung), and swallowed ``[red]``. W2.10: its terminal obeyed escapes."""
    host = scripted()
    async with running(host, size=(150, 40)) as (app, pilot):
        host.emit(*started("go"), e.ToolCalled(tool="bash", arguments={}, tool_call_id="1"), event)
        await settled(app, pilot, host)
        assert app.is_running
        strips = app.screen._compositor.render_strips()
        shown = MARKED if isinstance(event, e.ToolCalled) else SHOWN  # of what runs nothing is left out
        assert shown in "\n".join(screen_text(app))
        links = [(segment.style.link, segment.text) for strip in strips for segment in strip if segment.style and segment.style.link]
        assert all(link == text for link, text in links), "an address that is seen may be opened; none hides behind other words"


async def test_a_reply_shows_markup_as_text_too() -> None:
    host = scripted()
    async with running(host, size=(150, 40)) as (app, pilot):
        host.emit(*started("go"), reply("[/INST] [red]x[/red] <b>bold</b>\x1b[31m"))
        await settled(app, pilot, host)
        assert "  [/INST] [red]x[/red] <b>bold</b>" in screen_text(app)


async def test_a_long_code_block_is_never_highlighted_as_a_whole_while_it_streams() -> None:
    """W4.5: the original scanned the whole buffer for each piece, seconds for 140 KB of code."""
    code = "\n".join(f"value_{i} = {i}" for i in range(5_000))
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started("go"))
        text = f"```python\n{code}\n```\n"
        for at in range(0, len(text), 97):
            host.emit(e.AssistantChunk(content=text[at : at + 97]))
        host.emit(reply(text))
        await settled(app, pilot, host)
        parts = [block for block in app.conversation.blocks if isinstance(block, CodeBlock)]
    assert max(part.guess_rows(200) for part in parts) < 3 * PART_ROWS
    assert len(parts) > 10
    assert parts[0].text == parts[-1].text == code
