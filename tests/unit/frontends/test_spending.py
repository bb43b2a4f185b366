"""What a session has cost: what caches spared, what runs costs a minute, which tool started it; in the app and for scripts."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from ml_intern.frontends.cli import main
from ml_intern.frontends.headless.text import bare
from ml_intern.frontends.spending.ledger import Ledger
from ml_intern.frontends.spending.tables import cost_rows
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope, encode_data
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled, HfJobSubmit, SandboxCreate, SandboxDestroy
from ml_intern.stores.base import SessionRecord, StoredEvent
from ml_intern.stores.sqlite import SqliteStore

START = datetime(2026, 1, 1, tzinfo=UTC)
MADE = e.ToolCalled(tool="sandbox_create", arguments={}, tool_call_id="c1")
RESERVED = BudgetReserved(reservation_id="c1", amount_usd=0.6, kind="sandbox_create")
SANDBOX = SandboxCreate(
    sandbox_id="b1", hardware="t4-small", create_latency_s=1, reservation_id="c1", tool_call_id="c1", price_usd_per_hour=0.6
)
JOB = HfJobSubmit(
    job_id="j1", job_url="https://hub/j1", flavor="a10g-small", timeout="2h", job_type="python", image="", namespace="me",
    push_to_hub=False, reservation_id="c2", tool_call_id="c2", price_usd_per_hour=3.0,
)  # fmt: skip
CALL = e.LlmCall(
    model="fake/model", latency_ms=1, finish_reason="stop", cost_usd=0.1, kind="main", prompt_tokens=1_000, completion_tokens=10,
    total_tokens=1_010, cache_read_tokens=750, cache_creation_tokens=0, cache_saved_usd=0.25,
)  # fmt: skip


def ledger_of(*events: e.AnyEvent) -> Ledger:
    ledger = Ledger()
    for i, event in enumerate(events, 1):
        ledger.read(Envelope(session="s", seq=i, at=START, event=event))
    return ledger


def told(ledger: Ledger, minutes: int = 12) -> list[str]:
    return [bare(row) for row in cost_rows(ledger, START + timedelta(minutes=minutes))]


def test_what_caches_spared_is_told_in_dollars() -> None:
    unknown = msgspec.structs.replace(CALL, cost_usd=None, cache_saved_usd=None)
    assert any(row.endswith("(75%): that spared $0.25") for row in told(ledger_of(CALL)))
    assert any(row.endswith("that spared $0.25, and of 1 call nobody knows it") for row in told(ledger_of(CALL, unknown)))
    assert ledger_of(unknown).cache_saved_usd is None, "unknown is not nothing"


def test_a_cache_that_was_only_written_so_far_has_cost_more() -> None:
    written = msgspec.structs.replace(CALL, cache_read_tokens=10, cache_saved_usd=-0.02)
    assert any("writing them cost $0.0200 more" in row for row in told(ledger_of(written)))


def test_a_sandbox_is_the_cost_of_the_tool_that_made_it() -> None:
    ledger = ledger_of(MADE, RESERVED, SANDBOX, BudgetSettled(reservation_id="c1", actual_usd=0.2))
    assert ledger.by_tool.by_tool["sandbox_create"].own_usd == 0.2
    assert any("sandbox b1" in row and "sandbox_create" in row for row in told(ledger))
    older = msgspec.structs.replace(SANDBOX, tool_call_id="")
    assert ledger_of(MADE, RESERVED, older).by_holder["sandbox b1"].tool == "sandbox_create"


def test_every_hour_of_a_sandbox_is_its_own() -> None:
    ledger = ledger_of(
        MADE, RESERVED, SANDBOX,
        BudgetReserved(reservation_id="b1:2", amount_usd=0.6, kind="sandbox"), BudgetSettled(reservation_id="c1", actual_usd=0.6),
        BudgetReserved(reservation_id="b1:3", amount_usd=0.6, kind="sandbox"), BudgetSettled(reservation_id="b1:2", actual_usd=0.6),
    )  # fmt: skip
    account = ledger.by_holder["sandbox b1"]
    assert (account.usd, account.reserved_usd) == (pytest.approx(1.2), pytest.approx(0.6))
    assert ledger.by_tool.by_tool["sandbox_create"].own_usd == pytest.approx(1.2) == pytest.approx(ledger.spent_usd)


def test_what_runs_says_what_it_costs_a_minute_until_it_is_over() -> None:
    running = (MADE, RESERVED, SANDBOX, BudgetReserved(reservation_id="c2", amount_usd=6.0, kind="hf_jobs"), JOB)
    rows = told(ledger_of(*running))
    at = next(i for i, row in enumerate(rows) if row.startswith("job j1"))
    assert "$0.0500" in rows[at] and rows[at + 1].endswith("running for 12 min")
    assert "Set aside, the most that what runs may still cost: ≤$6.60; it costs $0.0600 a minute now" in rows
    over = SandboxDestroy(sandbox_id="b1", hardware="t4-small", lifetime_s=60, estimated_cost_usd=0.01)
    assert ledger_of(*running, over).usd_per_minute == pytest.approx(0.05)


def stored(home: Path, *events: e.AnyEvent) -> None:
    async def fill() -> None:
        store = SqliteStore(home / ".local" / "share" / "ml-intern" / "sessions.db")
        await store.create(SessionRecord(id="aaaaaaaaaa", created_at=START, updated_at=START, cwd="/", model="fake/model"))
        await store.acquire("aaaaaaaaaa")
        await store.append("aaaaaaaaaa", [StoredEvent(seq, START, each.wire, encode_data(each)) for seq, each in enumerate(events, 1)])
        await store.aclose()

    asyncio.run(fill())


async def never(**_: object) -> NoReturn:
    raise AssertionError("a session was opened")


def test_the_command_prints_the_table_of_the_app(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    events = (CALL, MADE, RESERVED, SANDBOX, BudgetSettled(reservation_id="c1", actual_usd=0.2), SandboxDestroy(
        sandbox_id="b1", hardware="t4-small", lifetime_s=60, estimated_cost_usd=0.2))  # fmt: skip
    stored(home, *events)
    assert main(["sessions", "cost", "last"], never) == 0
    assert capfd.readouterr().out.splitlines() == told(ledger_of(*events))


def test_the_command_tells_scripts_the_same_accounts(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stored(home, e.SessionUpdate(session_id="s", auto_approval={"enabled": True, "cost_cap_usd": 5}), CALL, MADE, RESERVED, SANDBOX)
    assert main(["sessions", "cost", "aaaa", "--json"], never) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["session"], told["cost_usd"], told["reserved_usd"], told["cache_saved_usd"]) == ("aaaaaaaaaa", 0.1, 0.6, 0.25)
    assert (told["cap_usd"], told["remaining_usd"]) == (5, pytest.approx(4.3))
    held = told["by_holder"]["sandbox b1"]
    assert (held["tool"], held["running_since"], held["usd_per_minute"]) == ("sandbox_create", START.isoformat(), pytest.approx(0.01))
    assert told["by_model"]["fake/model"]["cached_tokens"] == 750 and told["by_purpose"]["main"]["calls"] == 1


def test_what_a_fork_inherited_is_told_apart_from_its_own(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    forked = e.ResumedFrom(path="s0", original_session_id="s0", original_event_count=1, forked=True)
    events = (CALL, CALL, forked, CALL)
    assert "Of that, $0.20 was spent by the session that this is a fork of, and $0.10 by this one." in told(ledger_of(*events))
    assert not any("fork" in row for row in told(ledger_of(CALL)))
    stored(home, *events)
    assert main(["sessions", "cost", "last", "--json"], never) == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["cost_usd"], report["inherited_usd"]) == (pytest.approx(0.3), pytest.approx(0.2))
