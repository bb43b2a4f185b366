"""The cards of research that runs side by side: what each does, what it has used, how it ended, and what it reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.blocks.tool import ToolBlock
from ml_intern.frontends.tui.theme import palette
from ml_intern.protocol import events as e
from ml_intern.protocol.subagent_events import WRITES, SubagentFinished, SubagentProgress
from tests.tui.test_looks import Stage, shows
from tests.unit.frontends.fake_host import started

TASKS = (
    "Find the best published recipe for fine-tuning a 1B model on short customer messages, with numbers.",
    "Which open datasets of labelled customer messages exist, with licence and size?",
    "How does TRL's SFTTrainer pack sequences, and what does it cost in quality?",
)
REPORT = """\
## Ranked recipes

1. **LoRA, rank 16** on Qwen3-0.6B: macro-F1 0.81 ± 0.01 (arXiv 2501.01234, table 3).
2. Full fine-tuning: 0.82, four times the cost.

| recipe | macro-F1 | cost |
|---|---|---|
| LoRA r16 | 0.81 | $0.40 |
| full | 0.82 | $1.70 |

Consulted:
- hf_papers search rare classes
"""


def progress(number: int, steps: int, activity: str = "", *, calls: int | None = None) -> SubagentProgress:
    return SubagentProgress(
        agent_id=str(number),
        label=TASKS[number][:50],
        steps=steps,
        tokens=4_100 * steps,
        tool_calls=2 * steps if calls is None else calls,
        cost_usd=0.0125 * steps,
        activity=activity,
    )


def over(number: int, outcome: str, detail: str = "", *, duration_s: float = 75) -> SubagentFinished:
    return SubagentFinished(
        agent_id=str(number),
        label=TASKS[number][:50],
        outcome=outcome,
        steps=4,
        tokens=13_000,
        tool_calls=8,
        cost_usd=0.03,
        duration_s=duration_s,
        detail=detail,
    )


def answered(number: int, output: str, *, success: bool = True, error_kind: str = "", duration_s: float = 75.2) -> e.ToolFinished:
    call_id = str(number)
    return e.ToolFinished(
        tool="research", tool_call_id=call_id, output=output, success=success, error_kind=error_kind, duration_s=duration_s
    )


def card(number: int = 0) -> ToolBlock:
    return ToolBlock("research", {"task": TASKS[number], "context": "one A10G"}, started_at=0.0)


def rows(block: ToolBlock, columns: int = 80, now: float = 24.0) -> list[str]:
    return [row.text.rstrip() for row in block.draw(Pen(columns, palette(""), now=now))]


def test_a_running_agent_takes_two_rows_its_task_with_the_time_and_what_it_does_with_what_it_has_used() -> None:
    block = card()
    block.follow(progress(0, 1, "hf_papers search rare classes", calls=1))
    head, now = rows(block)
    assert head.startswith("● research  Find the best published recipe") and head.endswith("0:24")
    assert now.startswith("  └ hf_papers search") and now.endswith("1 step · 4.1k tokens · 1 call · $0.0125")


def test_an_agent_that_is_over_takes_one_row_with_what_it_has_used() -> None:
    block = card()
    block.follow(over(0, "done"))
    block.finish(answered(0, REPORT))
    (wide,), (narrow,) = rows(block, 118), rows(block, 60)
    assert wide.startswith("✓ research  Find") and wide.endswith("4 steps · 13k tokens · 8 calls · $0.0300 · 1:15")
    assert narrow.endswith("4 steps · $0.0300 · 1:15"), "what says least gives way"


@pytest.mark.parametrize(
    ("outcome", "success", "kind"), [("stopped", True, ""), ("failed", False, "failed"), ("interrupted", False, "interrupted")]
)
def test_an_agent_that_ended_early_says_how_once_and_why(outcome: str, success: bool, kind: str) -> None:
    block = card()
    block.follow(over(0, outcome, "its limit of steps"))
    block.finish(answered(0, "what it had found", success=success, error_kind=kind))
    head, why, *_ = rows(block, 118)
    assert head.count(outcome) == 1 and head.endswith(f"{outcome} · 4 steps · 13k tokens · 8 calls · $0.0300 · 1:15")
    assert why == "  its limit of steps"


def test_interrupted_agents_take_one_row_each() -> None:
    block = card()
    block.follow(over(0, "interrupted"))
    block.finish(answered(0, "Interrupted: the outcome of this call is unknown.", success=False, error_kind="interrupted"))
    assert len(rows(block)) == 1


def test_unfolded_it_shows_what_it_did_last_and_how_much_there_was_before() -> None:
    block = card()
    for n in range(1, 15):
        block.follow(progress(0, n, f"web_search number {n}", calls=n))
        block.follow(progress(0, n, f"web_search number {n}", calls=n))
    block.folded = False
    shown = rows(block)
    assert shown[-1] == "  ▸ web_search number 14" and "    web_search number 5" in shown
    assert "    … 4 earlier" in shown and "    web_search number 4" not in shown


def test_between_its_calls_an_agent_is_said_to_think_or_write_and_no_call_is_marked_as_running() -> None:
    block = card()
    block.follow(progress(0, 0, calls=0))
    assert rows(block)[1].startswith("  └ thinks"), "also before its first step has ended"
    block.folded = False
    for activity, last in (("glob **/*.py", "▸ glob **/*.py"), ("", "▸ thinks"), (WRITES, "▸ writes")):
        block.follow(progress(0, 1, activity, calls=1))
        shown = rows(block)
        assert shown[-1] == f"  {last}" and sum("glob **/*.py" in row for row in shown) == 1
    block.follow(over(0, "interrupted"))
    block.finish(answered(0, "Interrupted: the outcome of this call is unknown.", success=False, error_kind="interrupted"))
    shown = rows(block)
    assert shown[-1] == "  ■ interrupted" and "    glob **/*.py" in shown and "unknown" not in "\n".join(shown)


def test_its_report_is_drawn_as_the_markdown_that_it_is() -> None:
    block = card()
    block.follow(over(0, "done"))
    block.finish(answered(0, REPORT))
    block.folded = False
    shown = "\n".join(rows(block))
    assert "Ranked recipes" in shown and "##" not in shown and "**" not in shown and "|---" not in shown
    assert block.text == REPORT, "and copied as it is written"


CALLS = tuple(e.ToolCalled(tool="research", arguments={"task": task}, tool_call_id=str(n)) for n, task in enumerate(TASKS))
ASKED = (*started("Which recipe fits?"), e.AssistantMessageAdded(content="I ask three researchers at once."), *CALLS)
RUNNING = (
    *ASKED,
    progress(0, 1, "hf_papers search rare classes short text"),
    progress(0, 2, "hf_papers read_paper 2501.01234"),
    progress(1, 1, "hub_search datasets customer messages"),
    progress(2, 3, "github_read_file huggingface/trl trl/trainer/sft_trainer.py"),
)
OVER = (
    *RUNNING,
    over(0, "done"), answered(0, REPORT),
    over(1, "stopped", "Its limit of 4 steps is reached."), answered(1, "[The research stopped before it was complete]\n\nTwo so far."),
    over(2, "failed", "The model server is not reachable."), answered(2, "Nothing was found yet.", success=False, error_kind="failed"),
)  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("unfolded", [False, True], ids=["folded", "unfolded"])
def test_three_that_run(snap_compare: Callable[..., bool], size: tuple[int, int], unfolded: bool) -> None:
    assert snap_compare(Stage(theme.DARK), run_before=shows(*RUNNING, unfolded=unfolded), terminal_size=size)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_done_stopped_and_failed(snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    assert snap_compare(Stage(theme.DARK), run_before=shows(*OVER), terminal_size=size)


def test_a_report_unfolded(snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(
        Stage(theme.DARK), run_before=shows(*ASKED[:-2], over(0, "done"), answered(0, REPORT), unfolded=True), terminal_size=(80, 40)
    )


def test_an_agent_that_a_crash_cut_off_says_how_far_it_had_come_and_what_it_was_at_but_not_how_long_it_ran() -> None:
    block = card()
    block.follow(progress(0, 3, "hf_papers read_paper 2501.01234"))
    block.follow(over(0, "interrupted", "The process ended while it ran hf_papers read_paper 2501.01234", duration_s=0))
    assert len(rows(block, 120)) == 2 and "thinks" not in rows(block, 120)[1], "its end is told before the call has its answer"
    block.finish(answered(0, "Interrupted after 4 steps and 8 calls.", success=False, error_kind="interrupted", duration_s=0))
    head, *below = rows(block, 120)
    assert head.endswith("interrupted · 4 steps · 13k tokens · 8 calls · $0.0300"), "nobody knows how long it ran"
    assert below == ["  The process ended while it ran hf_papers read_paper 2501.01234"]
    assert "unknown" not in "\n".join([head, *below])
