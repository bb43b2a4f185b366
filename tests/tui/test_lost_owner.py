"""A process dies: what it was told and had not read is the user's again, and nothing goes on running on the screen."""

from __future__ import annotations

from pathlib import Path

from ml_intern.frontends.tui.activity import ActivityLine
from ml_intern.frontends.tui.composer.draft import Draft
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from tests.tui.pilots import running_turn
from tests.tui.scripted import running, screen_text, scripted, settled

GONE = e.ConnectionChanged(state="gone", message="The other process is gone.")


async def quiet(host: object, operation: op.AnyOperation) -> None:
    """A session that says nothing of what it takes."""


async def test_the_owner_of_a_joined_session_dies_in_a_turn() -> None:
    host = scripted(play=quiet)
    host.sender = "process 77"
    async with running(host, size=(120, 24)) as (app, pilot):
        host.emit(*running_turn(), e.ToolCalled(tool="bash", arguments={"command": "sleep 60"}, tool_call_id="a"))
        host.emit(e.ToolStateChange(tool_call_id="a", tool="bash", state="running"))
        await settled(app, pilot, host)
        app.send(op.UserInput(text="use less memory"))
        await pilot.press(*"then", "alt+enter", *"half")
        await settled(app, pilot, host)
        host.vacated = True
        host.emit(GONE)
        await settled(app, pilot, host)
        assert app.composer.text == "use less memory\nthen\nhalf"
        assert not app.query_one(ActivityLine).busy and not app.figures.turn_running
        rows = screen_text(app)
        assert not any("↳" in row or "Esc interrupts" in row for row in rows)
        (card,) = (row for row in rows if "sleep 60" in row)
        assert card.endswith("interrupted, outcome unknown")
        host.emit(e.ToolFinished(tool="bash", tool_call_id="a", output="", success=False, error_kind="interrupted"))
        await settled(app, pilot, host)
        (card,) = (row for row in screen_text(app) if "sleep 60" in row)
        assert "✗" in card, "whoever opens the session hears how it ended"


async def test_the_owner_dies_while_a_card_waits_and_what_was_not_run_is_asked_again_here() -> None:
    host = scripted(play=quiet)
    host.sender = "process 77"
    asked = e.PendingTool(tool="bash", arguments={"command": "touch made"}, tool_call_id="a")
    async with running(host, size=(120, 24)) as (app, pilot):
        host.emit(*running_turn(), e.ToolCalled(tool="bash", arguments={"command": "touch made"}, tool_call_id="a"))
        host.emit(e.ApprovalRequired(tools=(asked,), count=1))
        await settled(app, pilot, host)
        host.vacated = True
        host.emit(GONE)
        await settled(app, pilot, host)
        (card,) = (row for row in screen_text(app) if "touch made" in row)
        assert card.endswith("not run")
        assert [operation for operation in host.operations if isinstance(operation, op.Resume)] == [op.Resume(path=host.session_id)]
        rows = "\n".join(screen_text(app))
        assert "asks again" in rows and "middle of a turn" not in rows
        host.emit(e.ApprovalRequired(tools=(asked,), count=1))
        await settled(app, pilot, host)
        assert any(row.endswith("waits for you") for row in screen_text(app))


async def test_a_message_that_a_full_disk_did_not_take_is_in_the_composer_again() -> None:
    host = scripted(play=quiet)
    async with running(host) as (app, pilot):
        await pilot.press(*"first", "enter")
        await settled(app, pilot, host)
        assert app.composer.text == ""
        host.emit(e.ErrorRaised(error="The disk is full.", hint="Free some space.", kind="StoreError"))
        host.end_stream()
        await settled(app, pilot, host)
        assert app.composer.text == "first" and any("The disk is full." in row for row in screen_text(app))


async def test_a_message_in_a_session_that_is_only_left_is_not_said_twice() -> None:
    host = scripted(play=quiet)
    async with running(host) as (app, pilot):
        host.emit(*running_turn())
        await settled(app, pilot, host)
        app.send(op.UserInput(text="use less memory"))
        host.emit(e.ConnectionChanged(state="ended", message="You left the session."))
        await settled(app, pilot, host)
        assert app.composer.text == "" and app.waiting_lines.rows() == []


async def test_what_was_not_read_is_kept_with_the_draft_until_the_log_has_it(tmp_path: Path) -> None:
    host = scripted(play=quiet)
    async with running(host, environ={"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}) as (app, pilot):
        folder = app.loaded.paths.state_dir / "drafts"

        async def kept() -> list[str]:
            app.composer.save_draft()
            await app.workers.wait_for_complete([worker for worker in app.workers if worker.group == "draft"])
            return [path.read_text() for path in folder.glob("*.txt")]

        host.emit(*running_turn())
        await settled(app, pilot, host)
        app.send(op.UserInput(text="use less memory"))
        await app.workers.wait_for_complete([worker for worker in app.workers if worker.group == "draft"])
        assert [path.read_text() for path in folder.glob("*.txt")] == ["use less memory"], "at once"
        await pilot.press(*"then", "alt+enter", *"half")
        await settled(app, pilot, host)
        assert await kept() == ["use less memory\n\nthen\n\nhalf"]
        host.emit(e.UserMessageAdded(content="use less memory", steering=True))
        await settled(app, pilot, host)
        assert await kept() == ["then\n\nhalf"]
    assert Draft(folder, app.loaded.cwd).load() == "then\n\nhalf"
