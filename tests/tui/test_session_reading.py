"""How the app reads sessions: another one in place of this one, a store that fails, operations before there is a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from textual.worker import WorkerFailed

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import Settings
from ml_intern.errors import ConfigError, StoreError
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.backend import Backend
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from tests.tui.driven import WatchedApp
from tests.tui.scripted import STARTED, ScriptedHost, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import done, plays, reply, started

OTHER = "f" * 16


def from_other(host: ScriptedHost, *events: e.AnyEvent) -> None:
    host.current = OTHER
    for number, event in enumerate(events, 1):
        host._queue.put_nowait(Envelope(session=OTHER, seq=number, at=datetime.now(UTC), event=event))


def new(*, clear_screen: bool) -> e.NewComplete:
    return e.NewComplete(
        session_id=OTHER,
        previous_session_id="0",
        previous_turn_count=1,
        previous_message_count=2,
        saved_path=None,
        clear_screen=clear_screen,
    )


RESUMED = e.ResumeComplete(
    path="f", restored_count=1, dropped_count=0, model_name="m", invalid_saved_model=None, forked=False, had_redacted_content=False
)


@pytest.mark.parametrize(("move", "kept"), [(new(clear_screen=False), True), (new(clear_screen=True), False), (RESUMED, False)])
async def test_another_session_is_read_from_its_beginning(move: e.AnyEvent, kept: bool) -> None:
    host = scripted(past=(STARTED, *started("of the first"), reply("One."), done("One.")))
    async with running(host, size=(120, 24)) as (app, pilot):
        log = (e.SessionStarted(session_id=OTHER, cwd="/elsewhere", model="other/model"), move, *started("of the other"))
        from_other(host, move, *log)  # who read the other session goes on with this one, and reads all of it
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
    assert host.read_from == 0
    assert "of the other" in text
    assert ("of the first" in text) is kept
    assert "other/model" in text
    assert "/elsewhere" in text
    assert ("new session ffffffff · the one before: /resume 0" in text) is isinstance(move, e.NewComplete)


async def test_what_is_said_before_the_session_is_open_reaches_it_in_order() -> None:
    host = scripted()
    gate = asyncio.Event()

    async def opening() -> Backend:
        await gate.wait()
        return host

    app = WatchedApp(opening, LoadedSettings(settings=Settings(), environ=Environ({}), cwd=Path("/home/shop")))
    async with app.run_test() as pilot:
        app.send(op.UserInput(text="one"))
        app.send(op.SetTitle(title="two"))
        app.send(op.UserInput(text="three"))
        await pilot.pause()
        assert host.operations == []
        gate.set()
        await settled(app, pilot, host)
    assert host.operations == [op.UserInput(text="one"), op.SetTitle(title="two"), op.UserInput(text="three")]


async def test_what_follows_a_move_waits_for_it_and_an_interrupt_does_not() -> None:
    moved = asyncio.Event()
    seen: list[op.AnyOperation] = []

    async def play(host: object, operation: op.AnyOperation) -> None:
        if isinstance(operation, op.New):
            await moved.wait()
        seen.append(operation)

    host = scripted(play=play)
    async with running(host) as (app, pilot):
        for operation in (op.New(), op.UserInput(text="for the new one"), op.Interrupt()):
            app.send(operation)
        await pilot.pause()
        assert seen == [op.Interrupt()]
        moved.set()
        await pilot.pause()
    assert seen == [op.Interrupt(), op.New(), op.UserInput(text="for the new one")]


async def test_a_session_that_cannot_be_opened_says_why_and_leaves_the_app_running() -> None:
    """core W5.3: the original waited for ever for an agent that had died."""

    async def opening() -> Backend:
        raise ConfigError("There is no model.", hint="Set HF_TOKEN.")

    app = WatchedApp(opening, LoadedSettings(settings=Settings(), environ=Environ({}), cwd=Path("/home/shop")))
    async with app.run_test() as pilot:
        await pilot.pause()
        app.conversation.show_changes()
        await pilot.pause()
        text = "\n".join(screen_text(app))
        assert app.is_running
    assert "There is no model." in text
    assert "Set HF_TOKEN." in text


class Failing(ScriptedHost):
    async def events(self, *, after_seq: int | None = None) -> AsyncIterator[Envelope]:
        async for envelope in super().events(after_seq=after_seq):
            yield envelope
            if isinstance(envelope.event, e.Processing):
                raise StoreError("The disk is full.", hint="Make room.")


async def test_a_store_that_fails_is_told_and_what_was_shown_stays() -> None:
    host = Failing(plays())
    host.record(STARTED)
    async with running(host) as (app, pilot):
        host.emit(*started("hello"))
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
    assert "hello" in text
    assert "The disk is full." in text


async def test_what_ends_the_app_is_handed_on_without_a_picture_of_its_variables() -> None:
    async def opening() -> Backend:
        raise ZeroDivisionError("a defect")

    app = WatchedApp(opening, LoadedSettings(settings=Settings(), environ=Environ({}), cwd=Path("/home/shop")))
    with pytest.raises(WorkerFailed):  # a run in a test raises what a real one keeps
        await _run(app)
    assert isinstance(app.failure, ZeroDivisionError)
    assert app._exit_renderables == []


async def _run(app: TuiApp) -> None:
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.pause()


def over(state: str) -> e.ConnectionChanged:
    return e.ConnectionChanged(state=state, message="The other process is done with it.")


async def test_a_joined_session_that_its_process_closed_is_opened_here_and_the_draft_stays() -> None:
    host = scripted(past=(STARTED, *started("hello"), reply("Hi."), done("Hi.")))
    async with running(host) as (app, pilot):
        await pilot.press(*"half a thou")
        host.vacated = True
        host.emit(over("ended"))
        await settled(app, pilot, host)
        assert app.composer.text == "half a thou"
    assert host.operations == [op.Resume(path=host.session_id)]


async def test_a_joined_session_that_died_in_the_middle_of_a_turn_is_offered_not_opened() -> None:
    host = scripted(past=(STARTED, *started("hello")))
    async with running(host, size=(120, 24)) as (app, pilot):
        host.vacated = True
        host.emit(over("gone"))
        await settled(app, pilot, host)
        text = " ".join(" ".join(screen_text(app)).split())
    assert host.operations == []
    assert "in the middle of a turn" in text and "/resume 01234567" in text


async def test_a_session_that_was_left_for_another_one_is_not_opened_again() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        host.emit(over("ended"))
        await settled(app, pilot, host)
    assert host.operations == []


async def test_a_message_of_another_terminal_says_so_and_ones_own_does_not() -> None:
    host = scripted()
    host.sender = "process 77"
    async with running(host) as (app, pilot):
        host.emit(e.UserMessageAdded(content="mine", sent_by="process 77"), e.UserMessageAdded(content="theirs", sent_by="process 99"))
        await settled(app, pilot, host)
        text = "\n".join(screen_text(app))
    assert text.count("from another terminal") == 1
    assert "process" not in text
