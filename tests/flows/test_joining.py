"""A second process takes part in a session: it sees what happens, answers, steers, and outlives neither lie nor loss."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ml_intern.errors import ProtocolError, SessionClosed
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import SCHEMA_VERSION
from ml_intern.session.control import Watch, encode_frame, socket_path
from ml_intern.session.door import Doors
from ml_intern.session.peers import Peer, peer_of, why_refused
from ml_intern.session.remote import RemoteHost
from ml_intern.session.remote_wire import NotOpen, open_sessions
from tests.flows.conftest import MakeWorld
from tests.flows.joining_support import PATIENT, QUICK, Live, Proxy
from tests.flows.support import ASKS, Echo, call, snapshot


async def test_who_joins_sees_everything_from_the_beginning_and_then_what_happens_live(world: MakeWorld, live: Live) -> None:
    owner = await world("the first answer", "the second answer")
    await owner.say("one")
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    assert snapshot(joined.state) == snapshot(owner.state), "the state is the fold of the same events"
    watcher = live.watch(joined)
    await watcher.until(lambda x: isinstance(x, e.TurnComplete))
    await owner.say("two")
    await watcher.until(lambda x: isinstance(x, e.TurnComplete) and x.final_response == "the second answer")
    chunks = "".join(x.event.content for x in watcher.seen if isinstance(x.event, e.AssistantChunk))
    assert chunks == "the second answer", "what is written is seen while it is written, and old text only once"
    assert watcher.stored == list(range(1, owner.state.last_seq + 1))
    assert snapshot(joined.state) == snapshot(owner.state)


async def test_who_joins_can_start_a_turn_and_the_owner_sees_it(world: MakeWorld, live: Live) -> None:
    owner = await world("done")
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    watcher = live.watch(joined, after_seq=None)
    await joined.submit(op.UserInput(text="from the second terminal"))
    await owner.turn_end()
    assert owner.of(e.UserMessageAdded)[0].content == "from the second terminal"
    await watcher.until(lambda x: isinstance(x, e.TurnComplete))
    assert not joined.busy


async def test_an_approval_that_one_terminal_answers_closes_in_the_other(world: MakeWorld, live: Live) -> None:
    owner = await world([call("echo", '{"text":"x"}', id="c1")], "ok", tools=[Echo(risk=ASKS)])
    await live.doors.open(owner.session)
    first, second = await live.join(owner), await live.join(owner)
    one, two = live.watch(first), live.watch(second)
    await first.submit(op.UserInput(text="go"))
    for watcher in (one, two):
        await watcher.until(lambda x: isinstance(x, e.ApprovalRequired))
        assert list(watcher.host.state.pending) == ["c1"] and watcher.host.busy
    await second.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=True),)))
    for watcher in (one, two):
        await watcher.until(lambda x: isinstance(x, e.ToolStateChange) and x.state == "approved")
        await watcher.until(lambda x: isinstance(x, e.TurnComplete))
        assert not watcher.host.state.pending
    await first.submit(op.ExecApproval(approvals=(op.ApprovalAnswer(tool_call_id="c1", approved=False),)))
    late = await one.until(lambda x: isinstance(x, e.ErrorRaised))
    assert isinstance(late, e.ErrorRaised) and "No pending approval" in late.error and not late.ends_turn
    assert late.sent_by == first.sender


async def test_who_joined_may_look_at_the_rules_without_the_others_being_told(world: MakeWorld, live: Live) -> None:
    owner = await world()
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    watcher = live.watch(joined)
    await watcher.until(lambda x: isinstance(x, e.SessionStarted))
    received: list[str] = []

    def is_the_rules(event: e.AnyEvent) -> bool:
        received.append(event.wire)
        return isinstance(event, e.RulesInForce)

    await joined.submit(op.TryCall(call="bash: ls"))
    await joined.submit(op.ShowRules())
    await watcher.until(is_the_rules)
    assert "call_tried" in received and "operation_received" not in received


async def test_leaving_a_session_of_another_process_leaves_it_running(world: MakeWorld, live: Live) -> None:
    owner = await world("still here")
    await live.doors.open(owner.session)
    async with await live.join(owner) as joined:
        watcher = live.watch(joined)
        await watcher.until(lambda x: isinstance(x, e.SessionStarted))
        await joined.submit(op.Shutdown())
        await watcher.end()
        with pytest.raises(SessionClosed):
            await joined.submit(op.UserInput(text="too late"))
    assert isinstance(await owner.say("there?"), e.TurnComplete)


@pytest.mark.parametrize("operation", [op.New(), op.Resume(path="last"), op.Fork()], ids=["new", "resume", "fork"])
async def test_who_joins_cannot_take_the_session_away_from_its_owner(world: MakeWorld, live: Live, operation: op.AnyOperation) -> None:
    owner = await world()
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    watcher = live.watch(joined)
    await watcher.until(lambda x: isinstance(x, e.SessionStarted))
    await joined.submit(operation)
    said = await watcher.until(lambda x: isinstance(x, e.ErrorRaised))
    assert isinstance(said, e.ErrorRaised) and "another process" in said.error and not said.ends_turn


async def test_the_end_of_the_session_is_told_and_its_last_words_arrive(world: MakeWorld, live: Live) -> None:
    owner = await world("bye")
    await live.doors.open(owner.session)
    joined = await live.join(owner)
    watcher = live.watch(joined)
    await owner.say("one")
    await live.close(owner)
    await watcher.end()
    assert any(isinstance(x.event, e.SessionShutdown) for x in watcher.seen)
    assert watcher.states() == ["attached", "ended"]
    assert not socket_path(live.folder, "s1").exists()
    with pytest.raises(SessionClosed):
        await joined.submit(op.Interrupt())


async def test_a_session_that_is_closed_is_nobody_to_join_while_its_owner_still_tidies_up(world: MakeWorld, live: Live) -> None:
    """Who had joined it comes back at once, and would be told of its end again and again."""
    owner = await world("bye")
    await live.doors.open(owner.session)
    await owner.close()
    with pytest.raises(NotOpen):
        await live.join(owner)


async def test_an_owner_that_dies_is_told_after_a_while_and_submitting_says_how_to_go_on(world: MakeWorld, live: Live) -> None:
    owner = await world([call("echo", id="c1")], tools=[Echo(risk=ASKS)])
    proxy = Proxy(live.folder, live.folder.parent / "front", "s1")
    await live.doors.open(owner.session)
    await proxy.start()
    joined = await RemoteHost.attach(proxy.front, "s1", QUICK)
    live.hosts.append(joined)
    watcher = live.watch(joined)
    await joined.submit(op.UserInput(text="go"))
    await watcher.until(lambda x: isinstance(x, e.ApprovalRequired))
    await proxy.stop()
    await watcher.end()
    assert watcher.states()[-1] == "gone" and not joined.busy
    with pytest.raises(SessionClosed, match="--resume s1"):
        await joined.submit(op.Interrupt())


async def test_a_connection_that_breaks_is_made_again_and_nothing_is_missed_or_seen_twice(world: MakeWorld, live: Live) -> None:
    owner = await world("one", "two", "three")
    proxy = Proxy(live.folder, live.folder.parent / "front", "s1")
    await live.doors.open(owner.session)
    await proxy.start()
    joined = await RemoteHost.attach(proxy.front, "s1", PATIENT)
    live.hosts.append(joined)
    watcher = live.watch(joined)
    await owner.say("first")
    await watcher.until(lambda x: isinstance(x, e.TurnComplete))
    await proxy.stop()
    await watcher.until(lambda x: isinstance(x, e.ConnectionChanged) and x.state == "lost")
    await owner.say("while it was away")
    await proxy.start()
    await watcher.until(lambda x: isinstance(x, e.ConnectionChanged) and x.state == "restored")
    await joined.submit(op.UserInput(text="back again"))
    await watcher.until(lambda x: isinstance(x, e.TurnComplete) and x.final_response == "three")
    assert watcher.stored == list(range(1, owner.state.last_seq + 1))
    assert watcher.states() == ["attached", "lost", "restored"]
    assert snapshot(joined.state) == snapshot(owner.state)
    await joined.aclose()
    await proxy.stop()


async def test_a_socket_that_a_dead_process_left_is_nobody_to_join_and_makes_room_for_the_next_owner(world: MakeWorld, live: Live) -> None:
    owner = await world("alive")
    live.folder.mkdir(mode=0o700)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(socket_path(live.folder, "s1")))
    stale.close()
    with pytest.raises(NotOpen):
        await live.join(owner)
    assert await open_sessions(live.folder, QUICK) == []
    await live.doors.open(owner.session)
    assert [one.session for one in await open_sessions(live.folder, QUICK)] == ["s1"]
    assert (await live.join(owner)).session_id == "s1"


async def test_the_folder_and_the_socket_are_for_the_user_alone(world: MakeWorld, live: Live) -> None:
    owner = await world()
    await live.doors.open(owner.session)
    assert live.folder.stat().st_mode & 0o777 == 0o700
    assert socket_path(live.folder, "s1").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in live.folder.iterdir()] == ["s1.sock"]


def test_another_user_and_whatever_the_session_itself_started_are_refused() -> None:
    assert "user 1001" in why_refused(Peer(uid=1001, pid=4242), uid=1000, pid=os.getpid())
    own, parent = os.getpid(), os.getppid()
    assert why_refused(Peer(uid=1000, pid=own), uid=1000, pid=own) == ""
    assert "was started by this session" in why_refused(Peer(uid=1000, pid=own), uid=1000, pid=parent)
    assert why_refused(Peer(uid=1000, pid=parent), uid=1000, pid=own) == "", "who started us may"


async def test_a_command_of_the_session_cannot_approve_its_own_calls(world: MakeWorld, live: Live) -> None:
    owner = await world([call("echo", id="c1")], tools=[Echo(risk=ASKS)])
    await live.doors.open(owner.session)
    await owner.session.submit(op.UserInput(text="go"))
    await owner.until(e.ApprovalRequired)
    command = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); print(s.recv(99))"
    )
    tell = '{"control":"tell","operation":{"type":"exec_approval","approvals":[{"tool_call_id":"c1","approved":true}]}}'
    child = await asyncio.create_subprocess_exec(
        "python3", "-c", command, str(socket_path(live.folder, "s1")), f"{len(tell)}\n{tell}\n",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await child.communicate()
    assert b"taken" not in out
    assert list(owner.state.pending) == ["c1"]


def test_the_kernel_says_whose_connection_it_is() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_of(one) == Peer(os.getuid(), os.getpid())


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\n", b"-5\n", b"99999999999\n", b"12\n{\"control\":1}\n", b"7\n", b"", b"3\n{}}\n"],
    ids=["no number", "negative", "huge", "not a request", "half", "nothing", "not json"],
)  # fmt: skip
async def test_nonsense_on_the_socket_hurts_nobody(world: MakeWorld, live: Live, sent: bytes) -> None:
    owner = await world("fine")
    await live.doors.open(owner.session)
    reader, writer = await asyncio.open_unix_connection(str(socket_path(live.folder, "s1")))
    writer.write(sent)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer == b"" or b'"refused"' in answer
    assert (await live.join(owner)).session_id == "s1"


async def test_an_operation_that_is_none_is_refused_with_the_reason(world: MakeWorld, live: Live) -> None:
    owner = await world()
    await live.doors.open(owner.session)
    reader, writer = await asyncio.open_unix_connection(str(socket_path(live.folder, "s1")))
    body = b'{"control":"tell","operation":{"type":"format_disk"}}'
    writer.write(b"%d\n%s\n" % (len(body), body))
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert b"Not an operation" in answer


async def test_a_watcher_that_never_reads_costs_the_session_nothing(world: MakeWorld, live: Live) -> None:
    big = "x" * 400_000
    owner = await world(*[big] * 6)
    await live.doors.open(owner.session)
    reader, writer = await asyncio.open_unix_connection(str(socket_path(live.folder, "s1")), limit=1024)
    writer.write(encode_frame(Watch(after_seq=0)))
    await reader.readline()
    for _ in range(6):
        assert isinstance(await owner.say("go on"), e.TurnComplete)
    await live.close(owner)
    writer.close()


async def test_a_path_that_is_longer_than_an_address_may_be_works(world: MakeWorld, tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 60) / ("e" * 60)
    owner = await world("hello")
    doors = Doors(folder)
    await doors.open(owner.session)
    async with await RemoteHost.attach(folder, "s1", QUICK) as joined:
        assert joined.state.session_id == "s1"
    await doors.close("s1")


OTHER_VERSION = (
    r"open in ml-intern 9\.9\.9 \(process 1 since ..:..\), and this is ml-intern .*: the two do not understand.*Upgrade the older one"
)


def frames(*bodies: bytes) -> bytes:
    return b"".join(b"%d\n%s\n" % (len(body), body) for body in bodies)


@asynccontextmanager
async def owner_of_another_version(folder: Path, *after: bytes, schema: int, last_seq: int) -> AsyncIterator[None]:
    """It greets whoever comes with a word that is not known here, and refuses what is told."""
    welcome = (
        b'{"control":"welcome","session":"s1","last_seq":%d,"pid":1,"host":"h","cwd":"/","title":"","busy":false,'
        b'"since":"2026-11-21T12:00:00Z","v":%d,"version":"9.9.9","mood":"fine"}' % (last_seq, schema)
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked = await reader.readline()
        refused = b'{"control":"refused","error":"Not an operation: unknown","kind":"ProtocolError"}'
        writer.write(frames(refused) if b'"tell"' in asked else frames(welcome, *after))
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(serve, str(socket_path(folder, "s1"))):
        yield


async def test_an_owner_of_another_version_is_not_misread_and_both_versions_are_told(tmp_path: Path) -> None:
    async with owner_of_another_version(tmp_path, schema=99, last_seq=0):
        assert [one.version for one in await open_sessions(tmp_path, QUICK)] == ["9.9.9"]
        with pytest.raises(ProtocolError, match=OTHER_VERSION):
            await RemoteHost.attach(tmp_path, "s1", QUICK)


async def test_an_event_that_only_the_owners_version_knows_is_told_as_that(tmp_path: Path) -> None:
    event = b'{"v":1,"session":"s1","seq":1,"at":"2026-11-21T12:00:00Z","type":"of_tomorrow","data":{}}'
    async with owner_of_another_version(tmp_path, event, schema=SCHEMA_VERSION, last_seq=1):
        with pytest.raises(ProtocolError, match=OTHER_VERSION):
            await RemoteHost.attach(tmp_path, "s1", QUICK)


async def test_an_operation_that_the_owners_version_does_not_know_is_told_as_that(tmp_path: Path) -> None:
    async with (
        owner_of_another_version(tmp_path, schema=SCHEMA_VERSION, last_seq=0),
        await RemoteHost.attach(tmp_path, "s1", QUICK) as joined,
    ):
        with pytest.raises(ProtocolError, match=OTHER_VERSION):
            await joined.submit(op.UserInput(text="hello"))
