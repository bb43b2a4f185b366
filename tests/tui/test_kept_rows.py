"""What stays on the screen: of a message the user's own words, of a call that ended well the end of what it printed."""

from __future__ import annotations

from ml_intern.protocol import events as e
from ml_intern.protocol.ran_words import asked_words, ran_words
from tests.tui.picker_world import text_of
from tests.tui.scripted import running, scripted, settled
from tests.unit.frontends.fake_host import done, started


async def test_shell_output_that_goes_with_a_message_is_one_row_and_not_the_users_words() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(f"{ran_words('echo hi', '(exit code 0)', 'hi there')}\n\nwhat is that?"), done(""))
        await settled(app, pilot, host)
        assert "❯ what is that?\n    + shell output: Ctrl-O or a click" in text_of(app)
        assert "hi there" not in text_of(app) and "[I ran" not in text_of(app)
        await pilot.press("ctrl+o")
        await settled(app, pilot, host)
        assert "hi there" in text_of(app)


async def test_what_a_command_asks_the_model_is_shown_as_the_command() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started(asked_words("/init mind the GPUs", "Write an AGENTS.md.\n\nLook at the project.")), done(""))
        await settled(app, pilot, host)
        assert "❯ /init mind the GPUs\n    + what the command asks the model: Ctrl-O or a click" in text_of(app)
        assert "AGENTS.md" not in text_of(app)
        await pilot.press("ctrl+o")
        await settled(app, pilot, host)
        assert "Look at the project." in text_of(app)


async def test_the_end_of_what_a_call_printed_stays_when_it_ended_well() -> None:
    host = scripted()
    printed = "".join(f"step {i}\n" for i in range(10))
    async with running(host) as (app, pilot):
        call = e.ToolCalled(tool="bash", arguments={"command": "train"}, tool_call_id="1")
        host.emit(*started("go"), call, e.ToolLog(tool="bash", log=printed, tool_call_id="1"))
        host.emit(e.ToolFinished(tool="bash", tool_call_id="1", output=printed, success=True), done(""))
        await settled(app, pilot, host)
        assert "✓ bash  train\n    … 7 more rows: Ctrl-O or a click\n    │ step 7\n    │ step 8\n    │ step 9" in text_of(app)


async def test_a_call_that_printed_nothing_while_it_ran_is_one_row() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*started("go"), e.ToolCalled(tool="read", arguments={"path": "a.py"}, tool_call_id="1"))
        host.emit(e.ToolFinished(tool="read", tool_call_id="1", output="import os\n" * 9, success=True), done(""))
        await settled(app, pilot, host)
        assert "✓ read  a.py" in text_of(app) and "import os" not in text_of(app)
