"""The status bar and the activity line: what they say, and what gives way on a narrow terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.worker import Worker

from ml_intern.config.settings import Settings
from ml_intern.frontends.tui.activity import SLOW_TICK_S, TICK_S, ActivityLine
from ml_intern.frontends.tui.git_branch import branch_of
from ml_intern.frontends.tui.status_bar import StatusBar
from ml_intern.protocol import events as e
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled
from tests.tui.picker_world import submitted
from tests.tui.pilots import command
from tests.tui.scripted import STARTED, envelopes, running, screen_text, scripted, settled
from tests.unit.frontends.fake_host import SESSION, done, started

RESUMED = e.ResumedFrom(path=SESSION, original_session_id=SESSION, original_event_count=9, forked=False)
CAP = e.SessionUpdate(session_id=SESSION, auto_approval={"enabled": False, "cost_cap_usd": 20.0})


def llm(cost_usd: float | None = 1.5, tokens: int = 50_000, kind: str = "main") -> e.LlmCall:
    return e.LlmCall(
        model="fake/model", latency_ms=1, finish_reason="stop", cost_usd=cost_usd, kind=kind, prompt_tokens=tokens, completion_tokens=0,
        total_tokens=tokens, cache_read_tokens=0, cache_creation_tokens=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (120, "fake/model high · /home/shop · ██░░░░░░ 25% of 200k · 50k tokens · $1.50 of $20.00 · ask"),
        (88, "fake/model high · shop · ██░░░░░░ 25% of 200k · 50k tokens · $1.50 of $20.00 · ask"),
        (80, "fake/model high · shop · ██░░░░░░ 25% · 50k tokens · $1.50 of $20.00 · ask"),
        (70, "model · shop · ██░░░░░░ 25% · 50k tokens · $1.50 of $20.00 · ask"),
        (60, "model · ██░░░░░░ 25% · 50k tokens · $1.50 of $20.00 · ask"),
        (50, "model · 25% · 50k tokens · $1.50 of $20.00 · ask"),
        (40, "model · 25% · $1.50 of $20.00 · ask"),
        (34, "model · 25% · $1.50 · ask"),
        (14, "model · ask"),
        (9, "model"),
    ],
)
async def test_what_does_not_fit_gives_way_in_a_fixed_order(columns: int, shown: str) -> None:
    host = scripted(past=(STARTED, CAP, llm()))
    async with running(host, size=(columns, 20)) as (app, _):
        assert screen_text(app)[-1].strip() == shown


async def test_what_a_running_job_has_set_aside_is_told_beside_what_is_spent_not_as_spent() -> None:
    aside = BudgetReserved(reservation_id="call_j1", amount_usd=0.1334, kind="hf_jobs")
    host = scripted(past=(STARTED, CAP, llm(0.0), aside))
    async with running(host, size=(120, 20)) as (app, pilot):
        assert "· $0.00 + ≤$0.13 of $20.00 ·" in screen_text(app)[-1]
        await pilot.resize_terminal(38, 20)
        await settled(app, pilot, host)
        assert "· $0.00+≤$0.13 ·" in screen_text(app)[-1]
        await pilot.resize_terminal(120, 30)
        await command(app, pilot, host, "/status")
        assert "$0.00 + ≤$0.13 set aside of $20.00 (/cost breaks it down)" in "\n".join(screen_text(app))


@pytest.mark.parametrize("columns", [80, 120])
async def test_tokens_are_told_after_a_resume_beside_a_long_name_a_branch_a_cap_and_jobs(tmp_path: Path, columns: int) -> None:
    folder = tmp_path / "llama-sentiment"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    begun = e.SessionStarted(session_id=SESSION, cwd=str(folder), model="moonshotai/Kimi-K2-Instruct", effort="high")
    past = (begun, CAP, *started(), llm(), llm(), done("…"), submitted("1"), submitted("2"), RESUMED)
    host = scripted(past=past)
    async with running(host, size=(columns, 20)) as (app, pilot):
        while "main" not in app.status.branch:
            await settled(app, pilot, host)
        row = screen_text(app)[-1]
        assert "Kimi-K2-Instruct" in row and "25%" in row and "100k tokens" in row and "$3.00 of $20.00 · 2 jobs · ask" in row


async def test_an_unknown_price_and_an_unknown_window_are_said_to_be_unknown() -> None:
    host = scripted(past=(STARTED, llm(cost_usd=None)))
    host.context_window = None
    async with running(host, size=(120, 20)) as (app, pilot):
        assert "context 50k · 50k tokens · price unknown" in screen_text(app)[-1]
        host.emit(llm(cost_usd=0.5))
        await settled(app, pilot, host)
        assert "≥ $0.50" in screen_text(app)[-1]


@pytest.mark.parametrize("news", [e.Compacted(old_tokens=50_000, new_tokens=3_000), llm(kind="compaction"), RESUMED])
async def test_the_bar_keeps_the_window_where_the_next_session_has_not_asked_for_it_yet(news: e.AnyEvent) -> None:
    host = scripted(past=(STARTED, llm()))
    async with running(host, size=(120, 20)) as (app, pilot):
        host.context_window = None
        host.emit(news)
        await settled(app, pilot, host)
        assert "of 200k" in screen_text(app)[-1]
        host.emit(e.ModelSwitched(model="fake/other", previous="fake/model"))
        await settled(app, pilot, host)
        assert "of 200k" not in screen_text(app)[-1]


async def test_the_window_is_shown_as_soon_as_a_turn_or_a_summary_has_ended_by_which_it_was_found() -> None:
    for news in (done("ok"), e.Compacted(old_tokens=50_000, new_tokens=3_000)):
        host = scripted(past=(STARTED, llm()))
        host.context_window = None
        async with running(host, size=(120, 20)) as (app, pilot):
            host.context_window = 131_000
            host.emit(news)
            await settled(app, pilot, host)
            assert "of 131k" in screen_text(app)[-1]


async def test_money_that_is_set_aside_counts_until_it_is_settled() -> None:
    host = scripted(past=(STARTED, CAP))
    async with running(host, size=(120, 20)) as (app, pilot):
        host.emit(BudgetReserved(reservation_id="r", amount_usd=4.0, kind="job"))
        await settled(app, pilot, host)
        assert "$4.00 of $20.00" in screen_text(app)[-1]
        host.emit(BudgetSettled(reservation_id="r", actual_usd=1.0))
        await settled(app, pilot, host)
        assert "$1.00 of $20.00" in screen_text(app)[-1]


async def test_a_call_aside_does_not_change_how_full_the_context_is() -> None:
    host = scripted(past=(STARTED, llm(), llm(tokens=9_000, kind="research")))
    async with running(host, size=(120, 20)) as (app, _):
        assert "25% of 200k · 59k tokens" in screen_text(app)[-1]


@pytest.mark.parametrize(
    ("settings", "mode"), [(Settings(), "ask"), (Settings(read_only=True), "read-only"), (Settings(yolo_mode=True), "yolo")]
)
async def test_the_permission_mode_is_shown(settings: Settings, mode: str) -> None:
    async with running(scripted(), settings=settings) as (app, _):
        assert screen_text(app)[-1].endswith(f"· {mode}")


async def test_auto_approval_and_another_model_are_shown_at_once() -> None:
    host = scripted()
    async with running(host, size=(120, 20)) as (app, pilot):
        host.emit(e.ModelSwitched(model="other/one", previous="fake/model"), e.EffortChanged(effort="low", effective="low"))
        host.emit(e.SessionUpdate(session_id=SESSION, auto_approval={"enabled": True, "cost_cap_usd": None}))
        await settled(app, pilot, host)
        assert screen_text(app)[-1].startswith(" other/one low ·")
        assert screen_text(app)[-1].endswith("· yolo")


async def test_yolo_for_a_turn_is_shown_until_the_turn_ends_also_where_another_terminal_said_it() -> None:
    host = scripted()
    said = e.SessionUpdate(session_id=SESSION, auto_approval={"enabled": False, "cost_cap_usd": None, "this_turn": True})
    async with running(host, size=(120, 20)) as (app, pilot):
        host.emit(e.Processing(message=""), said)
        await settled(app, pilot, host)
        assert screen_text(app)[-1].endswith("· yolo until this turn ends")
        await pilot.resize_terminal(44, 20)
        await settled(app, pilot, host)
        assert screen_text(app)[-1].endswith("· yolo this turn")
        host.emit(e.Interrupted())
        await settled(app, pilot, host)
        assert screen_text(app)[-1].endswith("· ask")


# ── the branch ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_branch_is_read_from_the_folder_or_one_above_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/feature/x\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert branch_of(tmp_path / "a" / "b") == "feature/x"


def test_a_commit_without_a_branch_is_shown_by_its_beginning(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("0123456789abcdef0123\n")
    assert branch_of(tmp_path) == "01234567"


def test_a_worktree_has_its_own_branch(tmp_path: Path) -> None:
    git = tmp_path / "repo" / ".git" / "worktrees" / "w"
    git.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/w\n")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / ".git").write_text(f"gitdir: {git}\n")
    assert branch_of(tmp_path / "w") == "w"


def test_outside_a_repository_or_in_a_broken_one_there_is_no_branch(tmp_path: Path) -> None:
    assert branch_of(tmp_path / "nowhere") == ""
    (tmp_path / ".git").mkdir()
    assert branch_of(tmp_path) == ""


async def test_the_branch_stands_behind_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    host = scripted(past=(e.SessionStarted(session_id=SESSION, cwd=str(tmp_path), model="fake/model"),))
    async with running(host, size=(80, 20)) as (app, pilot):
        while not app.status.branch:
            await pilot.pause()
        await pilot.pause()
        assert f"{tmp_path.name} ⎇ main" in screen_text(app)[-1]


# ── the activity ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def doing(*news: e.AnyEvent) -> str:
    """What the activity line says after these events, without its spinner and its times."""
    host = scripted()
    async with running(host, size=(100, 24)) as (app, pilot):
        host.emit(*started(), *news)
        await settled(app, pilot, host)
        line = app.query_one(ActivityLine)
        text = "".join(text for _, text in line.line(0.0)) if line.busy else ""
    return text.split(" · ")[0][2:]


CALLS = tuple(e.ToolCalled(tool=tool, arguments={}, tool_call_id=tool) for tool in ("bash", "read"))
ASKED = e.ApprovalRequired(tools=(e.PendingTool(tool="bash", arguments={}, tool_call_id="bash"),), count=1)


@pytest.mark.parametrize(
    ("news", "said"),
    [
        ((), "waiting for the model"),
        ((e.ThinkingChunk(content="hm"),), "thinking"),
        ((e.ThinkingChunk(content="hm"), e.AssistantChunk(content="So")), "writing"),
        (CALLS, "running bash, read"),
        ((*CALLS, ASKED), "waiting for you"),
        ((*CALLS, ASKED, e.ToolStateChange(tool_call_id="bash", tool="bash", state="approved")), "running bash, read"),
        ((*CALLS, e.ToolFinished(tool="bash", tool_call_id="bash", output="", success=True)), "running read"),
        ((e.Retrying(attempt=1, delay_s=8, reason="overloaded"),), "waiting 8 s to try again: overloaded"),
        ((e.ErrorRaised(error="no such model", ends_turn=False),), "waiting for the model"),
        ((done("x"),), ""),
        ((*CALLS, e.Interrupted()), ""),
    ],
)
async def test_the_activity_line_says_what_is_going_on(news: tuple[e.AnyEvent, ...], said: str) -> None:
    assert await doing(*news) == said


async def test_the_activity_line_says_for_how_long_and_how_much_came() -> None:
    host = scripted()
    async with running(host, size=(100, 24)) as (app, pilot):
        host.emit(*started(), e.AssistantChunk(content="word " * 80))
        await settled(app, pilot, host)
        line = app.query_one(ActivityLine)
        text = "".join(text for _, text in line.line(line._since + 75))
    assert "writing · 1:15" in text
    assert text.endswith(" · ~100 tokens · Esc interrupts")


@pytest.mark.parametrize("columns", [60, 40, 28])
@pytest.mark.parametrize("news", [(), CALLS, (*CALLS, ASKED), (e.AssistantChunk(content="word " * 8000),)])
async def test_where_there_is_little_room_the_activity_line_has_shorter_words_and_cuts_none(
    news: tuple[e.AnyEvent, ...], columns: int
) -> None:
    host = scripted()
    async with running(host, size=(columns, 24), calm_s=60.0) as (app, pilot):  # a card that has the keys says itself what Esc does
        host.emit(*started(), *news)
        await settled(app, pilot, host)
        line = app.query_one(ActivityLine)
        text = "".join(text for _, text in line.line(line._since + 75))
    assert len(text) <= columns - 2
    assert "1:15" in text
    assert "Esc" in text


# ── what it costs to be open ─────────────────────────────────────────────────────────────────────────────────────────


async def test_only_what_turns_is_drawn_often_what_waits_each_second_and_an_idle_app_not_at_all() -> None:
    host = scripted()
    async with running(host, size=(100, 24)) as (app, pilot):
        row = app.query_one(ActivityLine)
        assert row._beating is None, "idle"
        assert not app.composer.cursor_blink
        host.emit(*started(), *CALLS)
        await settled(app, pilot, host)
        assert row._beating is not None and row.pause_s == TICK_S
        host.emit(ASKED)
        await settled(app, pilot, host)
        assert row.pause_s == SLOW_TICK_S, "it waits for the user"
        host.emit(e.ToolStateChange(tool_call_id="bash", tool="bash", state="approved"))
        await settled(app, pilot, host)
        assert row.pause_s == TICK_S
        app.app_focus = False
        assert row.pause_s == SLOW_TICK_S, "nobody looks"
        host.emit(done("x"))
        await settled(app, pilot, host)
        assert row._beating is None


async def test_the_turns_of_a_past_have_the_branch_looked_up_once_and_each_new_turn_again() -> None:
    host = scripted()
    async with running(host) as (app, pilot):
        bar = StatusBar(mode="ask", home=Path("/home"))
        await app.mount(bar)
        kept: list[Worker[object]] = []
        *past, turn = envelopes(STARTED, *[done("")] * 21)
        for envelope in (*past, turn):
            bar.read(envelope, live=envelope is turn)
            kept.extend(worker for worker in app.workers if worker.node is bar and worker not in kept)
        await settled(app, pilot, host)
        assert len(kept) == 2
