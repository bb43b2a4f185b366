"""What tests of pickers share: things to choose from, and a desk for jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from ml_intern.compute.jobs import JobInfo, Stage
from ml_intern.errors import ToolError
from ml_intern.frontends.tui.commands.model_list import ListedModel, ListedOffer
from ml_intern.frontends.tui.screens.models import ModelPicker, Probed
from ml_intern.protocol.display import Diff
from ml_intern.protocol.resource_events import HfJobComplete, HfJobSubmit
from ml_intern.protocol.rewind_events import RewindPlanned
from tests.tui.pilots import until
from tests.tui.scripted import screen_text

NOON = datetime(2026, 3, 4, 12, 0).astimezone()


def text_of(app: Any) -> str:
    return "\n".join(screen_text(app))


async def shown(app: Any, pilot: Pilot[int], what: str) -> str:
    await until(pilot, lambda: what in text_of(app))
    return text_of(app)


async def asked(app: Any, screen: Screen[Any]) -> asyncio.Future[Any]:
    """Push the screen; its answer comes to the future."""
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    await app.push_screen(screen, answer.set_result)
    return answer


MODELS = (
    ListedModel(model_id="ollama/qwen3:32b", provider="ollama at http://127.0.0.1:11434/v1", rank=0, price="free"),
    ListedModel(
        model_id="moonshotai/Kimi-K2.6",
        provider="Hugging Face router",
        rank=4,
        window=262_144,
        price="$0.95 → $4",
        tools=True,
        offers=(
            ListedOffer(provider="novita", live=True, window=262_144, price="$0.95 → $4", tools=True),
            ListedOffer(provider="slow", live=False, window=131_072, price="$0.5 → $2", tools=False),
        ),
    ),
    ListedModel(model_id="zai-org/GLM-5.1", provider="Hugging Face router", rank=4, window=200_000, tools=False, missing="HF_TOKEN"),
)


def model_picker(probe: Callable[[str], Awaitable[str]] | None = None, probed: Probed | None = None) -> ModelPicker:
    async def read() -> tuple[ListedModel, ...]:
        return MODELS

    async def answers(model_id: str) -> str:
        return f"{model_id} answered in 0.4 s and takes effort high."

    return ModelPicker("moonshotai/Kimi-K2.6", (read,), probe or answers, {} if probed is None else probed)


PLAN = RewindPlanned(
    before_message=1,
    conversation=True,
    files=True,
    confirm="tree1",
    restored=("train.py", "data/[x].csv"),
    deleted=("new.py",),
    own_changes=(Diff(path="train.py", unified="@@ -1 +1 @@\n-lr = 1\n+lr = 3", added=1, removed=1),),
    perhaps_own=(Diff(path="notes.md", unified="@@ -1 +1 @@\n-a\n+b", added=1, removed=1),),
    kept=("big.bin",),
)


def submitted(job_id: str) -> HfJobSubmit:
    return HfJobSubmit(
        job_id=job_id,
        job_url=f"https://hub/jobs/{job_id}",
        flavor="a10g-small",
        timeout="2h",
        job_type="python",
        image="",
        namespace="me",
        push_to_hub=False,
    )


def over(job_id: str, status: str = "completed") -> HfJobComplete:
    return HfJobComplete(
        job_id=job_id,
        flavor="a10g-small",
        final_status=status,
        wall_time_s=125,
        billable_seconds_estimate=125,
        price_usd_per_hour=1.0,
        estimated_cost_usd=0.035,
        cost_estimate_source="",
    )


class Desk:
    """A ``JobDesk`` that remembers what was asked of it."""

    def __init__(self) -> None:
        self.cancelled: list[tuple[str, str]] = []
        self.attached: list[str] = []
        self.refuses = ""

    async def others(self) -> list[JobInfo]:
        return [JobInfo(id="far", namespace="me", stage=Stage.RUNNING, flavor="t4-small", started_at=NOON - timedelta(minutes=5))]

    async def follow(self, job_id: str, namespace: str) -> AsyncIterator[str]:
        for i in range(500):
            yield f"{job_id} step [red]{i}[/red] \x1b[31m"

    async def cancel(self, job_id: str, namespace: str) -> None:
        if self.refuses:
            raise ToolError(self.refuses)
        self.cancelled.append((job_id, namespace))

    async def attach(self, info: JobInfo) -> None:
        self.attached.append(info.id)
