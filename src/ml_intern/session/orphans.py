"""Sandboxes that nobody looks after any more: those of logs whose session is not open, and those that carry our label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from ml_intern.compute.hf_sandbox_hub import SandboxHub, SandboxJob
from ml_intern.compute.jobs import SESSION_LABEL
from ml_intern.compute.lease_money import HOUR_S, LeaseMoney
from ml_intern.compute.lease_terms import LeaseBook
from ml_intern.errors import SessionNotFound
from ml_intern.protocol.codec import SCHEMA_VERSION, decode_data, encode_data
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.events import ResumedFrom
from ml_intern.protocol.resource_events import SandboxCreate, SandboxDestroy
from ml_intern.session.state import SessionState
from ml_intern.stores.base import EventStore, SessionPatch, StoredEvent

Price = Callable[[str], float | None]


class Orphan(Struct, frozen=True, kw_only=True):
    """One of them. ``alive`` False: it is over, and only its log does not say so; ``known`` False: no session of this machine."""

    id: str
    namespace: str
    hardware: str
    session: str
    alive: bool
    known: bool
    age_s: float | None = None
    cost_usd: float | None = None


class Orphans:
    """Finds and ends them. ``price`` is in dollars for an hour."""

    def __init__(self, store: EventStore, hub: SandboxHub, price: Price, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._hub = hub
        self._price = price
        self._now = now

    async def find(self, namespaces: Sequence[str]) -> list[Orphan]:
        """The logs are asked first, then the Hub, in each namespace. Raises ``ServiceError``, ``StoreError``."""
        found: dict[str, Orphan] = {}
        left = await self._left_in_logs()
        in_use = {event.sandbox_id for session, event in left if await self._is_open(session)}  # another log may name them as well
        for session, event in left:
            if event.sandbox_id in in_use:
                continue
            listed = SandboxJob(id=event.sandbox_id, namespace=event.namespace, hardware=event.hardware)
            job = await self._hub.inspect(listed)
            found[listed.id] = self._orphan(job or listed, session, alive=job is not None and not job.is_over, known=True)
        for namespace in namespaces:
            for job in await self._hub.alive(namespace, {}):
                session = job.labels.get(SESSION_LABEL, "")
                if session and job.id not in found and job.id not in in_use and not await self._is_open(session):
                    found[job.id] = self._orphan(job, session, alive=True, known=await self._is_known(session))
        return list(found.values())

    def _orphan(self, job: SandboxJob, session: str, *, alive: bool, known: bool) -> Orphan:
        age_s = None if job.created_at is None or not alive else max(0.0, (self._now() - job.created_at).total_seconds())
        price = self._price(job.hardware)
        cost_usd = None if price is None or age_s is None else age_s / HOUR_S * price
        return Orphan(
            id=job.id,
            namespace=job.namespace,
            hardware=job.hardware,
            session=session,
            alive=alive,
            known=known,
            age_s=age_s,
            cost_usd=cost_usd,
        )

    async def _left_in_logs(self) -> list[tuple[str, SandboxCreate]]:
        left: dict[tuple[str, str], SandboxCreate] = {}
        for session, row in await self._store.events_named((SandboxCreate.wire, SandboxDestroy.wire, ResumedFrom.wire)):
            match decode_data(row.type, row.data, row.version):
                case SandboxCreate() as event:
                    left[session, event.sandbox_id] = event
                case SandboxDestroy() as event:
                    left.pop((session, event.sandbox_id), None)
                case ResumedFrom(forked=True):
                    left = {key: event for key, event in left.items() if key[0] != session}
                case _:
                    pass
        return [(session, event) for (session, _), event in left.items()]

    async def _is_open(self, session: str) -> bool:
        try:
            return bool((await self._store.record(session)).owner)
        except SessionNotFound:
            return False

    async def _is_known(self, session: str) -> bool:
        try:
            await self._store.record(session)
        except SessionNotFound:
            return False
        return True

    async def end(self, orphan: Orphan) -> None:
        """Delete it, and write that into its log. Raises ``ServiceError`` while it lives, ``SessionBusy`` when its session was opened."""
        job = SandboxJob(id=orphan.id, namespace=orphan.namespace, hardware=orphan.hardware)
        if not orphan.known:
            await self._hub.end(job)
            return
        await self._store.acquire(orphan.session)  # ours first: nobody resumes the session, and with it the sandbox, meanwhile
        try:
            ended = await self._hub.end(job) if orphan.alive else await self._hub.inspect(job) or job
            await self._write_off(orphan, ended)
        finally:
            await self._store.release(orphan.session)

    async def _write_off(self, orphan: Orphan, job: SandboxJob) -> None:
        state, new = SessionState(), list[Event]()
        for row in await self._store.load(orphan.session):
            state.apply(row.seq, decode_data(row.type, row.data, row.version))
        first = state.last_seq + 1

        async def append(*events: Event) -> None:
            for event in events:
                new.append(event)
                state.apply(state.last_seq + 1, event)  # pyright: ignore[reportArgumentType]  # the union is closed

        money = LeaseMoney(
            LeaseBook(
                append=append,
                show=lambda event: None,
                sandboxes=lambda: state.sandboxes,
                reserved=lambda: state.spending.reserved,
                remaining_usd=lambda: None,
            ),
            self._price,
            self._now,
        )
        lived_s, cost_usd = await money.settle(job.id, orphan.hardware, job.created_at)
        await append(SandboxDestroy(sandbox_id=job.id, hardware=orphan.hardware, lifetime_s=round(lived_s, 1), estimated_cost_usd=cost_usd))
        at = self._now()
        rows = [StoredEvent(first + place, at, event.wire, encode_data(event), SCHEMA_VERSION) for place, event in enumerate(new)]  # pyright: ignore[reportArgumentType]
        aside = sum(amount for amount, _ in state.spending.reserved.values())
        await self._store.append(orphan.session, rows, SessionPatch(cost_usd=state.spending.own_usd, reserved_usd=aside))
