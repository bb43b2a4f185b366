"""What waits says so: messages above the composer, calls beside their name, hints as long as they are true."""

from __future__ import annotations

from ml_intern.frontends.tui.activity import ActivityLine
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.messages import UnreadMessage
from tests.tui.pilots import running_turn
from tests.tui.scripted import running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import SESSION, started

DONE = e.TurnComplete(history_size=1, final_response="")


async def quiet(host: object, operation: op.AnyOperation) -> None:
    """A session that says nothing of what it takes."""


async def test_a_message_for_the_running_turn_is_seen_until_it_arrives() -> None:
    host = scripted(play=quiet)
    async with running(host) as (app, pilot):
        host.emit(*running_turn())
        await settled(app, pilot, host)
        app.send(op.UserInput(text="use\nless memory"))
        await pilot.pause()
        assert any("↳ handed over, read at the next step: use less memory" in row for row in screen_text(app))
        host.emit(e.UserMessageAdded(content="use\nless memory", steering=True))
        await settled(app, pilot, host)
        assert not any("↳" in row for row in screen_text(app))


async def test_messages_for_after_the_turn_are_seen_taken_back_by_up_and_gone_when_sent() -> None:
    host = scripted(play=quiet)
    async with running(host) as (app, pilot):
        host.emit(*running_turn())
        await settled(app, pilot, host)
        for text in ("first", "second"):
            await pilot.press(*text, "alt+enter")
            await settled(app, pilot, host)
        rows = [row.strip() for row in screen_text(app) if "↳" in row]
        assert rows == ["↳ waits for the end of the turn: first", "↳ waits for the end of the turn (↑ takes it back): second"]
        await pilot.press("up")
        await pilot.pause()
        assert app.composer.text == "second"
        assert [row.strip() for row in screen_text(app) if "↳" in row] == ["↳ waits for the end of the turn (↑ takes it back): first"]
        host.emit(DONE)
        await settled(app, pilot, host)
        assert host.operations == [op.UserInput(text="first")]
        assert not any("↳" in row for row in screen_text(app))


def arrows(app: TuiApp) -> list[str]:
    return [row.strip() for row in screen_text(app) if "↳" in row]


async def test_a_message_that_the_session_does_not_take_is_the_users_again() -> None:
    host = scripted(play=quiet)
    async with running(host) as (app, pilot):
        host.emit(*running_turn())
        await settled(app, pilot, host)
        host.closed = True
        await pilot.press(*"less", "enter")
        await settled(app, pilot, host)
        assert (arrows(app), app.composer.text) == ([], "less")
        assert any("This session is closed." in row for row in screen_text(app))


async def test_a_message_with_a_secret_waits_no_longer_than_any_other() -> None:
    host = scripted(play=quiet)
    async with running(host) as (app, pilot):
        host.emit(*running_turn())
        await settled(app, pilot, host)
        for text in ("the key is hunter2", "and be quick"):
            app.send(op.UserInput(text=text))
        await settled(app, pilot, host)
        host.emit(e.UserMessageAdded(content="somebody else's", steering=True, sent_by="process 7"))
        host.emit(e.UserMessageAdded(content="the key is [REDACTED]", steering=True))
        await settled(app, pilot, host)
        (row,) = arrows(app)
        assert row.endswith("and be quick")


async def test_a_message_that_a_hook_blocks_waits_no_longer() -> None:
    host = scripted(play=quiet)
    async with running(host) as (app, pilot):
        host.emit(*running_turn())
        await settled(app, pilot, host)
        for text in ("push it", "and be quick"):
            app.send(op.UserInput(text=text))
        await settled(app, pilot, host)
        host.emit(e.ErrorRaised(error="No pushing.", kind="HookBlocked", ends_turn=False))
        await settled(app, pilot, host)
        (row,) = arrows(app)
        assert row.endswith("and be quick")


async def test_an_interrupt_brings_back_what_was_not_read_and_what_was_to_follow_and_nothing_else() -> None:
    host = scripted(play=quiet)
    async with running(host) as (app, pilot):
        host.emit(*running_turn())
        await settled(app, pilot, host)
        for text in ("the key is hunter2", "after the interrupt"):
            app.send(op.UserInput(text=text))
        await pilot.press(*"then", "alt+enter", *"half")
        await settled(app, pilot, host)
        unread = (UnreadMessage("somebody else's", sent_by="process 7"), UnreadMessage("the key is [REDACTED]"))
        host.emit(e.Interrupted(unread=unread))
        await settled(app, pilot, host)
        assert app.composer.text == "the key is hunter2\nthen\nhalf" and arrows(app) == []
        host.emit(*started("after the interrupt"))
        await settled(app, pilot, host)
        assert arrows(app) == []
        host.emit(DONE)
        await settled(app, pilot, host)
        assert len(host.operations) == 2, "nothing is sent unasked"


async def test_a_call_that_waits_for_another_says_so_and_has_no_clock_until_it_runs() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(*running_turn())
        for call in ("a", "b"):
            host.emit(e.ToolCalled(tool="bash", arguments={"command": f"sleep {call}"}, tool_call_id=call))
        host.emit(e.ToolStateChange(tool_call_id="b", tool="bash", state="waiting"))
        await settled(app, pilot, host)
        (row,) = (row for row in screen_text(app) if "sleep b" in row)
        assert row.endswith("waiting")
        host.emit(e.ToolStateChange(tool_call_id="b", tool="bash", state="running"))
        await settled(app, pilot, host)
        (row,) = (row for row in screen_text(app) if "sleep b" in row)
        assert "waiting" not in row and row.rstrip().endswith("0:00")


async def test_a_hint_about_what_goes_on_ends_with_it() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        with app.hinting("asking somebody …"):
            await pilot.pause()
            assert any("asking somebody" in row for row in screen_text(app))
        await pilot.pause()
        assert not any("asking somebody" in row for row in screen_text(app))
        app.hint("switching", until=(e.ModelSwitched,))
        await pilot.pause()
        host.emit(e.ModelSwitched(model="other/model", previous="fake/model"))
        await settled(app, pilot, host)
        assert not any("switching" in row for row in screen_text(app))
        app.hint("one")
        app.query_one(ActivityLine).unhint("another")
        await pilot.pause()
        assert any(row.strip() == "one" for row in screen_text(app)), "what ends takes only its own words away"


async def test_a_fork_says_which_copy_it_is() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        complete = e.ResumeComplete(
            path="aaaa1111bbbb",
            restored_count=1,
            dropped_count=0,
            model_name="m",
            invalid_saved_model=None,
            forked=True,
            had_redacted_content=False,
        )
        host.emit(complete)
        await settled(app, pilot, host)
        text = " ".join(" ".join(screen_text(app)).split())
        assert f"A copy of aaaa1111 as {SESSION[:8]}; the original stays as it is." in text
