"""A session that shares its trace: beside the turn, bounded at the end, and only with the user's yes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ml_intern.config.environ import Environ
from ml_intern.config.secret import SecretStr
from ml_intern.config.settings import Settings
from ml_intern.gateways.hub.client import HubClient
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.session.clock import SystemClock
from ml_intern.session.scrub import Scrubber
from ml_intern.session.session_traces import SessionTraces
from ml_intern.session.trace_sharing import TraceSharing, allowed_destinations
from ml_intern.sinks.hub_traces import TraceSchedule
from ml_intern.sinks.trace_consent import PublicConsent
from ml_intern.stores.base import EventStore
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_hub.server import FakeAccount
from tests.flows.support import Build, Echo, FakePort, World, build, call
from tests.flows.test_research import Desk

REPO = "alice/ml-intern-sessions"
TOKEN = SecretStr(FakeHub.TOKEN)
SHARING = Settings(share_traces=True)


class Heard:
    """What the fake Hub was given."""

    def __init__(self, hub: FakeHub) -> None:
        self.hub = hub

    def said(self) -> list[str]:
        """The users' and models' words that the Hub has."""
        found: list[str] = []
        for path, data in self.hub.repos.files(REPO, "dataset").items() if self.hub.repos.has(REPO, "dataset") else ():
            for line in data.splitlines() if path.startswith("sessions/") else ():
                content = json.loads(line)["message"]["content"]
                found += [content] if isinstance(content, str) else [block["text"] for block in content if block["type"] == "text"]
        return found

    async def until_said(self, text: str) -> None:
        async with asyncio.timeout(10):
            while text not in self.said():
                await asyncio.sleep(0.01)


class Shared(Heard):
    """A session, the fake Hub, and what reads the one for the other."""

    def __init__(self, world: World, traces: SessionTraces, sharing: TraceSharing, hub: FakeHub, at_end: list[str]) -> None:
        super().__init__(hub)
        self.world, self.traces, self.sharing = world, traces, sharing
        self.at_end = at_end

    async def close(self) -> None:
        await self.world.close()
        await self.traces.aclose()
        await self.sharing.hub.hub.aclose()

    def progress(self) -> Any:
        return self.sharing.progress.load(self.world.session.log.session_id, "personal")


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub(accounts={FakeHub.TOKEN: FakeAccount(name="alice", orgs=("acme",))}) as served:
        yield served


async def open_shared(
    hub: FakeHub,
    tmp_path: Path,
    port: FakePort,
    settings: Settings = SHARING,
    *,
    store: EventStore | None = None,
    close_s: float = 20.0,
    token: SecretStr | None = TOKEN,
    **how: Any,
) -> Shared:
    world = await build(Build(tmp_path=tmp_path, port=port, **how), store=store)
    client = HubClient(hub.url, token)
    sharing = TraceSharing(settings, client, Environ({}), tmp_path / "data", SystemClock())
    at_end: list[str] = []
    traces = SessionTraces(world.session.log, settings, sharing, Scrubber().scrub_event, at_end=at_end.append, close_s=close_s)
    traces.start()
    return Shared(world, traces, sharing, hub, at_end)


# ── consent ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_yes_there_is_nowhere_to_send_to(tmp_path: Path) -> None:
    # core W2.4: full transcripts went to a shared dataset by default
    consent = PublicConsent(tmp_path / "public.json")
    names = [
        [one.name for one in allowed_destinations(settings, consent)]
        for settings in (
            Settings(),
            Settings(share_session_dataset=True),
            SHARING,
            Settings(share_traces=True, share_session_dataset=True),
            Settings(share_traces=True, save_sessions=False),
        )
    ]
    assert names == [[], [], ["personal"], ["personal", "shared"], []]


async def test_without_a_yes_not_one_request_is_made(hub: FakeHub, tmp_path: Path) -> None:
    # core W2.4
    shared = await open_shared(hub, tmp_path, FakePort("hello"), Settings())
    await shared.world.say("hi")
    await shared.close()
    assert not hub.requests and not (tmp_path / "data").exists()


async def test_the_shared_dataset_gets_one_row_at_the_end_and_only_with_a_yes_of_its_own(hub: FakeHub, tmp_path: Path) -> None:
    # core W2.4
    hub.repos.create("acme/all-sessions", "dataset")
    settings = Settings(share_traces=True, share_session_dataset=True, session_dataset_repo="acme/all-sessions")
    shared = await open_shared(hub, tmp_path, FakePort("hello"), settings)
    await shared.world.say("hi")
    await shared.until_said("hello")
    assert set(hub.repos.files("acme/all-sessions", "dataset")) == set()
    await shared.close()
    rows = list(hub.repos.files("acme/all-sessions", "dataset").values())
    assert len(rows) == 1, "the dataset's card is its owner's"
    assert json.loads(rows[0])["session_id"] == "s1" and json.loads(rows[0])["user_id"] == ""


# ── while it goes on ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_turn_is_there_when_it_is_over_and_the_rest_at_the_end(hub: FakeHub, tmp_path: Path) -> None:
    shared = await open_shared(hub, tmp_path, FakePort("one", "two"))
    await shared.world.say("first")
    await shared.until_said("one")
    await shared.world.say("second")
    await shared.close()
    assert shared.said() == ["first", "one", "second", "two"]
    assert shared.progress().state(shared.world.state.last_seq) == "sent"


async def test_a_turn_does_not_wait_for_a_hub_that_is_silent(hub: FakeHub, tmp_path: Path) -> None:
    hub.fail(".*", hang=True, times=99)
    shared = await open_shared(hub, tmp_path, FakePort("one", "two"), close_s=0.1)
    await shared.world.say("first")
    assert isinstance(await shared.world.say("second"), e.TurnComplete)
    await shared.close()
    assert shared.progress().state(shared.world.state.last_seq) == "pending"


async def test_with_an_interval_of_zero_it_is_sent_at_the_end_alone(hub: FakeHub, tmp_path: Path) -> None:
    shared = await open_shared(hub, tmp_path, FakePort("one"), Settings(share_traces=True, auto_save_interval=0, heartbeat_interval_s=0))
    await shared.world.say("first")
    assert not hub.requests
    await shared.close()
    assert shared.said() == ["first", "one"]


async def test_a_long_turn_is_sent_while_its_tool_says_nothing(hub: FakeHub, tmp_path: Path) -> None:
    # core W3.10: the heartbeat needed an event, which a silent tool does not give
    going_on = asyncio.Event()
    tool = Echo(lambda args, ctx: going_on.wait())
    settings = Settings(share_traces=True, heartbeat_interval_s=1)
    shared = await open_shared(hub, tmp_path, FakePort([call("echo")], "done"), settings, tools=[tool])
    await shared.world.session.submit(op.UserInput(text="work"))
    await shared.until_said("work")
    assert not going_on.is_set()
    going_on.set()
    await shared.world.turn_end()
    await shared.close()


async def test_compaction_and_undo_take_nothing_from_the_trace(hub: FakeHub, tmp_path: Path) -> None:
    # core W3.5
    shared = await open_shared(hub, tmp_path, FakePort("one", "two", "three"))
    await shared.world.say("first")
    await shared.world.say("second")
    await shared.world.session.submit(op.Undo())
    await shared.world.until(e.UndoComplete)
    await shared.world.say("third")
    await shared.close()
    assert shared.said() == ["first", "one", "second", "two", "third", "three"]


async def test_a_resumed_session_goes_on_in_its_file(hub: FakeHub, tmp_path: Path) -> None:
    # core W3.2, web W-26
    shared = await open_shared(hub, tmp_path, FakePort("one"))
    await shared.world.say("first")
    await shared.close()
    again = await open_shared(hub, tmp_path, FakePort("two"), store=shared.world.store)
    await again.world.say("second")
    await again.close()
    assert again.said() == ["first", "one", "second", "two"]
    assert len([path for path in hub.repos.files(REPO, "dataset") if path.startswith("sessions/")]) == 1


async def test_what_an_earlier_process_left_unsent_is_sent_with_the_next_turn(hub: FakeHub, tmp_path: Path) -> None:
    down = hub.fail(r".*", cut=True, times=999)
    shared = await open_shared(hub, tmp_path, FakePort("one"))
    await shared.world.say("first")
    await shared.close()
    assert shared.sharing.progress.known("s1", "personal") and shared.progress().sent_seq == 0
    down.times = 0
    again = await open_shared(hub, tmp_path, FakePort("two"), store=shared.world.store)
    await again.world.say("second")
    await again.close()
    assert again.said() == ["first", "one", "second", "two"]


async def test_what_was_not_sent_for_good_is_said_once_in_the_session(hub: FakeHub, tmp_path: Path) -> None:
    # core W3.10: failures were invisible
    hub.repos.create(REPO, "dataset")
    shared = await open_shared(hub, tmp_path, FakePort("one", "two"))
    await shared.world.say("first")
    told = await shared.world.until(e.ToolLog)
    assert "is public" in told.log and told.label == "traces"
    await shared.world.say("second")
    await shared.close()
    assert len(shared.world.of(e.ToolLog)) == 1 and shared.said() == []


async def test_a_missing_token_is_said_and_a_hub_out_of_reach_is_not(hub: FakeHub, tmp_path: Path) -> None:
    shared = await open_shared(hub, tmp_path, FakePort("one"), token=None)
    await shared.world.say("first")
    assert "token" in (await shared.world.until(e.ToolLog)).log
    await shared.close()
    hub.fail(".*", status=503, times=99)
    offline = await open_shared(hub, tmp_path / "other", FakePort("one"), close_s=0.1)
    await offline.world.say("first")
    await offline.close()
    assert offline.world.of(e.ToolLog) == []


@pytest.mark.parametrize("trouble", ["a dataset that is public", "a token that may not write", "a Hub that is down", "a Hub that hangs"])
async def test_what_the_end_of_a_session_could_not_send_is_said_when_its_log_is_closed(hub: FakeHub, tmp_path: Path, trouble: str) -> None:
    # core W3.10: the last upload failed without a word
    match trouble:
        case "a dataset that is public":
            hub.repos.create(REPO, "dataset")
        case "a token that may not write":
            hub.fail("POST .*/(commit|preupload)/.*", times=99, status=403, body={"error": "write access is missing"})
        case "a Hub that is down":
            hub.fail(".*", times=99, status=503)
        case _:
            hub.fail(".*", times=99, hang=True)
    hangs = trouble == "a Hub that hangs"
    only_at_the_end = Settings(share_traces=True, auto_save_interval=0, heartbeat_interval_s=0)
    shared = await open_shared(hub, tmp_path, FakePort("one"), only_at_the_end, close_s=0.2 if hangs else 20.0)
    await shared.world.say("first")
    await shared.close()
    assert len(shared.at_end) == 1 and "The trace of this session" in shared.at_end[0], shared.at_end
    assert "`ml-intern traces push` sends it." in shared.at_end[0]
    assert shared.world.of(e.ToolLog) == []
    hub.faults.clear()


async def test_a_file_that_holds_something_else_is_told_of_at_the_end_too(hub: FakeHub, tmp_path: Path) -> None:
    first = await open_shared(hub, tmp_path, FakePort("one"))
    await first.world.say("first")
    await first.close()
    other = await open_shared(hub, tmp_path / "other", FakePort("two"), Settings(share_traces=True, auto_save_interval=0))
    await other.world.say("another")
    await other.close()
    assert any("holds something else" in text for text in other.at_end), other.at_end


async def test_a_session_that_was_sent_ends_without_a_word(hub: FakeHub, tmp_path: Path) -> None:
    shared = await open_shared(hub, tmp_path, FakePort("one"))
    await shared.world.say("first")
    await shared.close()
    assert shared.said() == ["first", "one"] and shared.at_end == []


async def test_writing_the_trace_costs_the_loop_next_to_nothing_however_long_it_is(hub: FakeHub, tmp_path: Path) -> None:
    # core W4.2: the whole trajectory was rewritten at each turn, on the loop
    rendered: list[int] = []

    def scrub(event: e.AnyEvent) -> e.AnyEvent:
        rendered.append(1)
        return event

    world = await build(Build(tmp_path=tmp_path, port=FakePort(*["x"] * 20)))
    sharing = TraceSharing(SHARING, HubClient(hub.url, SecretStr(FakeHub.TOKEN)), Environ({}), tmp_path / "data", SystemClock())
    traces = SessionTraces(world.session.log, SHARING, sharing, scrub, at_end=[].append)
    traces.start()
    for _ in range(20):
        await world.say("go on")
    await world.close()
    await traces.aclose()
    await sharing.hub.hub.aclose()
    assert len(rendered) == world.state.last_seq, "each event is rendered once, however often it is sent"


async def test_a_sub_agents_transcript_lies_in_a_folder_named_like_the_session(hub: FakeHub, tmp_path: Path) -> None:
    watched: list[SessionTraces] = []
    own = FakePort([call("echo", '{"text": "table 3"}')], "Use LoRA.")

    async def watch(envelope: Envelope) -> None:
        await watched[0].watch_subagent(envelope)

    desk = Desk(tmp_path, [Echo()], own, watch=watch)
    shared = await open_shared(hub, tmp_path, FakePort([call("research", '{"task": "find it"}', "call/1")], "Done."), tools=[desk.tool])
    watched.append(shared.traces)
    desk.attach(shared.world)
    await shared.world.say("go")
    await shared.close()
    files = hub.repos.files(REPO, "dataset")
    [path] = [path for path in files if path.endswith("/s1/agent-call-1.jsonl")]
    lines = [json.loads(line) for line in files[path].splitlines()]
    assert [line["type"] for line in lines] == ["user", "assistant", "user", "assistant"]
    assert all(line["isSidechain"] and line["agentId"] == "call/1" and line["sessionId"] == "s1" for line in lines)
    assert path.startswith("sessions/") and lines[-1]["message"]["content"] == [{"type": "text", "text": "Use LoRA."}]
    assert shared.progress().state(shared.world.state.last_seq) == "sent"
    assert not list((tmp_path / "data").rglob("agent-*")), "the Hub has it: it is not kept here any more"


async def test_a_sub_agents_transcript_outlives_its_process_and_goes_with_the_next_upload(hub: FakeHub, tmp_path: Path) -> None:
    down = hub.fail(r".*", cut=True, times=9999)
    watched: list[SessionTraces] = []
    own = FakePort([call("echo", '{"text": "table 3"}')], "Use LoRA.")

    async def watch(envelope: Envelope) -> None:
        await watched[0].watch_subagent(envelope)

    desk = Desk(tmp_path, [Echo()], own, watch=watch)
    answered = asyncio.Event()

    async def last(request: Any) -> Any:
        answered.set()
        await asyncio.Event().wait()
        yield

    port = FakePort([call("research", '{"task": "find it"}', "call_1")], last)
    shared = await open_shared(hub, tmp_path, port, tools=[desk.tool], close_s=0.1)
    watched.append(shared.traces)
    desk.attach(shared.world)
    await shared.world.session.submit(op.UserInput(text="go"))
    await answered.wait()  # the session holds the answer; from here on the process may be killed at any moment
    [kept] = (tmp_path / "data").rglob("agent-call_1.jsonl")
    assert kept.read_text().count("\n") == 4 and kept.stat().st_mode & 0o077 == 0
    with kept.open("a") as file:
        file.write('{"half a li')
    await shared.world.session.submit(op.Interrupt())
    await shared.close()
    down.times = 0
    again = await open_shared(hub, tmp_path, FakePort("two"), store=shared.world.store)
    await again.world.say("second")
    await again.close()
    files = hub.repos.files(REPO, "dataset")
    [path] = [path for path in files if path.endswith("/s1/agent-call_1.jsonl")]
    assert len([json.loads(line) for line in files[path].splitlines()]) == 4
    assert kept.exists() is False


# ── what it costs ────────────────────────────────────────────────────────────────────────────────────────────────────


def commits(hub: FakeHub) -> int:
    return len([one for one in hub.requests if one.method == "POST" and "/commit/" in one.path])


async def test_quick_turns_are_sent_together(hub: FakeHub, tmp_path: Path) -> None:
    turns = 25
    shared = await open_shared(hub, tmp_path, FakePort(*[f"answer {n}" for n in range(turns)]))
    await shared.world.say("first")
    await shared.until_said("answer 0")
    for _ in range(turns - 1):
        await shared.world.say("go on")
    await shared.close()
    assert shared.said()[-1] == f"answer {turns - 1}" and commits(hub) == 2, "one at once, one for all the others at the end"


def test_the_longer_a_trace_is_the_rarer_it_is_sent() -> None:
    schedule = TraceSchedule(gap_s=30.0)
    assert schedule.pause_s(1_000) == 30.0
    assert schedule.pause_s(10 * 1024 * 1024) == 640.0, "16 KiB a second at most, on the average"
