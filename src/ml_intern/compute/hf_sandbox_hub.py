"""Sandboxes as the Hub sees them: jobs that are submitted, looked at and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

from ml_intern.compute.hf_machine import Layout, Machine
from ml_intern.compute.hf_sandbox_start import SandboxRequest, attach, submit
from ml_intern.compute.jobs import Stage
from ml_intern.compute.to_the_end import to_the_end
from ml_intern.errors import NotFoundError, ServiceDown, ServiceError, ServiceRefused
from ml_intern.protocol.resource_events import SandboxCreate

if TYPE_CHECKING:
    from huggingface_hub import HfApi, JobInfo

SANDBOX_LABELS = {"hf-sandbox": "1"}
TRIES = 3
FIRST_PAUSE_S = 1.0
FINDS = 4
LOOKS = 20
LOOK_EVERY_S = 0.5
LIVING = ("SCHEDULING", "RUNNING")

T = TypeVar("T")


class HubPort(Protocol):
    """What of the Hub's client is needed here (``HubClient``)."""

    async def call(self, action: Callable[[HfApi], T]) -> T:
        """Run ``action`` in a bounded pool. Raises ``ServiceError``."""
        ...

    def api(self) -> HfApi:
        """A client of the library."""
        ...

    async def namespace(self, wanted: str | None) -> str:
        """Where jobs go; None or "": the account's own. Raises ``ServiceError``."""
        ...


class SandboxJob(Struct, frozen=True, kw_only=True):
    """A sandbox's job. ``stage`` is empty when nobody has asked yet."""

    id: str
    namespace: str
    hardware: str
    stage: str = ""
    message: str = ""
    created_at: datetime | None = None
    labels: Mapping[str, str] = {}

    @property
    def is_over(self) -> bool:
        """Whether it is neither billed nor reachable any more."""
        return self.stage in (Stage.COMPLETED, Stage.ERROR, Stage.CANCELED, Stage.DELETED)

    def created(self, reservation_id: str, latency_s: float, call_id: str, usd_per_hour: float | None) -> SandboxCreate:
        """What the log says of it."""
        return SandboxCreate(
            sandbox_id=self.id,
            hardware=self.hardware,
            create_latency_s=round(latency_s, 3),
            namespace=self.namespace,
            reservation_id=reservation_id,
            tool_call_id=call_id,
            price_usd_per_hour=usd_per_hour,
        )


class SandboxHub:
    """The Hub's door, as far as a lease needs it. ``sleep`` is the clock's."""

    def __init__(self, hub: HubPort, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._hub = hub
        self._sleep = sleep

    async def namespace(self, wanted: str) -> str:
        """Where sandboxes go. Raises ``ServiceError``."""
        return await self._hub.namespace(wanted or None)

    async def submit(self, hardware: str, namespace: str, labels: Mapping[str, str], *, forward_token: bool) -> SandboxJob:
        """Start one. Cancelled, it waits until it knows what was started, and ends that.

        Where that fails, its failure is the cause of the ``CancelledError``: see ``nothing_runs``.
        """
        request = SandboxRequest(hardware=hardware, namespace=namespace, labels=labels, forward_token=forward_token)
        asked = asyncio.ensure_future(self._hub.call(lambda api: submit(api, request)))
        try:
            return _seen(await asyncio.shield(asked))
        except asyncio.CancelledError as cancelled:
            failures: list[ServiceError] = []
            try:
                await to_the_end(self._end_late(asked, failures))
            finally:  # also when it is cancelled once more
                if failures:
                    raise cancelled from failures[0]
            raise

    async def _end_late(self, asked: asyncio.Future[JobInfo], failures: list[ServiceError]) -> None:
        try:
            await self.end(_seen(await asked))
        except ServiceError as error:
            failures.append(error)

    async def attach(self, job: SandboxJob, layout: Layout) -> Machine:
        """A connection to it; nothing is sent yet."""

        def work(api: HfApi) -> Machine:
            return Machine(attach(api, api.inspect_job(job_id=job.id, namespace=job.namespace)), layout)

        return await self._hub.call(work)

    async def inspect(self, job: SandboxJob) -> SandboxJob | None:
        """How it is now; None when the Hub does not know it."""
        try:
            return _seen(await self._hub.call(lambda api: api.inspect_job(job_id=job.id, namespace=job.namespace or None)))
        except NotFoundError:
            return None

    async def alive(self, namespace: str, labels: Mapping[str, str]) -> list[SandboxJob]:
        """Those with these labels that are billed, the newest first."""
        wanted = {**SANDBOX_LABELS, **labels}
        return [
            _seen(job)
            for job in await self._hub.call(lambda api: list(api.list_jobs(status=list(LIVING), labels=wanted, namespace=namespace)))
        ]

    async def started(self, namespace: str, labels: Mapping[str, str]) -> list[SandboxJob]:
        """What a submission without an answer started after all. Looked for several times: it may come late.

        Raises ``ServiceError`` when nobody can say (the library has asked several times by then).
        """
        for attempt in range(FINDS):
            if attempt:
                await self._sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
            if found := await self.alive(namespace, labels):
                return found
        return []

    async def end(self, job: SandboxJob) -> SandboxJob:
        """Delete it, and see that it is over; how it is then. Tried several times. Raises ``ServiceError`` when it still lives."""
        failure: ServiceError = ServiceDown(f"Sandbox {job.id} still runs after {TRIES} attempts to delete it.", service="the Hub")
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                await self._cancel(job)
                if (ended := await self._ended(job)) is not None:
                    return ended
            except ServiceError as error:
                failure = error
        raise failure

    async def _cancel(self, job: SandboxJob) -> None:
        try:
            await self._hub.call(lambda api: api.cancel_job(job_id=job.id, namespace=job.namespace or None))
        except (NotFoundError, ServiceRefused):
            return  # it is over already, or looking at it will tell

    async def _ended(self, job: SandboxJob) -> SandboxJob | None:
        for _ in range(LOOKS):
            found = await self.inspect(job)
            if found is None or found.is_over:
                return found or job
            await self._sleep(LOOK_EVERY_S)
        return None


def nothing_runs(error: BaseException) -> bool:
    """Whether a submission that ended like this left nothing: the Hub refused it, or it was cancelled and ended."""
    if isinstance(error, asyncio.CancelledError):
        return error.__cause__ is None
    return isinstance(error, ServiceError) and error.status is not None and error.status < 500


def _seen(job: JobInfo) -> SandboxJob:
    return SandboxJob(
        id=job.id,
        namespace=job.owner.name,
        hardware=str(job.flavor),
        stage=str(job.status.stage),
        message=job.status.message or "",
        created_at=job.created_at,
        labels=job.labels or {},
    )
