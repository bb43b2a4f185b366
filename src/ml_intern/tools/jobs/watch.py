"""The session's jobs that no call follows: one task looks after all of them, and tells the log when one is over."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from ml_intern.compute.job_backends import JobBackends
from ml_intern.compute.jobs import CALL_LABEL, SESSION_LABEL, JobBackend, JobInfo, Stage, job_labels
from ml_intern.errors import NotFoundError, ToolError
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.resource_events import BudgetSettled, HfJobComplete, HfJobSubmit

logger = logging.getLogger(__name__)

POLL_S = 15.0
LONGEST_POLL_S = 300.0
GONE_AFTER = 3
"""So many "not found" in a row mean that the job was deleted, and not that the Hub forgot it for a moment."""
LOOKS = 20
"""So many looks in vain, five minutes, mean that a submission without an answer came to nothing: a gateway gives up sooner than
what stands behind it."""


class JobWatch:
    """``open_jobs`` are those that the log does not know to be over, by id; ``append`` writes an event to the log.

    ``wake`` it when the session opens, and when a job was left alone. It sleeps by ending its task when there is none.
    """

    def __init__(
        self,
        backends: JobBackends,
        *,
        session_id: str,
        append: Callable[[Event], Awaitable[None]],
        open_jobs: Callable[[], Mapping[str, HfJobSubmit]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._backends = backends
        self._session_id = session_id
        self._append = append
        self._open_jobs = open_jobs
        self._sleep = sleep
        self._followed: set[str] = set()
        self._missing: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        """Calls that may have started a job, and how often it was looked for in vain. Their reservations are held meanwhile."""
        self._task: asyncio.Task[None] | None = None
        self._owned: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def labels(self) -> Mapping[str, str]:
        """What every job of this session carries."""
        return {SESSION_LABEL: job_labels(self._session_id, "")[SESSION_LABEL]}

    def wake(self) -> None:
        """Look after what is open from now on. Returns at once."""
        if not self._closed and (self._task is None or self._task.done()) and (self._lonely() or self._lost):
            self._task = asyncio.create_task(self._watch(), name="job-watch")

    @contextmanager
    def following(self, job_id: str) -> Generator[None, None, None]:
        """A call waits for this job and tells how it ended; if it does not come to that, it is looked after here."""
        self._followed.add(job_id)
        try:
            yield
        finally:
            self._followed.discard(job_id)
            self.wake()

    async def see_through(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await ``work``, which goes on to its end also when the caller is interrupted: what costs money is written down."""
        task = asyncio.ensure_future(work)
        self._owned.add(task)
        task.add_done_callback(self._let_go)
        return await asyncio.shield(task)

    async def recover(self, reservations: Iterable[str]) -> None:
        """Money was set aside for these calls, and the log does not say what for: find their jobs by their labels.

        One whose job does not appear in a while gives its money back. Where nobody answers, it stays set aside.
        """
        self._lost.update(dict.fromkeys(reservations, 0))
        await self._find_lost()
        self.wake()

    async def look_for(self, call_id: str) -> JobInfo | None:
        """The job of a submission that got no answer. None: it is looked for from now on, and its reservation held."""
        found, _ = await self._search((call_id,))
        if call_id in found:
            return found[call_id][1]
        self._lost[call_id] = 0
        self.wake()
        return None

    async def aclose(self) -> None:
        """Stop looking; the jobs go on. What is being submitted is waited for."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._owned:
            await asyncio.wait(list(self._owned))

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._owned.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it has it; if nobody does, it was dealt with inside
        self.wake()

    def _lonely(self) -> list[tuple[str, HfJobSubmit]]:
        return [(job_id, job) for job_id, job in self._open_jobs().items() if job_id not in self._followed]

    async def _watch(self) -> None:
        pause = POLL_S
        while self._lonely() or self._lost:
            answered = await self._look()
            if not self._lonely() and not self._lost:
                return
            pause = POLL_S if answered else min(LONGEST_POLL_S, pause * 2)
            await self._sleep(pause)

    async def _look(self) -> bool:
        """One round. False when a backend did not answer: the next round waits longer."""
        answered = await self._find_lost()
        for job_id, job in self._lonely():
            try:
                backend = self._backends.named(job.backend)
                info = await backend.inspect(job_id, job.namespace)
            except NotFoundError:
                info = self._gone(job_id, job)
            except ToolError as error:
                logger.debug("job %s: %s", job_id, error)
                answered = False
                continue
            else:
                self._missing.pop(job_id, None)
                if info.stage.is_over and job_id in self._open_jobs() and job_id not in self._followed:
                    await self.finish(backend, job, info)
                continue
            if info is not None:
                await self._write(completion(job, info, price=None, wall_s=None))
        return answered

    def _gone(self, job_id: str, job: HfJobSubmit) -> JobInfo | None:
        self._missing[job_id] += 1
        if self._missing[job_id] < GONE_AFTER:
            return None
        return JobInfo(id=job_id, namespace=job.namespace, stage=Stage.DELETED, message="Nobody knows this job any more.")

    async def finish(self, backend: JobBackend, job: HfJobSubmit, info: JobInfo) -> HfJobComplete:
        """Tell the log that the job is over, and settle what it cost. The completion is returned."""
        listed = backend.known_hardware()
        if listed.find(job.flavor) is None or listed.as_of != "live":
            listed = await backend.hardware()
        flavour = listed.find(job.flavor)
        done = completion(job, info, price=flavour.usd_per_hour if flavour else None, wall_s=wall_seconds(info), source=listed.as_of)
        await self._write(done)
        return done[-1]

    async def _write(self, events: tuple[BudgetSettled | None, HfJobComplete]) -> None:
        """The money first: after a crash between the two the job is still open, and settling twice does nothing."""
        settled, complete = events
        if settled is not None:
            await self._append(settled)
        await self._append(complete)

    async def _find_lost(self) -> bool:
        """One look for all of them. False when somebody did not answer: then nothing is known to be missing."""
        if not self._lost:
            return True
        wanted = sorted(self._lost)
        found, answered = await self._search(wanted)
        for call_id in wanted:
            if call_id in found:
                backend, info = found[call_id]
                await self._append(submitted(backend, info, call_id, timeout="", reservation_id=call_id))
                self._lost.pop(call_id, None)
            elif answered:
                await self._looked_in_vain(call_id)
        return answered

    async def _looked_in_vain(self, call_id: str) -> None:
        self._lost[call_id] += 1
        if self._lost[call_id] >= LOOKS:
            await self._append(BudgetSettled(reservation_id=call_id, actual_usd=0.0))
            self._lost.pop(call_id, None)

    async def _search(self, call_ids: Collection[str]) -> tuple[dict[str, tuple[JobBackend, JobInfo]], bool]:
        """The jobs of these calls, by call, and whether everybody answered who may know of one."""
        by_label = {job_labels(self._session_id, call_id)[CALL_LABEL]: call_id for call_id in call_ids}
        found: dict[str, tuple[JobBackend, JobInfo]] = {}
        answered = True
        for backend in self._backends.all:
            try:
                for namespace in await backend.namespaces():
                    for job in await backend.list_jobs(namespace, self.labels):
                        if (call_id := by_label.get(job.labels.get(CALL_LABEL, ""))) is not None:
                            found.setdefault(call_id, (backend, job))
            except ToolError as error:
                logger.debug("%s was not asked for lost jobs: %s", backend.name, error)
                answered = False
        return found, answered


def submitted(
    backend: JobBackend, info: JobInfo, call_id: str, *, timeout: str, reservation_id: str, pushes: bool = False, job_type: str = ""
) -> HfJobSubmit:
    """The event of a job that was started. ``pushes``: it means to put something on the Hub."""
    hardware = backend.known_hardware().find(info.flavor)
    return HfJobSubmit(
        job_id=info.id,
        job_url=info.url,
        flavor=info.flavor,
        timeout=timeout,
        job_type=job_type,
        image=info.image,
        namespace=info.namespace,
        push_to_hub=pushes,
        backend=backend.name,
        tool_call_id=call_id,
        reservation_id=reservation_id,
        price_usd_per_hour=hardware.usd_per_hour if hardware is not None else None,
    )


def wall_seconds(info: JobInfo) -> float | None:
    """How long it had its machine; None when nobody can say. A job that never got one ran no time."""
    if info.finished_at is None:
        return None
    if info.started_at is None:
        return 0.0
    return max(0.0, (info.finished_at - info.started_at).total_seconds())


def completion(
    job: HfJobSubmit, info: JobInfo, *, price: float | None, wall_s: float | None, source: str = ""
) -> tuple[BudgetSettled | None, HfJobComplete]:
    """The events of a job's end. What cannot be computed keeps the whole reservation as spent."""
    cost = price * wall_s / 3600 if price is not None and wall_s is not None else None
    settled = BudgetSettled(reservation_id=job.reservation_id, actual_usd=cost) if job.reservation_id else None
    complete = HfJobComplete(
        job_id=info.id,
        flavor=job.flavor,
        final_status=info.stage.value.lower(),
        wall_time_s=wall_s or 0.0,
        billable_seconds_estimate=wall_s or 0.0,
        price_usd_per_hour=price,
        estimated_cost_usd=cost,
        cost_estimate_source=f"wall time × hourly price ({source})" if cost is not None else "unknown",
        namespace=info.namespace,
        message=info.message[:500],
    )
    return settled, complete
