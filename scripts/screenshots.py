"""Pictures of the terminal app for the README: ``python scripts/screenshots.py`` writes docs/images/*.svg from scripted sessions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from ml_intern.config.environ import Environ  # noqa: E402
from ml_intern.config.load import LoadedSettings  # noqa: E402
from ml_intern.config.settings import Settings  # noqa: E402
from ml_intern.frontends.tui import theme  # noqa: E402
from ml_intern.frontends.tui.app import TuiApp  # noqa: E402
from ml_intern.protocol import events as e  # noqa: E402
from ml_intern.protocol.display import Diff, PlanItem, Table, Text  # noqa: E402
from ml_intern.protocol.resource_events import BudgetReserved, HfJobSubmit  # noqa: E402
from tests.tui.scripted import STARTED, ScriptedHost, scripted, settled  # noqa: E402

IMAGES = ROOT / "docs" / "images"
SIZE = (104, 34)
SCRIPT = """\
# /// script
# dependencies = ["trl>=0.20", "trackio"]
# ///
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

config = SFTConfig(
    output_dir="out", push_to_hub=True, hub_model_id="alice/qwen3-support",
    logging_first_step=True, report_to="trackio", max_length=2048,
)
trainer = SFTTrainer("Qwen/Qwen3-1.7B", args=config, train_dataset=load_dataset("acme/support", split="train"))
trainer.train()
"""
PLAN = (
    PlanItem("1", "Read the recipe and audit the data", "completed"),
    PlanItem("2", "Smoke run on 50 rows", "completed"),
    PlanItem("3", "Train on one a10g-large", "in_progress"),
    PlanItem("4", "Evaluate, card, report", "pending"),
)
USED = e.LlmCall(
    model="Kimi-K2.6", latency_ms=900, finish_reason="tool_calls", cost_usd=0.41, kind="main", prompt_tokens=61_000, completion_tokens=900,
    total_tokens=61_900, cache_read_tokens=50_000, cache_creation_tokens=0,
)  # fmt: skip


def call(key: str, tool: str, **arguments: Any) -> e.ToolCalled:
    return e.ToolCalled(tool=tool, arguments=arguments, tool_call_id=key)


def answer(key: str, tool: str, output: str, seconds: float, *, success: bool = True, display: tuple[Any, ...] = ()) -> e.ToolFinished:
    return e.ToolFinished(tool=tool, tool_call_id=key, output=output, success=success, duration_s=seconds, display=display)


AUDIT = Table(
    title="acme/support",
    columns=("split", "rows", "duplicates", "empty"),
    rows=(("train", "18,204", "311 (1.7 %)", "12"), ("test", "2,001", "0", "0")),
)
WORK: tuple[e.AnyEvent, ...] = (
    STARTED,
    e.UserMessageAdded(content="Fine-tune a small model on acme/support and beat the baseline of 71.3."),
    e.Processing(message=""),
    e.AssistantMessageAdded(content="First the recipe and the data, side by side.", model="m", finish_reason="tool_calls"),
    call("c1", "hf_papers", operation="read_paper", arxiv_id="2506.01234", section="4"),
    answer("c1", "hf_papers", "4 Experiments\nSFT for 2 epochs, lr 2e-5, packing.", 1.8),
    call("c2", "hf_inspect_dataset", dataset="acme/support"),
    answer("c2", "hf_inspect_dataset", "18,204 rows", 1.1, display=(AUDIT,)),
    e.PlanUpdate(plan=PLAN),
    e.AssistantMessageAdded(
        content="The data fits SFT (`messages`), with **311 duplicates** that I drop. The smoke run passes:\n\n"
        "| rows | steps | loss |\n|---|---|---|\n| 50 | 10 | 2.31 → 1.87 |",
        model="m",
        finish_reason="tool_calls",
    ),
    call("c3", "edit", path="train.py"),
    answer(
        "c3", "edit", "train.py: 1 replacement", 0.1,
        display=(Diff(path="train.py", unified="@@ -7 +7 @@\n-    max_length=1024,\n+    max_length=2048,\n", added=1, removed=1),),
    ),
    USED,
)  # fmt: skip
WAITS = e.PendingTool(
    tool="hf_jobs", arguments={"operation": "run", "script": SCRIPT, "hardware_flavor": "a10g-large", "timeout": "3h"}, tool_call_id="c4",
    reason="It runs on a10g-large ($1.50/h, stopped after 3 h: at most $4.50).",
    risk=("leaves the machine", "spends"), estimated_cost_usd=4.5, remaining_cap_usd=9.59,
    remember_rule="hf_jobs(run a10g-large)",
    display=(Text(text="Runs on a10g-large ($1.50/h, stopped after 3 h: at most $4.50).\nSaved: it means to push to the Hub."),
             Text(text=SCRIPT, language="python")),
)  # fmt: skip
JOB = HfJobSubmit(
    job_id="68f2a1", job_url="", flavor="a10g-large", timeout="3h", job_type="script", image="", namespace="alice", push_to_hub=True,
    tool_call_id="c4", reservation_id="c4",
)  # fmt: skip
RUNNING: tuple[e.AnyEvent, ...] = (
    *WORK,
    call("c4", "hf_jobs", operation="run", hardware_flavor="a10g-large"),
    BudgetReserved(reservation_id="c4", amount_usd=4.5, kind="hf_jobs"),
    JOB,
)
LIVE: tuple[e.AnyEvent, ...] = (
    e.ToolLog(tool="hf_jobs", log="step 120 loss 1.42 lr 1.9e-05\nstep 130 loss 1.39 lr 1.9e-05\n", tool_call_id="c4"),
    e.SubagentProgress(agent_id="c5", label="schedules", steps=6, tokens=41_000, tool_calls=11, cost_usd=0.1, activity="hf_papers"),
)  # fmt: skip


async def picture(
    name: str, past: tuple[e.AnyEvent, ...], then: Callable[[TuiApp, Any, ScriptedHost], Awaitable[None]] | None = None
) -> None:
    """One file."""
    host = scripted(past=past)

    async def opening() -> ScriptedHost:
        return host

    with TemporaryDirectory() as folder:
        loaded = LoadedSettings(settings=Settings(), environ=Environ({"HOME": folder}), cwd=Path("/home/shop"))
        app = TuiApp(opening, loaded, theme_name=theme.DARK)
        async with app.run_test(size=SIZE) as pilot:
            await settled(app, pilot, host)
            if then is not None:
                await then(app, pilot, host)
            IMAGES.mkdir(exist_ok=True)
            (IMAGES / f"{name}.svg").write_text(app.export_screenshot(title="ml-intern"), encoding="utf-8")


async def watch(app: TuiApp, pilot: Any, host: ScriptedHost) -> None:
    host.emit(*LIVE)
    await settled(app, pilot, host)


async def write(app: TuiApp, pilot: Any, host: ScriptedHost) -> None:
    await pilot.press("/", "r", "e")
    await pilot.pause(0.3)
    await settled(app, pilot, host)


async def main() -> None:
    await picture("conversation", RUNNING, watch)
    await picture("approval", (*WORK, e.ApprovalRequired(tools=(WAITS,), count=1)))
    await picture("commands", WORK, write)
    for path in sorted(IMAGES.glob("*.svg")):
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    asyncio.run(main())
