"""Traces sent to the fake Hub, through the real client library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ml_intern.config.secret import SecretStr
from ml_intern.errors import StoreLocked
from ml_intern.gateways.hub.client import HubClient
from ml_intern.gateways.hub.traces import HubTraces, TraceFile, TraceRepo
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import SessionShutdown
from ml_intern.session.scrub import Scrubber
from ml_intern.session.trace_exposure import exposure
from ml_intern.session.trace_formats.card import card
from ml_intern.session.trace_writer import RowWriter, TraceWriter
from ml_intern.sinks.trace_progress import ProgressFiles
from ml_intern.sinks.trace_upload import Destination, Document, TraceUploader
from ml_intern.testing.fake_hub import FakeHub
from ml_intern.testing.fake_hub.repo_state import FakeFile
from ml_intern.testing.fake_hub.server import FakeAccount
from tests.trace_logs import SESSION, START, answer, bash, log, reply, started, user

REPO = "alice/ml-intern-sessions"
PATH = f"sessions/2026-01-02/{SESSION}.jsonl"
OPEN_PATH = f"open_traces/2026-01-02/{SESSION}.jsonl"
SECRET = "hf_" + "abcdefghijABCDEFGHIJ0123456789abcd"
TALK: list[Event] = [started(), user("one"), reply("1", bash("c")), answer("c"), reply("done")]
MORE: list[Event] = [*TALK, user("two"), reply("2")]


class World:
    """A fake Hub and a machine whose progress lies in ``folder``. ``waits`` are the pauses between attempts."""

    def __init__(self, hub: FakeHub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.clients: list[HubClient] = []
        self.waits: list[float] = []
        self.public_ok = False

    def traces(self, token: str | None = FakeHub.TOKEN, url: str = "") -> HubTraces:
        self.clients.append(HubClient(url or self.hub.url, SecretStr(token) if token else None))
        return HubTraces(self.clients[-1])

    def uploader(
        self,
        token: str | None = FakeHub.TOKEN,
        *,
        folder: str = "here",
        repo: str = "{hf_user}/ml-intern-sessions",
        url: str = "",
        **more: bool,
    ) -> TraceUploader:
        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        target = Destination(name="personal", repo=repo, public_ok=lambda _: self.public_ok, card=card, **more)
        return TraceUploader(self.traces(token, url), target, ProgressFiles(self.folder / folder), now=lambda: START, sleep=sleep)

    def file(self, path: str = PATH) -> bytes:
        return self.hub.repos.file(REPO, path, "dataset")

    def commits(self) -> int:
        return len(self.hub.seen(r"POST /api/datasets/.*/commit/"))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    accounts = {FakeHub.TOKEN: FakeAccount(name="alice", orgs=("acme",))}
    async with FakeHub(accounts=accounts) as hub:
        made = World(hub, tmp_path)
        yield made
        for client in made.clients:
            await client.aclose()


def documents(*events: Event, session: str = SESSION, scrub: Scrubber | None = None) -> list[Document]:
    return _documents(log(*events, session=session), session, scrub or Scrubber())


def _documents(envelopes: Sequence[Envelope], session: str, scrub: Scrubber) -> list[Document]:
    writer = TraceWriter(session, scrub.scrub_event)
    writer.feed(envelopes)
    try:
        return writer.documents()
    finally:
        writer.close()


async def test_the_first_upload_makes_a_private_dataset_with_a_card_and_both_formats(world: World) -> None:
    outcome = await world.uploader().send(SESSION, documents(*TALK))
    assert (outcome.repo_id, outcome.seq, outcome.sent, outcome.error) == (REPO, 5, True, "")
    assert world.hub.repos.get(REPO, "dataset").private
    text = world.file("README.md").decode()
    for wanted in ("agent-traces", "hf-agent-trace-viewer", "claude-code", "license: other", "sessions/**/*.jsonl", "may have been missed"):
        assert wanted in text
    assert [json.loads(line)["type"] for line in world.file().splitlines()] == ["user", "assistant", "user", "assistant"]
    assert json.loads(world.file(OPEN_PATH).splitlines()[0])["type"] == "session"
    assert world.commits() == 1, "all in one commit"


async def test_what_is_new_is_added_and_what_is_old_is_not_sent_again(world: World) -> None:
    await world.uploader().send(SESSION, documents(*TALK))
    before = world.file()
    assert not (await world.uploader().send(SESSION, documents(*TALK))).sent
    assert world.commits() == 1
    grown = await world.uploader().send(SESSION, documents(*MORE))
    assert grown.seq == 7 and world.file().startswith(before) and len(world.file()) > len(before)
    assert world.uploader().progress(SESSION).sent_seq == 7
    assert world.uploader().progress(SESSION).state(7) == "sent" and world.uploader().progress(SESSION).state(8) == "pending"


async def test_events_that_say_nothing_cost_no_request(world: World) -> None:
    await world.uploader().send(SESSION, documents(*TALK))
    count = len(world.hub.requests)
    outcome = await world.uploader().send(SESSION, documents(*TALK, SessionShutdown()))
    assert outcome.seq == 6 and not outcome.sent
    assert not [call for call in list(world.hub.requests)[count:] if call.path.startswith("/api/datasets")]


async def test_an_upload_that_fails_marks_nothing_as_sent(world: World) -> None:
    # core W3.1: an older upload that ended late marked newer text as sent
    await world.uploader().send(SESSION, documents(*TALK))
    world.hub.fail(r"POST /api/datasets/.*/commit/", status=500, times=99)
    outcome = await world.uploader().send(SESSION, documents(*MORE))
    assert outcome.error and not outcome.final and outcome.seq == 5
    kept = world.uploader().progress(SESSION)
    assert kept.sent_seq == 5 and kept.state(7) == "pending" and kept.attempts == 1
    world.hub.faults.clear()
    assert (await world.uploader().send(SESSION, documents(*MORE))).seq == 7
    assert world.uploader().progress(SESSION).error == ""


async def test_what_was_sent_is_the_state_that_was_written_not_what_came_meanwhile(world: World) -> None:
    # core W3.1
    snapshot = documents(*TALK)
    documents(*MORE)  # the session goes on while the upload is on its way
    await world.uploader().send(SESSION, snapshot)
    assert world.uploader().progress(SESSION).state(7) == "pending"


async def test_a_crash_between_the_commit_and_its_note_is_healed_by_looking(world: World) -> None:
    await world.uploader(folder="lost").send(SESSION, documents(*TALK))
    outcome = await world.uploader(folder="here").send(SESSION, documents(*TALK))
    assert outcome.seq == 5 and not outcome.sent and not outcome.note and world.commits() == 1
    assert (await world.uploader(folder="other").send(SESSION, documents(*MORE))).sent
    assert world.file() == documents(*MORE)[0].data


async def test_a_longer_history_on_the_hub_is_never_overwritten(world: World) -> None:
    # core W3.2 and web W-26: a resumed session replaced the richer file
    await world.uploader(folder="laptop").send(SESSION, documents(*MORE))
    longer = world.file()
    outcome = await world.uploader(folder="old-backup").send(SESSION, documents(*TALK))
    assert world.file() == longer and not outcome.sent and "goes on" in outcome.note


async def test_a_different_history_goes_to_a_file_of_its_own_and_that_is_said(world: World) -> None:
    await world.uploader(folder="laptop").send(SESSION, documents(*TALK))
    theirs = world.file()
    other = [*TALK[:2], reply("another answer"), user("and on")]
    outcome = await world.uploader(folder="desktop").send(SESSION, documents(*other))
    beside = PATH.replace(".jsonl", "-2.jsonl")
    assert world.file() == theirs and world.file(beside) == documents(*other)[0].data
    assert beside in outcome.note
    again = await world.uploader(folder="desktop").send(SESSION, documents(*other, reply("more")))
    assert (
        again.sent
        and world.file(beside).count(b"\n") == 4
        and PATH.replace(".jsonl", "-3.jsonl") not in world.hub.repos.files(REPO, "dataset")
    )
    assert beside in world.uploader(folder="desktop").progress(SESSION).note


async def test_after_the_dataset_was_deleted_and_made_anew_a_trace_has_its_own_name_again_and_no_old_note(world: World) -> None:
    world.hub.repos.create(REPO, "dataset", {PATH: "of another\n"}, private=True)
    first = await world.uploader().send(SESSION, documents(*TALK))
    assert "holds something else" in first.note
    world.hub.repos.create(REPO, "dataset", private=True)
    again = await world.uploader().send(SESSION, documents(*MORE))
    assert again.sent and again.note == "" and world.file() == documents(*MORE)[0].data
    assert world.uploader().progress(SESSION).note == ""


async def test_a_file_that_somebody_edited_is_left_alone(world: World) -> None:
    await world.uploader().send(SESSION, documents(*TALK))
    world.hub.repos.put(REPO, PATH, "edited by hand\n", "dataset")
    outcome = await world.uploader().send(SESSION, documents(*MORE))
    assert world.file() == b"edited by hand\n" and outcome.sent and "-2.jsonl" in outcome.note


async def test_two_machines_that_commit_at_once_lose_nothing(world: World) -> None:
    # core W3.1: two uploaders could end out of order and leave the older text
    await world.uploader().send(SESSION, documents(*TALK))
    world.hub.fail(r"POST /api/datasets/.*/commit/", status=412, times=1, body={"error": "A commit has happened since."})
    assert (await world.uploader().send(SESSION, documents(*MORE))).seq == 7
    one, two = world.uploader(folder="a"), world.uploader(folder="b")
    first, second = documents(*TALK, session="s1"), documents(*TALK, session="s2")
    outcomes = await asyncio.gather(one.send("s1", first), two.send("s2", second))
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert {f"sessions/2026-01-02/{name}.jsonl" for name in ("s1", "s2")} <= set(world.hub.repos.files(REPO, "dataset"))


async def test_a_commit_that_comes_between_the_look_and_ours_is_not_undone_by_it(world: World) -> None:
    # core W3.1
    class Overtaken(HubTraces):
        """Somebody is faster, once."""

        async def commit(self, repo: TraceRepo, files: Sequence[TraceFile], message: str) -> str:
            if PATH not in world.hub.repos.files(REPO, "dataset"):
                world.hub.repos.put(REPO, PATH, "theirs\n", "dataset")
            return await super().commit(repo, files, message)

    target = Destination(name="personal", repo=REPO, public_ok=lambda _: False, card=card)
    world.hub.repos.create(REPO, "dataset", private=True)
    hub = Overtaken(world.traces().hub)
    outcome = await TraceUploader(hub, target, ProgressFiles(world.folder), now=lambda: START).send(SESSION, documents(*TALK))
    assert world.file() == b"theirs\n" and outcome.seq == 5
    assert world.file(PATH.replace(".jsonl", "-2.jsonl")) == documents(*TALK)[0].data


async def test_a_card_that_the_user_wrote_stays(world: World) -> None:
    world.hub.repos.create(REPO, "dataset", files={"README.md": "mine"}, private=True)
    await world.uploader().send(SESSION, documents(*TALK))
    assert world.file("README.md") == b"mine"


async def test_secrets_are_taken_out_again_on_the_way(world: World) -> None:
    # core W2.5: what got into a log (of an older version, with fewer rules) must not get out
    known = SecretStr("correct-horse-battery-staple")
    leaky = [started(), user(f"my token is {SECRET}"), reply("", bash("c", "echo correct-horse-battery-staple")), answer("c", SECRET)]
    await world.uploader().send(SESSION, documents(*leaky, scrub=Scrubber([known])))
    for path in (PATH, OPEN_PATH):
        assert SECRET.encode() not in world.file(path) and b"correct-horse" not in world.file(path) and b"[REDACTED" in world.file(path)


async def test_nothing_goes_to_a_public_dataset_unless_the_user_knows_it_is_one(world: World) -> None:
    # core W5.17
    world.hub.repos.create(REPO, "dataset")
    outcome = await world.uploader().send(SESSION, documents(*TALK))
    assert "public" in outcome.error and outcome.final and world.commits() == 0
    assert world.uploader().progress(SESSION).state(5) == "failed"
    world.public_ok = True
    assert (await world.uploader().send(SESSION, documents(*TALK))).sent


async def test_out_of_reach_is_tried_again_with_growing_pauses_and_then_pending(world: World) -> None:
    # core W3.11
    outcome = await world.uploader(url="http://127.0.0.1:9").send(SESSION, documents(*TALK))
    assert outcome.error and not outcome.final and world.waits == [1.0, 2.0]
    assert world.uploader().progress(SESSION).state(5) == "pending"
    assert (await world.uploader().send(SESSION, documents(*TALK))).sent


async def test_a_hub_that_says_when_is_believed(world: World) -> None:
    world.hub.fail(r"POST /api/datasets/.*/commit/", status=429, times=1, headers={"Retry-After": "7"})
    assert (await world.uploader().send(SESSION, documents(*TALK))).sent
    assert world.waits == [7.0]


async def test_without_a_token_a_session_is_pending_not_failed(world: World) -> None:
    # core W3.11: files were marked failed at once
    outcome = await world.uploader(token=None).send(SESSION, documents(*TALK))
    assert "token" in outcome.error and not outcome.final and not world.waits


async def test_a_dataset_that_one_may_not_write_to_is_asked_once(world: World) -> None:
    # core W3.11: every save made three attempts, for ever
    outcome = await world.uploader(repo="somebody/else", may_create=False).send(SESSION, documents(*TALK))
    assert outcome.final and not world.waits and not world.hub.repos.has("somebody/else", "dataset")


async def test_two_processes_never_send_one_session_at_once(world: World) -> None:
    uploader = world.uploader()
    with ProgressFiles(world.folder / "here").locked(SESSION, "personal"), pytest.raises(StoreLocked):
        await uploader.send(SESSION, documents(*TALK))
    assert (await uploader.send(SESSION, documents(*TALK))).sent, "the lock is gone with its owner"


async def test_a_silent_hub_is_given_up_when_the_caller_gives_up(world: World) -> None:
    world.hub.fail(r"GET /api/datasets/", hang=True)
    uploader = world.uploader()
    sending = asyncio.create_task(uploader.send(SESSION, documents(*TALK)))
    while not world.hub.seen(r"GET /api/datasets/"):
        await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert uploader.progress(SESSION).sent_seq == 0
    assert (await world.uploader().send(SESSION, documents(*TALK))).sent


async def test_a_row_replaces_an_older_row_and_nothing_else(world: World) -> None:
    def rows(*events: Event) -> list[Document]:
        writer = RowWriter(SESSION, Scrubber().scrub_event, ())
        writer.feed(log(*events))
        return writer.documents()

    world.hub.repos.create(REPO, "dataset", private=True)
    await world.uploader(folder="a").send(SESSION, rows(*TALK))
    await world.uploader(folder="b").send(SESSION, rows(*MORE))
    assert world.file() == rows(*MORE)[0].data
    await world.uploader(folder="c").send(SESSION, rows(*TALK))
    assert world.file() == rows(*MORE)[0].data
    await world.uploader(folder="d").send(SESSION, rows(*TALK[:2], reply("other")))
    assert world.file() == rows(*MORE)[0].data and PATH.replace(".jsonl", "-2.jsonl") in world.hub.repos.files(REPO, "dataset")


async def test_what_would_become_visible_is_counted_and_searched_for_secrets(world: World) -> None:
    # core W5.17
    await world.uploader().send(SESSION, documents(*TALK))
    world.hub.repos.put(REPO, "sessions/2026-01-01/old.jsonl", f"fine\ntoken {SECRET}\n[REDACTED_HF_TOKEN]\n", "dataset")
    world.hub.repos.put(REPO, "notes.txt", "x", "dataset")
    hub = world.traces()
    repo = await hub.find(REPO)
    assert repo is not None and repo.private
    told: list[tuple[int, int]] = []
    found = await exposure(hub, repo, Scrubber(), lambda done, count: told.append((done, count)))
    assert found.sessions == 2 and found.suspicious == 1 and told[-1] == (3, 3)
    assert [(file.path, file.suspicious) for file in found.files if file.suspicious] == [("sessions/2026-01-01/old.jsonl", (2,))]
    assert "notes.txt" in found.others and "README.md" in found.others


async def test_a_trace_in_large_file_storage_is_known_by_its_digest_and_read_to_be_compared(world: World) -> None:
    sent = documents(*TALK)
    stored = {document.path: FakeFile(data=document.data, lfs=True) for document in sent}
    world.hub.repos.create(REPO, "dataset", files=stored, private=True)
    outcome = await world.uploader().send(SESSION, sent)
    assert outcome.seq == 5 and not outcome.sent and not world.hub.seen("/cdn-lfs/")
    assert (await world.uploader(folder="elsewhere").send(SESSION, documents(*MORE))).sent and world.hub.seen("/cdn-lfs/")
    assert world.file() == documents(*MORE)[0].data


async def test_large_file_storage_that_refuses_leaves_a_session_pending(world: World) -> None:
    big = [*TALK, answer("d", "word " * 2_200_000)]
    outcome = await world.uploader().send(SESSION, documents(*big))
    assert "storage did not take" in outcome.error and not outcome.final and "http" not in outcome.error
