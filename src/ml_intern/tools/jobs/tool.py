"""``hf_jobs``: training jobs on Hugging Face, or on this machine by the same face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import ClassVar

from msgspec.structs import asdict

from ml_intern.compute.base import Workspace
from ml_intern.compute.job_backends import LOCAL_PREFIX, JobBackends
from ml_intern.compute.jobs import DEFAULT_FLAVOR
from ml_intern.config.secret import SecretStr
from ml_intern.errors import ToolError
from ml_intern.models.base import ToolSchema
from ml_intern.protocol.display import Display
from ml_intern.protocol.messages import JsonObject
from ml_intern.protocol.resource_events import HfJobSubmit
from ml_intern.tools.base import READ_ONLY, Effect, PermissionSubject, Risk, Tool, ToolContext, ToolOutput, inline_schema
from ml_intern.tools.jobs.arguments import HfJobsArgs, check_ids, parsed, parsed_text, timeout_seconds, without_empty_defaults
from ml_intern.tools.jobs.looking import JobViews, OwnJobArgs
from ml_intern.tools.jobs.plan import JobPlan, JobPlanner, PlannedArgs, preview
from ml_intern.tools.jobs.recurrence import checked_schedule, monthly_words
from ml_intern.tools.jobs.running import Dashboards, JobRunner
from ml_intern.tools.jobs.schedules import ScheduleCalls
from ml_intern.tools.jobs.watch import JobWatch

STARTS = ("run", "scheduled run")


class HfJobsTool(Tool[HfJobsArgs]):
    """``session_jobs`` are the session's jobs that are not over, by id."""

    name: ClassVar[str] = "hf_jobs"
    description: ClassVar[str] = (
        "Run and manage training jobs on cloud hardware. `run` follows the log to the end and tells status and cost; interrupted, the "
        "job goes on. First check the data and try the script small; save results with push_to_hub (a job's disk is lost); set a "
        "timeout well above the estimate; log metrics with trackio. Start one job, see it train, then the others. Out of memory: "
        "smaller batches and gradient accumulation first."
    )
    args = HfJobsArgs
    timeout_s: ClassVar[float | None] = None
    risk_words: ClassVar[str] = (
        "ps, logs, inspect and their scheduled forms read; run spends, and counts as changing the Hub where code that nobody saw gets "
        "the token; cancel leaves the machine, and changes the Hub for a job of others; scheduled "
        "run and resume recur (always ask); scheduled delete and suspend change the Hub; a local job runs code"
    )
    price_words: ClassVar[str] = (
        "hourly price × timeout, reserved before it starts and settled by wall time; unknown prices ask; local jobs are free"
    )

    def __init__(
        self,
        backends: JobBackends,
        workspace: Workspace,
        watch: JobWatch,
        *,
        forward_token: SecretStr | None,
        dashboards: Dashboards | None = None,
        session_jobs: Callable[[], Mapping[str, HfJobSubmit]],
    ) -> None:
        """``forward_token`` goes into jobs as ``HF_TOKEN``; None: no token does (``jobs.forward_token`` is off, or there is none)."""
        self._backends = backends
        self._planner = JobPlanner(backends, workspace, forward_token)
        self._runner = JobRunner(backends, watch, dashboards)
        self._views = JobViews(backends, session_jobs)
        self._schedules = ScheduleCalls(backends, self._runner)
        self._session_jobs = session_jobs
        self._watch = watch

    @cached_property
    def schema(self) -> ToolSchema:
        """Without what goes without saying: that what may be left out is empty by default. These are many parameters."""
        return ToolSchema(self.name, self.description, without_empty_defaults(inline_schema(self.args)))

    def parse(self, arguments: str) -> HfJobsArgs:
        return parsed_text(arguments)

    def parse_object(self, arguments: JsonObject) -> HfJobsArgs:
        return parsed(arguments)

    async def prepare(self, args: HfJobsArgs, shown: HfJobsArgs | None = None) -> HfJobsArgs:
        """A job that is to start is planned here: its script is read once, and exactly that is shown, judged and sent.

        What cannot be done as it is asked for is refused here, before anyone is asked for leave.
        """
        if isinstance(args, PlannedArgs | OwnJobArgs):
            return args
        check_ids(args)
        if args.operation == "cancel" and await self._views.is_own(args, self._watch.labels):
            return OwnJobArgs(**asdict(args))
        if args.operation not in STARTS:
            return args
        plan = await self._planner.plan(args, shown.plan if isinstance(shown, PlannedArgs) else None)
        return PlannedArgs(**asdict(args), plan=plan)

    # ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def risk(self, args: HfJobsArgs) -> Risk:
        match args.operation:
            case "run":
                return self._run_risk(args)
            case "scheduled run":
                effects = frozenset({Effect.RECURRING, Effect.WRITES_HUB, Effect.LEAVES_MACHINE})
                return Risk(effects=effects, reason=_recurring(args), starts_job=True)
            case "scheduled resume":
                effects = frozenset({Effect.RECURRING, Effect.WRITES_HUB})
                return Risk(effects=effects, reason="It starts a schedule again, which costs money at each run.")
            case "scheduled delete" | "scheduled suspend":
                return Risk(effects=frozenset({Effect.WRITES_HUB}), reason=f"It changes the schedule {args.scheduled_job_id}.")
            case "cancel":
                return self._cancel_risk(args)
            case _:
                return READ_ONLY

    def _run_risk(self, args: HfJobsArgs) -> Risk:
        plan = args.plan if isinstance(args, PlannedArgs) else None
        if self._is_local(plan):
            return _local_risk(plan)
        cost = plan.cost_usd if plan else self._guessed_cost(args)
        reason = f"It runs {plan.cost_words}. {plan.token_words}".strip() if plan else "It starts a job that costs money."
        effects = {Effect.SPENDS, Effect.LEAVES_MACHINE}
        if plan is not None and plan.token_leaves_to:  # with the token it can do on the Hub what the user can
            effects.add(Effect.WRITES_HUB)
            reason = f"{reason} Nobody here has seen what gets it: {plan.token_leaves_to}."
        pushes = plan is not None and plan.publishes
        return Risk(effects=frozenset(effects), cost_usd=cost, reason=reason, starts_job=True, publishes=pushes)

    def _is_local(self, plan: JobPlan | None) -> bool:
        if plan is not None:
            return plan.backend == "local"
        try:
            return self._backends.for_new_jobs.name == "local"
        except ToolError:
            return False

    def _guessed_cost(self, args: HfJobsArgs) -> float | None:
        """From what is known of prices; None: nobody knows."""
        try:
            seconds = timeout_seconds(args.timeout)
            hardware = self._backends.for_new_jobs.known_hardware().find(args.hardware_flavor or DEFAULT_FLAVOR)
        except ToolError:
            return None
        price = hardware.usd_per_hour if hardware is not None else None
        return None if price is None else price * seconds / 3600

    def _cancel_risk(self, args: HfJobsArgs) -> Risk:
        if isinstance(args, OwnJobArgs) or (isinstance(args.job_id, str) and args.job_id.strip() in self._session_jobs()):
            return Risk(effects=frozenset({Effect.LEAVES_MACHINE}))
        here = isinstance(args.job_id, str) and args.job_id.strip().startswith(LOCAL_PREFIX)
        effect = Effect.WRITES_OUTSIDE if here else Effect.WRITES_HUB
        return Risk(effects=frozenset({effect}), reason=f"It stops the job {args.job_id}, which this session did not start.")

    def subject(self, args: HfJobsArgs) -> PermissionSubject:
        if args.operation in STARTS:
            flavor = args.plan.request.flavor if isinstance(args, PlannedArgs) else args.hardware_flavor.strip() or DEFAULT_FLAVOR
            parts = (f"{args.operation} {flavor}",)
            # A rule for a kind of hardware is no leave to give the token to an image or a page that nobody here has seen.
            leaves = args.plan.token_leaves_to if isinstance(args, PlannedArgs) else ""
            return PermissionSubject(parts=(*parts, f"token to {leaves}") if leaves else parts)
        if args.operation in ("ps", "scheduled ps"):
            return PermissionSubject(parts=(args.operation,))
        if args.operation.startswith("scheduled"):
            return PermissionSubject(parts=(f"{args.operation} {args.scheduled_job_id.strip()}".strip(),))
        ids = (args.job_id,) if isinstance(args.job_id, str) else args.job_id or ("",)
        return PermissionSubject(parts=tuple(f"{args.operation} {job_id.strip()}".strip() for job_id in ids))

    def preview(self, args: HfJobsArgs) -> tuple[Display, ...]:
        return preview(args.plan, " ".join(args.schedule.split())) if isinstance(args, PlannedArgs) else ()

    # ── doing ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, args: HfJobsArgs, ctx: ToolContext) -> ToolOutput:
        prepared = await self.prepare(args)
        if isinstance(prepared, PlannedArgs):
            if prepared.operation == "run":
                return await self._runner.run(prepared.plan, ctx, limit=prepared.timeout, detach=prepared.detach)
            return await self._schedules.create(prepared.plan, checked_schedule(prepared.schedule), ctx)
        match prepared.operation:
            case "ps":
                return await self._views.ps(prepared, self._watch.labels)
            case "inspect":
                return await self._views.inspect(prepared)
            case "logs":
                return await self._views.logs(prepared, ctx)
            case "cancel":
                output = await self._views.cancel(prepared)
                self._watch.wake()
                return output
            case _:
                return await self._schedules.answer(prepared)


def _local_risk(plan: JobPlan | None) -> Risk:
    """It runs code here, as ``bash`` does. With the user's token it can do more than the sandbox holds."""
    confined = plan is not None and plan.confined
    where = "in the sandbox" if confined else "outside the sandbox, with all your rights"
    token = plan.token_words if plan is not None else ""
    reason = f"It runs on this machine, {where}. {token}".strip()
    return Risk(
        effects=frozenset({Effect.RUNS_CODE, Effect.WRITES_WORKSPACE}),
        confined=confined and not token,
        reason=reason,
        starts_job=True,
        publishes=plan is not None and plan.publishes,
    )


def _recurring(args: HfJobsArgs) -> str:
    """What a person has to know of recurring work."""
    reason = f"It starts jobs again and again, {args.schedule.strip()}."
    if not isinstance(args, PlannedArgs):
        return reason
    stored = f" {args.plan.token_words} It is stored with the schedule until that is deleted." if args.plan.token_in else ""
    month = monthly_words(" ".join(args.schedule.split()), args.plan.cost_usd)
    return f"{reason} Each run: {args.plan.cost_words}; in all {month}.{stored}"
