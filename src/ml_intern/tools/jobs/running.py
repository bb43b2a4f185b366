"""``run``: submit, follow to the end, tell what it cost. An interrupted call leaves the job running, and looked after."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ml_intern.compute.hf_script import shown
from ml_intern.compute.job_backends import JobBackends
from ml_intern.compute.jobs import JobBackend, JobInfo, JobRequest, Stage, job_labels
from ml_intern.errors import NoCreditsError, OutcomeUnknown, ServiceDown, ServiceError, ToolError
from ml_intern.protocol import display
from ml_intern.protocol.amounts import span, usd
from ml_intern.protocol.events import ToolStateChange
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled, CreditsToppedUp, HfJobComplete, HfJobSubmit
from ml_intern.tools.base import ToolContext, ToolOutput
from ml_intern.tools.jobs.output import TAIL_LINES, clean, log_tail
from ml_intern.tools.jobs.plan import JobPlan
from ml_intern.tools.jobs.watch import JobWatch, submitted
from ml_intern.tools.jobs.words import PERHAPS_STARTED, goes_on, how_to

BILLING = "https://huggingface.co/settings/billing"
_LINES_KEPT = 2 * TAIL_LINES
_REPORT_CHARS = 4000
MISREAD = (ValueError, KeyError, TypeError, AttributeError)
"""What a client raises over an answer that is not what it expects: the request was understood."""


class Dashboards(Protocol):
    """Who makes Trackio's dashboards."""

    def ensure(self, space_id: str) -> Awaitable[None]:
        """The Space is there afterwards, and shows. Raises ``ToolError``."""
        ...


class Submitted(Struct, frozen=True):
    """A job that was started, and its event."""

    info: JobInfo
    event: HfJobSubmit


class JobRunner:
    """Starts the jobs of one session."""

    def __init__(self, backends: JobBackends, watch: JobWatch, dashboards: Dashboards | None) -> None:
        self._backends = backends
        self._watch = watch
        self._dashboards = dashboards
        self._unpaid: set[str] = set()

    async def run(self, plan: JobPlan, ctx: ToolContext, *, limit: str, detach: bool) -> ToolOutput:
        """The job's end, or with ``detach`` its beginning. ``limit`` is its time-out in the model's words.

        Raises ``ToolError`` when it was not started.
        """
        backend = self._backends.named(plan.backend)
        try:
            note = await self.dashboard_note(plan)
        except asyncio.CancelledError:
            await self._watch.see_through(self._give_back(ctx))
            raise
        job: Submitted = await self._watch.see_through(self._submit(backend, plan, ctx, limit))
        if detach:
            self._watch.wake()
            text = f"{_named(job.info)} was submitted and goes on by itself; you are told when it ends.{note}\n"
            text += f"{job.info.url}\n" if job.info.url else ""
            return ToolOutput(text=text + how_to(job.info.id), display=(_shown(job.info),))
        with self._watch.following(job.info.id):
            return await self._follow(backend, job, ctx, note)

    async def dashboard_note(self, plan: JobPlan) -> str:
        """Make the dashboard that the plan's variables name; a failure is no reason not to train, but is told."""
        space = plan.request.env.get("TRACKIO_SPACE_ID", "")
        if not space or self._dashboards is None:
            return ""
        try:
            await self._dashboards.ensure(space)
        except ToolError as error:
            return f" The Trackio dashboard {space} could not be made: {error}"
        return ""

    # ── submitting ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _submit(self, backend: JobBackend, plan: JobPlan, ctx: ToolContext, limit: str) -> Submitted:
        """Start it and write that down. Runs to its end even when the call is interrupted, and so settles what it does not use.

        Every job has a reservation, of nothing where nobody knows its price: by it a restarted session finds what it started.
        """
        request = replace(plan.request, labels=job_labels(ctx.session_id, ctx.call_id))
        if plan.backend == "local" or plan.cost_usd is None:
            await ctx.emit(BudgetReserved(reservation_id=ctx.call_id, amount_usd=0.0, kind="hf_jobs"))
        info = await self._started(backend, request, ctx)
        kind = "docker" if request.command else "python"
        event = submitted(backend, info, ctx.call_id, timeout=limit, reservation_id=ctx.call_id, pushes=plan.publishes, job_type=kind)
        await ctx.emit(event)
        tracking = request.env.get("TRACKIO_SPACE_ID", ""), request.env.get("TRACKIO_PROJECT", "")
        await ctx.emit(_state(ctx, "running", info, *tracking))
        if request.namespace in self._unpaid:
            self._unpaid.discard(request.namespace)
            await ctx.emit(CreditsToppedUp(namespace=request.namespace))
        return Submitted(info, event)

    async def _started(self, backend: JobBackend, request: JobRequest, ctx: ToolContext) -> JobInfo:
        """The job. Raises ``ToolError``: it was refused and its money given back, or (``OutcomeUnknown``) it is looked for."""
        try:
            return await backend.submit(request)
        except NoCreditsError as error:
            await self._give_back(ctx)
            self._unpaid.add(request.namespace)
            await ctx.emit(_state(ctx, "billing_required", namespace=request.namespace))
            hint = f"The user can add credits at {BILLING}; then run it again, or pay from another namespace."
            raise NoCreditsError(error.message, hint=hint, service=error.service, status=error.status) from error
        except ToolError as error:
            if not may_have_been_done(error):
                await self._give_back(ctx)
                raise
            return await self._perhaps_started(error, ctx)
        except MISREAD as error:
            return await self._perhaps_started(ServiceDown(f"The answer to the submission was not understood: {error!r}."), ctx)

    async def _perhaps_started(self, error: ToolError, ctx: ToolContext) -> JobInfo:
        """The job, if the request was understood although its answer was lost. Raises ``OutcomeUnknown`` when it is not found."""
        found = await self._watch.look_for(ctx.call_id)
        if found is not None:
            return found
        raise unknown(error, PERHAPS_STARTED) from error

    @staticmethod
    async def _give_back(ctx: ToolContext) -> None:
        await ctx.emit(BudgetSettled(reservation_id=ctx.call_id, actual_usd=0.0))

    # ── following ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self, backend: JobBackend, job: Submitted, ctx: ToolContext, note: str) -> ToolOutput:
        info = job.info
        ctx.report(goes_on(job.event))
        lines: deque[str] = deque(maxlen=_LINES_KEPT)
        total = 0
        try:
            async for line in backend.follow(info.id, info.namespace):
                total += 1
                lines.append(line)
                ctx.report(clean(line)[:_REPORT_CHARS] + "\n")
            info = await backend.inspect(info.id, info.namespace)
        except ServiceError as error:
            return _lost_sight(info, error, list(lines), total)
        if not info.stage.is_over:
            return _lost_sight(info, None, list(lines), total)
        complete = await self._watch.finish(backend, job.event, info)
        await ctx.emit(_state(ctx, info.stage.value.lower(), info))
        return _ended(info, complete, list(lines), total, note)


def may_have_been_done(error: ToolError) -> bool:
    """Whether the request may have been understood although it was answered so: its answer was lost, or comes from a gateway."""
    return isinstance(error, ServiceDown) and (error.status is None or error.status >= 500)


def unknown(error: ToolError, hint: str) -> OutcomeUnknown:
    """The same failure, said for what it is."""
    told = error if isinstance(error, ServiceError) else ServiceError(error.message)
    return OutcomeUnknown(told.message, hint=hint, service=told.service, status=told.status)


def _state(
    ctx: ToolContext, state: str, info: JobInfo | None = None, space: str = "", project: str = "", namespace: str = ""
) -> ToolStateChange:
    return ToolStateChange(
        tool_call_id=ctx.call_id,
        tool="hf_jobs",
        state=state,
        job_url=info.url if info else "",
        trackio_space_id=space,
        trackio_project=project,
        namespace=namespace or (info.namespace if info else ""),
    )


def _named(info: JobInfo) -> str:
    return f"Job {info.id} on {info.flavor}"


def _shown(info: JobInfo) -> display.Job:
    return display.Job(id=info.id, status=info.stage.value.lower(), command=shown(info.command)[:500], url=info.url)


def _lost_sight(info: JobInfo, error: ServiceError | None, lines: list[str], total: int) -> ToolOutput:
    why = f"could not be followed any longer ({error})" if error else "is not over, although its log ended"
    text = (
        f"{_named(info)} {why}. It was not stopped, and costs until it ends; you are told when it does.\n{info.url}\n"
        f"{how_to(info.id)}\n{log_tail(info.id, lines, total)}"
    )
    return ToolOutput(text=text, success=False, display=(_shown(info),))


def _ended(info: JobInfo, complete: HfJobComplete, lines: list[str], total: int, note: str) -> ToolOutput:
    cost = f", {usd(complete.estimated_cost_usd)}" if complete.estimated_cost_usd is not None else ", cost unknown"
    message = f" {info.message}" if info.message else ""
    text = f"{_named(info)}: {info.stage.value} after {span(complete.wall_time_s)}{cost}.{message}{note}\n{info.url}\n"
    return ToolOutput(text=text + log_tail(info.id, lines, total), success=info.stage is Stage.COMPLETED, display=(_shown(info),))
