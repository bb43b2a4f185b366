"""``ml-intern traces`` as a process, and a run that shares its trace, against a model server and the fake Hub."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ml_intern.protocol.codec import SCHEMA_VERSION, encode_data
from ml_intern.protocol.event_base import Event
from ml_intern.stores.base import SessionPatch, SessionRecord, StoredEvent
from ml_intern.stores.sqlite import SqliteStore
from ml_intern.testing.fake_hub.server import FakeHub
from ml_intern.testing.model_server import ModelServer
from ml_intern.testing.replies import Call, Fault, FaultKind, ServerReply
from tests.trace_logs import DONE, START, answer, bash, log, reply, started, user

REPO = "alice/ml-intern-sessions"
PATH = "sessions/2026-01-02/{}.jsonl"
SECRET = "hf_" + "abcdefghijABCDEFGHIJ0123456789abcd"
TALK: list[Event] = [started(), user("list the files"), reply("ok", bash("c")), answer("c", "a.txt"), reply("one file"), DONE]


@dataclass
class Machine:
    """A home with a store, and a Hub."""

    home: Path
    hub: FakeHub

    def configure(self, **settings: Any) -> None:
        path = self.home / ".config" / "ml-intern" / "cli_agent_config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))

    async def session(self, name: str, events: Sequence[Event] = TALK) -> None:
        path = self.home / ".local" / "share" / "ml-intern" / "sessions.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        store = SqliteStore(path)
        await store.create(SessionRecord(id=name, created_at=START, updated_at=START, cwd="/", model="m"))
        await store.acquire(name)
        rows = [
            StoredEvent(envelope.seq or 0, envelope.at, envelope.event.wire, encode_data(envelope.event), SCHEMA_VERSION)
            for envelope in log(*events, session=name)
        ]
        await store.append(name, rows, SessionPatch(turn_count=1))
        await store.aclose()

    async def run(self, *arguments: str, endpoint: str = "", typed: str = "") -> tuple[int, str, str]:
        environment = {**os.environ, "HF_ENDPOINT": endpoint or self.hub.url, "HF_TOKEN": FakeHub.TOKEN}
        leader, terminal = pty.openpty() if typed else (-1, DEVNULL)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ml_intern", *arguments, stdin=terminal, stdout=PIPE, stderr=PIPE, env=environment
        )
        if typed:
            os.write(leader, typed.encode())
        out, err = await process.communicate()
        if typed:
            os.close(leader)
            os.close(terminal)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    def files(self) -> dict[str, bytes]:
        return self.hub.repos.files(REPO, "dataset") if self.hub.repos.has(REPO, "dataset") else {}


@pytest.fixture
async def machine(home: Path) -> AsyncIterator[Machine]:
    async with FakeHub() as hub:
        yield Machine(home, hub)


async def test_without_a_yes_nothing_is_sent_and_it_is_said_how_to_give_it(machine: Machine) -> None:
    # core W2.4
    await machine.session("s1")
    code, _, err = await machine.run("traces", "push", "s1")
    assert code == 2 and "share_traces" in err
    code, out, err = await machine.run("traces")
    assert code == 0 and out == "" and "share_traces" in err
    assert not machine.hub.requests


async def test_named_sessions_are_sent_and_status_tells(machine: Machine) -> None:
    machine.configure(share_traces=True)
    await machine.session("s1")
    await machine.session("s2")
    code, out, err = await machine.run("traces", "push")
    assert (code, out) == (0, "") and "Nothing is pending" in err, "sessions from before the yes are not sent by themselves"
    code, out, err = await machine.run("traces", "push", "s1")
    assert code == 0 and "sent" in out and "6/6 events" in out and REPO in out and f"→ {REPO} …" in err
    assert PATH.format("s1") in machine.files() and PATH.format("s2") not in machine.files()
    code, out, _ = await machine.run("traces", "status", "--json")
    states = {row["session"]: row["state"] for row in json.loads(out)}
    assert code == 0 and states == {"s1": "sent", "s2": "unsent"}
    code, out, _ = await machine.run("traces", "push", "--all", "--json")
    assert code == 0 and [row["session"] for row in json.loads(out)] == ["s2"] and PATH.format("s2") in machine.files()


async def test_a_push_that_fails_says_so_and_is_made_up_for_later(machine: Machine) -> None:
    machine.configure(share_traces=True)
    await machine.session("s1")
    machine.hub.fail(r"POST /api/datasets/.*/commit/", status=403, times=9)
    code, out, _ = await machine.run("traces", "push", "s1")
    assert code == 1 and "pending" in out and "403" in out and "0/6" in out
    machine.hub.faults.clear()
    code, out, _ = await machine.run("traces", "push")
    assert code == 0 and "sent" in out and PATH.format("s1") in machine.files()


async def test_a_push_that_is_killed_after_the_commit_and_before_its_note_is_healed(machine: Machine) -> None:
    # core W3.1 and W3.3: what was sent, and what is said of it, must agree whenever the process dies
    machine.configure(share_traces=True)
    await machine.session("s1")
    machine.hub.fail(r"POST /api/datasets/.*/commit/", hang=True, served=True)
    environment = {**os.environ, "HF_ENDPOINT": machine.hub.url, "HF_TOKEN": FakeHub.TOKEN}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ml_intern", "traces", "push", "s1", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environment
    )
    async with asyncio.timeout(20):
        while PATH.format("s1") not in machine.files():
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    there = machine.files()
    code, out, _ = await machine.run("traces", "status", "s1")
    assert code == 0 and "0/6" in out and " sent " not in out, "nothing is called sent that nobody knows to be"
    code, out, _ = await machine.run("traces", "push", "s1")
    assert code == 0 and "sent" in out and "6/6" in out
    assert machine.files() == there and len(machine.hub.seen(r"POST /api/datasets/.*/commit/")) == 1


async def test_a_run_that_is_killed_leaves_its_sub_agents_transcript_for_the_next_push(machine: Machine, tmp_path: Path) -> None:
    machine.hub.fail(".*", hang=True, times=999)
    task = {"task": "find the best recipe", "context": "SFT"}
    replies = [
        ServerReply(calls=(Call("research", json.dumps(task), id="call_r"),)),
        ServerReply(text="Use LoRA."),
        Fault(kind=FaultKind.HANG),
    ]
    async with ModelServer(replies) as server:
        machine.configure(share_traces=True, model_name="local/m", providers={"local": {"base_url": server.v1}})
        environment = {**os.environ, "HF_ENDPOINT": machine.hub.url, "HF_TOKEN": FakeHub.TOKEN}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ml_intern", "--cwd", str(tmp_path), "go", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environment
        )
        async with asyncio.timeout(15):
            while len(server.requests) < 3:  # the answer of the sub-agent is with the model
                await asyncio.sleep(0.02)
        process.kill()
        await process.wait()
    machine.hub.faults.clear()
    code, out, _ = await machine.run("traces", "push")
    assert code == 0 and "sent" in out
    [agent] = [data for path, data in machine.files().items() if "/agent-" in path]
    lines = [json.loads(line) for line in agent.splitlines()]
    assert "find the best recipe" in lines[0]["message"]["content"]
    assert lines[-1]["message"]["content"] == [{"type": "text", "text": "Use LoRA."}]
    code, out, err = await machine.run("traces", "push")
    assert "Nothing is pending" in err


@pytest.mark.parametrize("format_", ["claude-code", "hub", "sft", "row", "claude_code", "open"])
async def test_each_format_is_exported_without_a_yes_and_without_the_network(machine: Machine, format_: str, tmp_path: Path) -> None:
    await machine.session("s1", [*TALK, user(f"token {SECRET}"), reply("hm")])
    code, out, err = await machine.run("traces", "export", "s1", "--format", format_)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(rows) == {"claude-code": 6, "hub": 7, "sft": 1, "row": 1, "claude_code": 6, "open": 7}[format_]
    assert SECRET not in out and not machine.hub.requests
    assert "Exported 1 session." in err and "[REDACTED_HF_TOKEN]" in err and "found only now" in err
    file = tmp_path / "trace.jsonl"
    assert (await machine.run("traces", "export", "s1", "--format", format_, "-o", str(file)))[0] == 0
    assert file.read_text() == out and file.stat().st_mode & 0o077 == 0
    assert (await machine.run("traces", "export", "s1", "-o", str(file)))[0] == 2


async def test_many_sessions_are_exported_at_once(machine: Machine, tmp_path: Path) -> None:
    await machine.session("s1")
    await machine.session("s2", [started(), user("only asked")])
    await machine.session("s3")
    code, _, err = await machine.run("traces", "export")
    assert code == 2 and "Which sessions?" in err
    code, _, err = await machine.run("traces", "export", "--all")
    assert code == 2 and "-o FOLDER/" in err, "two sessions in one file would be read as one"
    folder = tmp_path / "out"
    code, out, err = await machine.run("traces", "export", "--all", "-o", f"{folder}/")
    assert code == 0 and sorted(path.name for path in folder.iterdir()) == ["s1.jsonl", "s2.jsonl", "s3.jsonl"], err
    assert "Exported 3 sessions into" in err
    code, _, err = await machine.run("traces", "export", "s1", "-o", str(folder))
    assert code == 2 and "--force" in err
    code, out, err = await machine.run("traces", "export", "--all", "--format", "sft")
    assert code == 0 and sorted(json.loads(line)["session_id"] for line in out.splitlines()) == ["s1", "s3"]
    assert "1 had nothing to export" in err
    assert (await machine.run("traces", "export", "--since", "2026-01-05", "--format", "sft"))[0] == 1
    assert (await machine.run("traces", "export", "--since", "2026-01-01", "--format", "sft"))[0] == 0
    assert (await machine.run("traces", "export", "--folder", str(tmp_path), "--format", "sft"))[0] == 1
    assert (await machine.run("traces", "export", "--folder", "/", "--format", "sft"))[0] == 0


async def test_who_deletes_a_session_is_told_what_is_left_of_it_on_the_hub(machine: Machine) -> None:
    # web W-15: "permanent removal" left everything that was uploaded, and said nothing
    machine.configure(share_traces=True)
    await machine.session("s1")
    await machine.run("traces", "push", "s1")
    code, _, err = await machine.run("sessions", "delete", "s1", "--yes")
    assert code == 0 and f"{REPO}/{PATH.format('s1')}" in err
    assert not (machine.home / ".local" / "share" / "ml-intern" / "traces" / "s1").exists()


async def test_an_unknown_session_is_a_wrong_use(machine: Machine) -> None:
    assert (await machine.run("traces", "export", "nobody"))[0] == 2


async def test_a_dataset_becomes_public_only_after_it_was_shown_and_agreed_to(machine: Machine) -> None:
    # core W5.17: it was made public unseen and unasked
    machine.configure(share_traces=True)
    await machine.session("s1")
    await machine.run("traces", "push", "s1")
    code, _, err = await machine.run("traces", "visibility", "public")
    assert code == 2 and "Nobody is there" in err and machine.hub.repos.get(REPO, "dataset").private
    code, _, err = await machine.run("traces", "visibility", "public", typed="n\n")
    assert code == 1 and "1 session in 2 files" in err and "Nothing was changed" in err
    assert machine.hub.repos.get(REPO, "dataset").private
    code, out, _ = await machine.run("traces", "visibility", "public", typed="y\n")
    assert code == 0 and "public" in out and not machine.hub.repos.get(REPO, "dataset").private
    await machine.session("s2")
    assert (await machine.run("traces", "push", "s2"))[0] == 0, "the user knows that it is public"
    assert (await machine.run("traces", "visibility", "private"))[0] == 0 and machine.hub.repos.get(REPO, "dataset").private
    machine.hub.repos.get(REPO, "dataset").private = False
    await machine.session("s3")
    code, out, _ = await machine.run("traces", "push", "s3")
    assert code == 1 and "failed" in out and "public" in out and PATH.format("s3") not in machine.files()


async def test_a_possible_secret_is_never_published_unasked(machine: Machine) -> None:
    # core W5.17
    machine.configure(share_traces=True)
    machine.hub.repos.create(REPO, "dataset", files={"sessions/2026-01-01/x.jsonl": f"fine\n{SECRET}\n"}, private=True)
    code, _, err = await machine.run("traces", "visibility", "public", "--yes")
    assert code == 2 and "line 2" in err and SECRET not in err and machine.hub.repos.get(REPO, "dataset").private


async def test_visibility_of_a_dataset_that_is_not_there_yet_is_said(machine: Machine) -> None:
    code, _, err = await machine.run("traces", "visibility")
    assert code == 0 and "not there yet" in err


async def test_a_run_shares_its_trace_and_ends_in_time_without_a_hub(machine: Machine, tmp_path: Path) -> None:
    async with ModelServer(default=ServerReply(text="hello")) as server:
        machine.configure(share_traces=True, model_name="local/m", providers={"local": {"base_url": server.v1}})
        code, out, err = await machine.run("--cwd", str(tmp_path), "say hello")
        assert code == 0, err
        [trace] = [data for path, data in machine.files().items() if path.startswith("sessions/")]
        assert b"say hello" in trace and b'"type":"assistant"' in trace and str(tmp_path).encode() not in trace
        assert list(tmp_path.iterdir()) == [], "nothing is left in the folder"  # core W3.8
        machine.hub.fail(".*", hang=True, times=99)
        code, out, err = await machine.run("--cwd", str(tmp_path), "again")
        assert code == 0 and "not sent yet" in err and "ml-intern traces push" in err, err
    machine.hub.faults.clear()
    code, out, _ = await machine.run("traces", "push")
    assert code == 0 and out.count("sent") == 1, "what was pending is sent"
