"""Several terminals in one session: who said and decided what, and one that reads too slowly."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ml_intern.errors import SessionBusy, SessionClosed
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import decode
from ml_intern.session.control import Watch, encode_frame, socket_path
from ml_intern.session.host import SessionHost
from ml_intern.session.log import QUEUE_LIMIT
from ml_intern.session.remote import RemoteHost
from ml_intern.session.session import Session
from ml_intern.session.state import SessionState
from tests.flows.conftest import MakeWorld
from tests.flows.joining_support import QUICK, Live, Proxy
from tests.flows.support import ASKS, Echo, World, call


async def test_a_watcher_that_fell_behind_misses_nothing_that_is_stored(world: MakeWorld, live: Live) -> None:
    """More happens than may wait for it: it is sent back to the store, by the number of the last event that it was given."""
    owner = await world(*["y" * 3_000] * 2)
    await live.doors.open(owner.session)
    reader, writer = await asyncio.open_unix_connection(str(socket_path(live.folder, "s1")), limit=1024)
    writer.write(encode_frame(Watch(after_seq=0)))
    length = int(await reader.readline())
    await reader.readexactly(length + 1)
    await owner.say("one")
    for number in range(QUEUE_LIMIT + 500):
        await owner.session.log.append(e.ToolLog(tool="system", log=f"{number} " + "z" * 400))
    await owner.say("two")
    last, seen = owner.state.last_seq, list[int]()
    while not seen or seen[-1] < last:
        length = int(await asyncio.wait_for(reader.readline(), 10))
        envelope = decode(await asyncio.wait_for(reader.readexactly(length + 1), 10))
        if envelope.seq is not None:
            seen.append(envelope.seq)
    assert seen == list(range(1, last + 1))
    writer.close()


async def test_what_a_joined_terminal_sends_says_whose_it_is_and_no_operation_can_claim_another(world: MakeWorld, live: Live) -> None:
    owner = await world([call("echo", '{"text":"x"}', id="c1")], "ok", tools=[Echo(risk=ASKS)])
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    watcher = live.watch(joined)
    await joined.submit(op.UserInput(text="go", sent_by="somebody else"))
    await watcher.until(lambda x: isinstance(x, e.ApprovalRequired))
    await joined.submit(op.SetTitle(title="Ours"))
    told = await watcher.until(lambda x: isinstance(x, e.OperationReceived))
    await joined.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=True),)))
    decided = await watcher.until(lambda x: isinstance(x, e.ToolStateChange) and x.state == "approved")
    await watcher.until(lambda x: isinstance(x, e.TurnComplete))
    assert told == e.OperationReceived(operation="set_title", sent_by=joined.sender)
    assert owner.of(e.UserMessageAdded)[0].sent_by == joined.sender == f"process {os.getpid()}"
    assert isinstance(decided, e.ToolStateChange) and decided.sent_by == joined.sender


async def test_who_joined_measures_messages_by_the_window_that_the_owner_knows_now(world: MakeWorld, live: Live) -> None:
    """What was known when it joined let a message through that the owner then cut."""
    owner = await world("Hello.", "Again.")
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    watcher = live.watch(joined, after_seq=None)
    assert joined.context_window is None
    owner.port.window = 8_000
    await owner.say("hi")
    await watcher.until(lambda x: isinstance(x, e.LlmCall))
    while joined.context_window is None:
        await asyncio.sleep(0.01)
    assert joined.context_window == 8_000


async def test_of_two_terminals_that_answer_at_once_one_decides_and_both_hear_who(world: MakeWorld, live: Live) -> None:
    owner = await world([call("echo", '{"text":"x"}', id="c1")], "ok", tools=[Echo(risk=ASKS)])
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    watcher = live.watch(joined)
    await owner.session.submit(op.UserInput(text="go"))
    await watcher.until(lambda x: isinstance(x, e.ApprovalRequired))
    yes, no = (op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=way),)) for way in (True, False))
    await asyncio.gather(joined.submit(yes), owner.session.submit(no))
    await watcher.until(lambda x: isinstance(x, e.TurnComplete))
    decisions = [x.event for x in watcher.seen if isinstance(x.event, e.ToolStateChange) and x.event.state in ("approved", "rejected")]
    assert [(x.state, x.sent_by) for x in decisions] in ([("approved", joined.sender)], [("rejected", "")])


class LetsGoLate:
    """A factory: the session is in use for a moment longer than its owner said."""

    def __init__(self, opened: Callable[[], Awaitable[Session]]) -> None:
        self._opened = opened
        self.tries = 0
        self.last_words = ()

    async def new(self, after: SessionState | None = None) -> Session:
        raise AssertionError("nobody asked for a new one")

    async def find(self, name: str) -> str:
        return name

    async def resume_or_join(self, name: str) -> Session | RemoteHost:
        self.tries += 1
        if self.tries < 3:
            raise SessionBusy("It is in use.", session_id=name)
        return await self._opened()

    async def fork(self, session: Session | RemoteHost, at_seq: int | None) -> Session:
        raise AssertionError("nobody asked for a copy")

    async def aclose(self) -> None:
        """Nothing is held."""


async def test_the_next_message_opens_a_vacated_session_here_and_its_reader_goes_on_without_a_gap(world: MakeWorld, live: Live) -> None:
    owner = await world("from the owner")
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    await owner.say("one")

    async def opened() -> Session:
        return (await world("from here", store=owner.store)).session

    factory = LetsGoLate(opened)
    async with SessionHost(factory, joined) as host:
        watcher = live.watch(host)
        await watcher.until(lambda x: isinstance(x, e.TurnComplete))
        await live.close(owner)
        await watcher.until(lambda x: isinstance(x, e.ConnectionChanged) and x.over)
        assert host.vacated and host.owner
        await host.submit(op.UserInput(text="two"))
        await watcher.until(lambda x: isinstance(x, e.TurnComplete) and x.final_response == "from here")
        assert factory.tries == 3 and not host.vacated and not host.owner
        assert watcher.stored == list(range(1, watcher.stored[-1] + 1))


@asynccontextmanager
async def cut_off(world: MakeWorld, live: Live) -> AsyncIterator[tuple[World, Proxy, SessionHost]]:
    """An owner, what stands between it and this terminal, and this terminal, which opens the session when it can."""
    owner = await world("from the owner")
    await live.doors.open(owner.session)
    proxy = Proxy(live.folder, live.folder.parent / "front", "s1")
    await proxy.start()
    joined = await RemoteHost.attach(proxy.front, "s1", QUICK)

    async def opened() -> Session:
        return (await world("from here", store=owner.store)).session

    async with SessionHost(LetsGoLate(opened), joined) as host:
        yield owner, proxy, host


async def test_an_answer_to_an_owner_that_has_just_died_is_told_to_be_lost(world: MakeWorld, live: Live) -> None:
    async with cut_off(world, live) as (_, proxy, host):
        await proxy.stop()
        answer = op.ApprovalAnswer(tool_call_id="c1", approved=True)
        with pytest.raises(SessionClosed, match="was not taken"):
            await host.submit(op.ExecApproval(approvals=(answer,)))


async def test_a_message_on_its_way_when_the_owner_dies_is_said_here(world: MakeWorld, live: Live) -> None:
    async with cut_off(world, live) as (owner, proxy, host):
        watcher = live.watch(host)
        await proxy.stop()
        await owner.store.release("s1")
        assert not host.vacated, "nobody knows yet"
        await host.submit(op.UserInput(text="two"))
        await watcher.until(lambda x: isinstance(x, e.TurnComplete) and x.final_response == "from here")
