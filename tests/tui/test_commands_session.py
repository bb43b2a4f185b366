"""Slash commands that show or change how the session is set: /status, /effort, /yolo, /cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from textual.widgets import Input

from ml_intern.frontends.headless.text import bare
from ml_intern.frontends.spending.ledger import Ledger
from ml_intern.frontends.spending.tables import cost_rows
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled, HfJobSubmit
from ml_intern.protocol.subagent_events import SubagentFinished
from tests.tui.pilots import command, running_turn
from tests.tui.scripted import STARTED, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import SESSION, done

START = datetime(2026, 1, 1, tzinfo=UTC)


def call(cost_usd: float | None, *, model: str = "fake/model", kind: str = "main") -> e.LlmCall:
    return e.LlmCall(
        model=model,
        latency_ms=10,
        finish_reason="stop",
        cost_usd=cost_usd,
        kind=kind,
        prompt_tokens=900,
        completion_tokens=100,
        total_tokens=1000,
        cache_read_tokens=500,
        cache_creation_tokens=0,
    )


def job(job_id: str, reservation_id: str) -> HfJobSubmit:
    return HfJobSubmit(
        job_id=job_id,
        job_url="https://hub/jobs/1",
        flavor="a10g-small",
        timeout="2h",
        job_type="python",
        image="",
        namespace="me",
        push_to_hub=False,
        reservation_id=reservation_id,
    )


def capped(usd: float, *, on: bool = True) -> e.SessionUpdate:
    return e.SessionUpdate(session_id=SESSION, auto_approval={"enabled": on, "cost_cap_usd": usd})


async def test_status_tells_model_effort_runtime_turns_and_context() -> None:
    lowered = e.EffortChanged(effort="max", effective="high", note="max not supported, using high")
    host = scripted(past=(STARTED, e.Ready(message="", tool_count=28), lowered, *running_turn(), call(0.5), done("ok"), capped(5)))
    async with running(host, size=(120, 40)) as (app, pilot):
        await command(app, pilot, host, "/status")
        text = "\n".join(screen_text(app))
    assert "fake/model" in text
    assert "max, of which fake/model takes high" in text
    assert "this machine" in text
    assert "1, 1 message of yours" in text
    assert "1k of 200k tokens (0 %)" in text
    assert "$0.50 of $5.00" in text
    assert "28 (/tools lists them)" in text


@pytest.mark.parametrize(
    ("text", "operation"),
    [("/effort low", op.SetEffort(effort="low")), ("/effort OFF", op.SetEffort(effort=None)), ("/effort max", op.SetEffort(effort="max"))],
)
async def test_effort_sets_the_level(text: str, operation: op.AnyOperation) -> None:
    host = scripted(past=(STARTED, *running_turn()))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, text)
    assert host.operations == [operation]


async def test_effort_without_a_level_shows_the_preference_and_what_each_model_takes() -> None:
    lowered = e.EffortChanged(effort="high", effective="medium")
    switched = e.ModelSwitched(model="other/model", previous="fake/model")
    host = scripted(past=(STARTED, lowered, switched))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/effort")
        text = "\n".join(screen_text(app))
    assert "Effort: high" in text
    assert "fake/model: medium" in text
    assert host.operations == []


async def test_an_effort_that_is_none_is_refused_with_the_list() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/effort turbo")
        text = "\n".join(screen_text(app))
    assert "'turbo' is no effort." in text
    assert "minimal, low, medium" in text
    assert host.operations == []


@pytest.mark.parametrize(
    ("text", "operation", "told"),
    [
        ("/yolo on", op.SetAutoApproval(enabled=True), "no cap on what is spent"),
        ("/yolo off", op.SetAutoApproval(enabled=False), "Yolo is off"),
        ("/yolo $2.50", op.SetAutoApproval(enabled=True, cost_cap_usd=2.5), "at most $2.50 is spent"),
        ("/yolo nocap", op.SetAutoApproval(enabled=False, lift_cap=True), "The cap is lifted."),
    ],
)
async def test_yolo_toggles_and_caps_and_says_what_holds_now(text: str, operation: op.AnyOperation, told: str) -> None:
    host = scripted()
    async with running(host, size=(120, 30)) as (app, pilot):
        await command(app, pilot, host, text)
        assert told in "\n".join(screen_text(app))
    assert host.operations == [operation]


async def test_yolo_is_switched_off_where_it_is_on() -> None:
    host = scripted(past=(STARTED, capped(5)))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/yolo")
    assert host.operations == [op.SetAutoApproval(enabled=False)]


@pytest.mark.parametrize(
    ("past", "offered", "keys", "wanted"),
    [
        ((), "5", ("enter",), op.SetAutoApproval(enabled=True, cost_cap_usd=5)),
        ((call(2.5),), "8", ("enter",), op.SetAutoApproval(enabled=True, cost_cap_usd=8)),
        ((capped(20, on=False), call(2.5)), "20", ("enter",), op.SetAutoApproval(enabled=True, cost_cap_usd=20)),
        ((), "5", ("backspace", *"nocap", "enter"), op.SetAutoApproval(enabled=True, lift_cap=True)),
        ((), "5", ("backspace", *"$1.5", "enter"), op.SetAutoApproval(enabled=True, cost_cap_usd=1.5)),
        ((), "5", ("escape",), None),
        ((), "5", ("backspace", "enter"), None),
        ((), "5", ("backspace", *"yes", "enter"), None),
    ],
)
async def test_yolo_alone_says_what_it_does_and_asks_for_a_cap(
    past: tuple[e.AnyEvent, ...], offered: str, keys: tuple[str, ...], wanted: op.SetAutoApproval | None
) -> None:
    host = scripted(past=(STARTED, *past))
    async with running(host) as (app, pilot):
        await command(app, pilot, host, "/yolo")
        assert "From now on calls run unasked in this session" in "\n".join(screen_text(app))
        assert app.screen.query_one(Input).value == offered
        await pilot.press(*keys)
        await settled(app, pilot, host)
    assert host.operations == ([] if wanted is None else [wanted])


@pytest.mark.parametrize("word", ["nan", "inf", "-1", "maybe"])
async def test_what_is_no_amount_changes_nothing(word: str) -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        await command(app, pilot, host, f"/yolo {word}")
        assert "is nothing that /yolo knows" in "\n".join(screen_text(app))
    assert host.operations == []


async def test_cost_breaks_down_what_was_spent() -> None:
    spent = (BudgetReserved(reservation_id="r", amount_usd=2.0, kind="hf_jobs"), job("j1", "r"), call(0.25), call(0.05, kind="compaction"))
    host = scripted(past=(STARTED, *spent))
    async with running(host, size=(100, 40)) as (app, pilot):
        await command(app, pilot, host, "/cost")
        text = "\n".join(screen_text(app))
    assert "Spent: $0.30" in text
    assert "Set aside, the most that what runs may still cost: ≤$2.00" in text
    assert "job j1" in text
    assert "summaries" in text


async def test_the_tables_of_costs_fit_a_narrow_window_and_their_amounts_stand_below_one_another() -> None:
    spent = (BudgetReserved(reservation_id="r", amount_usd=2.0, kind="hf_jobs"), job("0123456789abcdef01234567", "r"), call(0.25))
    host = scripted(past=(STARTED, *spent))
    async with running(host, size=(80, 50)) as (app, pilot):
        await command(app, pilot, host, "/cost")
        shown = [row.strip("│ ") for row in screen_text(app)]
    at = next(i for i, row in enumerate(shown) if row.startswith("what "))
    head, row, note = shown[at : at + 3]
    assert head.endswith("cost") and row.startswith("job 0123456789abcdef01234567") and row.endswith("$0.00")
    assert head.index("set aside") + len("set aside") == row.index("≤$2.00") + len("≤$2.00")
    assert note.startswith("a10g-small")


def ledger_of(*events: tuple[float, e.AnyEvent]) -> Ledger:
    ledger = Ledger()
    for i, (minute, event) in enumerate(events, 1):
        ledger.read(Envelope(session=SESSION, seq=i, at=START + timedelta(minutes=minute), event=event))
    return ledger


def test_a_settled_job_costs_what_it_cost_and_nothing_stays_set_aside() -> None:
    ledger = ledger_of(
        (0, BudgetReserved(reservation_id="r", amount_usd=2.0, kind="hf_jobs")),
        (1, job("j1", "r")),
        (9, BudgetSettled(reservation_id="r", actual_usd=0.75)),
    )
    account = ledger.by_holder["job j1"]
    assert (account.usd, account.reserved_usd) == (0.75, 0.0)
    assert (ledger.spent_usd, ledger.reserved_usd) == (0.75, 0.0)


def test_a_settlement_without_an_amount_keeps_the_estimate() -> None:
    ledger = ledger_of(
        (0, BudgetReserved(reservation_id="r", amount_usd=2.0, kind="sandbox")), (5, BudgetSettled(reservation_id="r", actual_usd=None))
    )
    assert ledger.by_kind["sandbox"].usd == 2.0


def test_an_unknown_price_is_not_shown_as_free() -> None:
    rows = [bare(row) for row in cost_rows(ledger_of((0, call(None)), (1, call(None))))]
    assert rows[0] == "Spent: unknown"
    assert any("2 calls of unknown price" in row for row in rows)


def test_the_forecast_goes_by_the_last_turns() -> None:
    turn = e.Processing(message="")
    ledger = ledger_of(
        (0, capped(10)), (0, turn), (5, call(1.0)), (10, done("a")), (20, turn), (25, call(3.0)), (30, done("b")),
    )  # fmt: skip
    forecast = ledger.forecast()
    assert forecast is not None
    assert forecast.remaining_usd == pytest.approx(6.0)
    assert forecast.turns == pytest.approx(3.0)
    assert forecast.hours == pytest.approx(0.5)
    assert any("about 3 more turns, 30 min of work" in bare(row) for row in cost_rows(ledger))


def test_without_a_pace_nothing_is_forecast() -> None:
    rows = [bare(row) for row in cost_rows(ledger_of((0, capped(10))))]
    assert not any("pace" in row for row in rows)


def test_of_next_to_nothing_no_pace_is_made() -> None:
    turn, tiny = e.Processing(message=""), 0.0004
    one = ledger_of((0, capped(5)), (0, turn), (1, call(1.0)), (2, done("a")))
    cheap = ledger_of((0, capped(5)), *((minute, event) for minute in range(4) for event in (turn, call(tiny), done("a"))))
    running = ledger_of((0, capped(5)), (0, turn), (0, call(tiny)), (1, call(tiny)), (2, call(tiny)))
    for ledger in (one, cheap, running):
        assert not any("pace" in bare(row) for row in cost_rows(ledger))


def test_research_is_told_with_its_outcome() -> None:
    finished = SubagentFinished(
        agent_id="1", label="datasets", outcome="done", steps=4, tokens=10, tool_calls=3, cost_usd=0.02, duration_s=3
    )
    rows = [bare(row) for row in cost_rows(ledger_of((0, finished)))]
    assert any("research datasets" in row and "done, 4 steps" in below for row, below in pairwise(rows))


def step(cost_usd: float | None, prompt_tokens: int) -> e.LlmCall:
    return msgspec.structs.replace(call(cost_usd), prompt_tokens=prompt_tokens)


def answered(tool: str, tokens: int, call_id: str) -> tuple[e.AnyEvent, e.AnyEvent]:
    called = e.ToolCalled(tool=tool, arguments={}, tool_call_id=call_id)
    return called, e.ToolFinished(tool=tool, tool_call_id=call_id, output="x" * (4 * tokens - 4), success=True)


def test_a_step_is_split_by_what_its_request_carried_and_the_parts_add_up() -> None:
    both = (*answered("read", 300, "1"), *answered("bash", 100, "2"))
    ledger = ledger_of((0, step(0.10, 100)), *((1, each) for each in both), (2, step(1.00, 500)), (3, step(0.50, 1_000)))
    shares = ledger.by_tool
    assert shares.by_tool["read"].model_usd == pytest.approx(1.00 * 0.6 + 0.50 * 0.3)
    assert shares.by_tool["bash"].model_usd == pytest.approx(1.00 * 0.2 + 0.50 * 0.1)
    assert (shares.by_tool["read"].calls, shares.by_tool["read"].tokens) == (1, 600)
    total = shares.conversation.model_usd + sum(account.model_usd for account in shares.by_tool.values())
    assert total == pytest.approx(ledger.by_kind["main"].usd) == pytest.approx(1.60)
    rows = [bare(row).split() for row in cost_rows(ledger)]
    assert ["read", "1", "600", "$0.75"] in rows and ["together", "$1.60"] in rows


def test_what_was_summarised_or_taken_back_costs_its_tool_nothing_more() -> None:
    both = [(0, each) for each in (*answered("read", 100, "1"), *answered("bash", 100, "2"))]
    summarised = ledger_of(*both, (1, e.Compacted(old_tokens=1, new_tokens=1, keep_from_seq=3)), (2, step(1.0, 200))).by_tool.by_tool
    assert (summarised["read"].model_usd, summarised["bash"].model_usd) == (0.0, pytest.approx(0.5))
    undone = ledger_of(*both, (1, e.UndoComplete(cut_seq=3)), (2, step(1.0, 200))).by_tool.by_tool
    assert (undone["read"].model_usd, undone["bash"].model_usd) == (pytest.approx(0.5), 0.0)


def test_what_a_tool_started_stands_beside_its_share() -> None:
    started, _ = answered("hf_jobs", 1, "c1")
    research, _ = answered("research", 1, "c2")
    finished = SubagentFinished(agent_id="c2", label="x", outcome="done", steps=1, tokens=1, tool_calls=0, cost_usd=0.02, duration_s=3)
    ledger = ledger_of(
        (0, started), (0, BudgetReserved(reservation_id="r", amount_usd=2.0, kind="hf_jobs")),
        (1, msgspec.structs.replace(job("j1", "r"), tool_call_id="c1")), (9, BudgetSettled(reservation_id="r", actual_usd=0.75)),
        (9, research), (10, finished),
    )  # fmt: skip
    assert ledger.by_tool.by_tool["hf_jobs"].own_usd == 0.75
    assert ledger.by_tool.by_tool["research"].own_usd == 0.02


def test_a_running_turn_is_told_when_it_meets_the_cap() -> None:
    ledger = ledger_of((0, capped(10)), (0, e.Processing(message="")), (0, call(1.0)), (1, call(1.0)), (2, call(1.0)))
    forecast = ledger.forecast()
    assert forecast is not None
    assert (forecast.steps, forecast.minutes) == (pytest.approx(7), pytest.approx(7))
    assert any("meets it after about 7 more steps, in about 7 min" in bare(row) for row in cost_rows(ledger))


def test_what_runs_says_for_how_long_and_what_caches_spared_is_told() -> None:
    cached = msgspec.structs.replace(call(0.1), prompt_tokens=1_000, cache_read_tokens=750)
    ledger = ledger_of((0, job("j1", "r")), (1, cached))
    rows = [bare(row) for row in cost_rows(ledger, START + timedelta(minutes=12))]
    assert any("job j1" in row and "running for 12 min" in below for row, below in pairwise(rows))
    assert any("750 of 1k tokens that were sent (75%)" in row for row in rows)
