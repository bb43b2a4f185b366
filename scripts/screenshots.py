"""Pictures of the terminal app for the README: ``python scripts/screenshots.py`` writes docs/images/*.svg from scripted sessions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from ml_intern.compute.jobs import JobInfo  # noqa: E402
from ml_intern.config.environ import Environ  # noqa: E402
from ml_intern.config.load import LoadedSettings  # noqa: E402
from ml_intern.config.settings import Settings  # noqa: E402
from ml_intern.frontends.tui import theme  # noqa: E402
from ml_intern.frontends.tui.app import TuiApp  # noqa: E402
from ml_intern.frontends.tui.commands.model_list import ListedModel, ListedOffer  # noqa: E402
from ml_intern.frontends.tui.screens.jobs import JobsScreen  # noqa: E402
from ml_intern.frontends.tui.screens.models import ModelPicker  # noqa: E402
from ml_intern.protocol import events as e  # noqa: E402
from ml_intern.protocol.display import Diff, PlanItem, Table, Text  # noqa: E402
from ml_intern.protocol.resource_events import BudgetReserved, HfJobComplete, HfJobSubmit  # noqa: E402
from tests.tui.picker_world import Desk  # noqa: E402
from tests.tui.pilots import until  # noqa: E402
from tests.tui.scripted import ScriptedHost, screen_text, scripted, settled  # noqa: E402
from tests.unit.frontends.fake_host import SESSION  # noqa: E402

IMAGES = ROOT / "docs" / "images"
HOME = "/home/alice"
FOLDER = f"{HOME}/support"
MODEL = "moonshotai/Kimi-K2.6"
STARTED = e.SessionStarted(session_id=SESSION, cwd=FOLDER, model=MODEL, effort="high")
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
    model=MODEL, latency_ms=900, finish_reason="tool_calls", cost_usd=0.41, kind="main", prompt_tokens=61_000, completion_tokens=900,
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
CHANGE = """\
@@ -6,4 +6,4 @@
 config = SFTConfig(
-    output_dir="out", max_length=1024,
+    output_dir="out", max_length=2048,
     push_to_hub=True, hub_model_id="alice/qwen3-support",
 )
"""
WORK: tuple[e.AnyEvent, ...] = (
    STARTED,
    e.UserMessageAdded(content="Fine-tune a small model on acme/support and beat the baseline of 71.3."),
    e.Processing(message=""),
    e.AssistantMessageAdded(content="First the recipe and the data, side by side.", model=MODEL, finish_reason="tool_calls"),
    call("c1", "hf_papers", operation="read_paper", arxiv_id="2506.01234", section="4"),
    answer("c1", "hf_papers", "4 Experiments\nSFT for 2 epochs, lr 2e-5, packing.", 1.8),
    call("c2", "hf_inspect_dataset", dataset="acme/support"),
    answer("c2", "hf_inspect_dataset", "18,204 rows", 1.1, display=(AUDIT,)),
    e.PlanUpdate(plan=PLAN),
    e.AssistantMessageAdded(
        content="The data fits SFT (`messages`), with **311 duplicates** that I drop. The smoke run passes:\n\n"
        "| rows | steps | loss |\n|---|---|---|\n| 50 | 10 | 2.31 → 1.87 |",
        model=MODEL,
        finish_reason="tool_calls",
    ),
    call("c3", "edit", path="train.py"),
    answer(
        "c3", "edit", "train.py: 1 replacement", 0.1,
        display=(Diff(path="train.py", unified=CHANGE, added=1, removed=1),),
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
    job_id="68f2a1c4", job_url="", flavor="a10g-large", timeout="3h", job_type="python", image="", namespace="alice", push_to_hub=True,
    tool_call_id="c4", reservation_id="c4", price_usd_per_hour=1.5,
)  # fmt: skip
SMOKE = HfJobSubmit(
    job_id="68f29b07", job_url="", flavor="t4-small", timeout="30m", job_type="python", image="", namespace="alice", push_to_hub=False,
    tool_call_id="c0", reservation_id="c0", price_usd_per_hour=0.4,
)  # fmt: skip
SMOKED = HfJobComplete(
    job_id="68f29b07", flavor="t4-small", final_status="completed", wall_time_s=221, billable_seconds_estimate=221, price_usd_per_hour=0.4,
    estimated_cost_usd=0.0246, cost_estimate_source="",
)  # fmt: skip
RESEARCH = "How do recipes for short support messages schedule the learning rate?"
RUNNING: tuple[e.AnyEvent, ...] = (
    *WORK,
    call("c4", "hf_jobs", operation="run", hardware_flavor="a10g-large"),
    BudgetReserved(reservation_id="c4", amount_usd=4.5, kind="hf_jobs"),
    JOB,
    call("c5", "research", task=RESEARCH),
)
LOG = ("step 120 loss 1.42 lr 1.9e-05", "step 130 loss 1.39 lr 1.9e-05")
LIVE: tuple[e.AnyEvent, ...] = (
    e.ToolLog(tool="hf_jobs", log="".join(f"{row}\n" for row in LOG), tool_call_id="c4"),
    e.SubagentProgress(
        agent_id="c5", label=RESEARCH[:50], steps=6, tokens=41_000, tool_calls=11, cost_usd=0.1, activity="hf_papers read_paper 2506.01234"
    ),
)
ROUTER = "Hugging Face router"
MODELS = (
    ListedModel(model_id="ollama/qwen3:32b", provider="ollama at http://127.0.0.1:11434/v1", rank=0, price="free", tools=True),
    ListedModel(
        model_id=MODEL, provider=ROUTER, rank=4, window=262_144, price="$0.95 → $4", tools=True, sees_images=True,
        effort_levels=("low", "medium", "high"),
        offers=(
            ListedOffer(provider="novita", live=True, window=262_144, price="$0.95 → $4", tools=True),
            ListedOffer(provider="together", live=True, window=262_144, price="$1 → $4", tools=True),
        ),
    ),
    ListedModel(model_id="zai-org/GLM-5.1", provider=ROUTER, rank=4, window=202_752, price="$1 → $3.2", tools=True),
    ListedModel(model_id="Qwen/Qwen3-Coder-Next", provider=ROUTER, rank=4, window=262_144, price="$0.2 → $1.5", tools=True),
    ListedModel(model_id="anthropic/claude-opus-4-6", provider="Anthropic", rank=5, window=200_000, price="$5 → $25", tools=True,
                sees_images=True, missing="ANTHROPIC_API_KEY"),
)  # fmt: skip


class Jobs(Desk):
    """With the log of a training."""

    async def others(self) -> list[JobInfo]:
        return []

    async def follow(self, job_id: str, namespace: str) -> AsyncIterator[str]:
        for row in LOG:
            yield row


Then = Callable[[TuiApp, Any, ScriptedHost], Awaitable[None]]


async def picture(name: str, past: tuple[e.AnyEvent, ...], then: Then | None = None, *, rows: int = 36, columns: int = 104) -> None:
    """One file."""
    host = scripted(past=past)
    host.jobs = Jobs()
    host.context_window = 262_144

    async def opening() -> ScriptedHost:
        return host

    with TemporaryDirectory() as folder:
        xdg = {f"XDG_{kind}_HOME": folder for kind in ("CONFIG", "DATA", "CACHE", "STATE")}
        loaded = LoadedSettings(settings=Settings(), environ=Environ({"HOME": HOME, **xdg}), cwd=Path(FOLDER))
        app = TuiApp(opening, loaded, theme_name=theme.DARK)
        async with app.run_test(size=(columns, rows)) as pilot:
            await settled(app, pilot, host)
            if then is not None:
                await then(app, pilot, host)
            IMAGES.mkdir(exist_ok=True)
            (IMAGES / f"{name}.svg").write_text(app.export_screenshot(title="ml-intern"), encoding="utf-8")


async def watch(app: TuiApp, pilot: Any, host: ScriptedHost) -> None:
    host.emit(*LIVE)
    await settled(app, pilot, host)


async def decide(app: TuiApp, pilot: Any, host: ScriptedHost) -> None:
    await pilot.press("f2")
    await settled(app, pilot, host)


async def write(app: TuiApp, pilot: Any, host: ScriptedHost) -> None:
    await pilot.press("/", "r", "e")
    await until(pilot, lambda: any("/rewind" in row for row in screen_text(app)))
    await settled(app, pilot, host)


async def see_jobs(app: TuiApp, pilot: Any, host: ScriptedHost) -> None:
    later = datetime.now(UTC) + timedelta(minutes=48)
    screen = JobsScreen(lambda: list(app.recall.jobs.values()), host.jobs, now=lambda: later)
    await app.push_screen(screen)
    await until(pilot, lambda: any("this session's" in row for row in screen_text(app)))
    await pilot.press("enter")
    await until(pilot, lambda: any(LOG[-1] in row for row in screen_text(app)))


async def choose_model(app: TuiApp, pilot: Any, host: ScriptedHost) -> None:
    async def listed() -> tuple[ListedModel, ...]:
        return MODELS

    async def probe(model_id: str) -> str:
        return f"{model_id} answered in 0.4 s."

    await app.push_screen(ModelPicker(MODEL, (listed,), probe, {}))
    await until(pilot, lambda: any("claude" in row for row in screen_text(app)))
    await pilot.pause()


async def main() -> None:
    await picture("first", (STARTED,), rows=14)
    await picture("conversation", RUNNING, watch, rows=43)
    await picture("approval", (*WORK, e.ApprovalRequired(tools=(WAITS,), count=1)), decide)
    await picture("jobs", (*WORK, SMOKE, SMOKED, JOB), see_jobs, rows=18)
    await picture("model", WORK, choose_model, rows=24, columns=120)
    await picture("commands", WORK, write, rows=30)
    for path in sorted(IMAGES.glob("*.svg")):
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    asyncio.run(main())
