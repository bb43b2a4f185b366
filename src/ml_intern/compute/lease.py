"""The lease of a sandbox: started when it is needed, written into the log before anybody waits for it, and given back whatever happens.

The log is the ledger. A sandbox is in it as soon as the Hub has told its id; it leaves it only when the Hub says that it is over.
What lies between — a crash, a cancellation, a Hub that does not answer — is found again there, or by the labels of the job.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from ml_intern.compute.base import RunningCommand
from ml_intern.compute.hf_machine import Machine
from ml_intern.compute.hf_sandbox_files import download_folder, upload_folder
from ml_intern.compute.hf_sandbox_hub import HubPort, SandboxHub, SandboxJob, nothing_runs
from ml_intern.compute.jobs import CALL_LABEL, DEFAULT_FLAVOR, SESSION_LABEL, job_labels
from ml_intern.compute.lease_money import LeaseMoney
from ml_intern.compute.lease_terms import LeaseBook, LeaseOptions, Started
from ml_intern.compute.to_the_end import to_the_end
from ml_intern.errors import MlInternError, ServiceDown, ServiceError, ToolError
from ml_intern.protocol.events import ToolLog
from ml_intern.protocol.resource_events import SandboxCreate, SandboxDestroy

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 600.0
"""How long a machine may take to be found and to boot."""
HEARTBEAT_S = 300.0
"""Well within ``IDLE_TIMEOUT_S``: a sandbox of a living session is never idle."""
CARRIED_BYTES = 2 * 1024**3
"""What is carried over to another sandbox, or kept of one that must be given back."""


class _Held(Struct, kw_only=True):
    """The sandbox that we hold."""

    machine: Machine
    job: SandboxJob
    hardware: str


class SandboxLease:
    """At most one sandbox at a time. ``price`` is in dollars for an hour, None when nobody knows it."""

    def __init__(
        self,
        hub: HubPort,
        book: LeaseBook,
        options: LeaseOptions,
        price: Callable[[str], float | None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hub = SandboxHub(hub, sleep)
        self._book = book
        self._options = options
        self._sleep = sleep
        self._now = now
        self.price = price
        self.money = LeaseMoney(book, price, now)
        self.variables: dict[str, str] = {}
        """What commands in the sandbox find in their environment (``TRACKIO_SPACE_ID``); never secrets."""
        self._held: _Held | None = None
        self._lock = asyncio.Lock()
        self._recovered = False
        self._unsure = options.resumed
        """Whether one of ours may run that is not in the log."""
        self._unknown = self.money.unclaimed()
        """Reservations for those."""
        self._keeping: asyncio.Task[None] | None = None
        self.commands: Callable[[], tuple[RunningCommand, ...]] = tuple

    # ── what others ask ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def hardware(self) -> str | None:
        """Of the sandbox that is held now; one of the log is held when ``recover`` has found it alive."""
        return self._held.hardware if self._held is not None else None

    @property
    def sandbox_id(self) -> str | None:
        """Of the sandbox that is held now."""
        return self._held.job.id if self._held is not None else None

    async def machine(self) -> Machine:
        """The sandbox, started with the smallest hardware if there is none. Raises ``ServiceError`` or ``ToolError``."""
        if self._held is not None:
            return self._held.machine
        return (await self.create(DEFAULT_FLAVOR)).machine

    async def explain(self, machine: Machine, error: ServiceError) -> ServiceError:
        """Whether the sandbox is gone: then that is written down, and said."""
        held = self._held
        if held is None or held.machine is not machine:
            return error
        try:
            job = await self._hub.inspect(held.job)
        except ServiceError:
            return error
        if job is not None and not job.is_over:
            return error
        async with self._lock:
            if self._held is held:
                await to_the_end(self._forget(held))
        state = f"{job.stage}: {job.message}" if job is not None and job.message else job.stage if job is not None else "unknown to the Hub"
        text = f"Sandbox {held.job.id} is gone ({state}), and its files with it."
        return ServiceDown(text, hint="The next command starts a new one.", service=error.service)

    async def create(self, hardware: str, *, call_id: str = "") -> Started:
        """The sandbox with this hardware. One that runs on other hardware is replaced, its files carried over.

        ``call_id`` may name a reservation made for it; it is given back when it is not needed. Cancelled or failed, it leaves
        nothing behind that is billed, and an older sandbox as it was.
        """
        async with self._lock:
            await self._recover()
            if (there := self._there(hardware)) is not None:
                await self.money.release(call_id)
                return there
            old = self._held
            if old is None:
                await self._take(await self._launch(hardware, call_id))
                assert self._held is not None
                return Started(machine=self._held.machine, hardware=hardware, fresh=True)
            return await self._resize(old, hardware, call_id)

    async def reuse(self, hardware: str) -> Started | None:
        """The sandbox, if one with this hardware is there. Raises ``ServiceError``."""
        async with self._lock:
            await self._recover()
            return self._there(hardware)

    def _there(self, hardware: str) -> Started | None:
        held = self._held
        return Started(machine=held.machine, hardware=hardware, fresh=False) if held is not None and held.hardware == hardware else None

    async def give_back(self) -> str:
        """Delete it. A sentence about what became of it. Raises ``ServiceError`` when the Hub does not let go of it."""
        async with self._lock:
            await self._recover()
            if self._held is None:
                return "There is no sandbox."
            held = self._held
            await to_the_end(self._end(held))
            return f"Sandbox {held.job.id} ({held.hardware}) was deleted with its files."

    async def recover(self) -> None:
        """Find what the session left behind: reconnect, or write down that it is gone."""
        async with self._lock:
            await self._recover()

    async def aclose(self) -> None:
        """Give it back: several times tried, and never torn by a cancellation. What cannot be deleted stays in the log."""
        await to_the_end(self._close())

    async def _close(self) -> None:
        async with self._lock:
            if self._held is not None:
                await self._let_go(self._held)
            if self._unsure:
                await self._list_before_the_end()
            for event in list(self._book.sandboxes().values()):
                job = SandboxJob(id=event.sandbox_id, namespace=event.namespace, hardware=event.hardware)
                try:
                    await self._write_off(await self._hub.end(job), event.hardware)
                except MlInternError as error:
                    logger.warning("A sandbox could not be given back: %s", error)
                    self._say(f"{error} It may be billed until it is: ml-intern cleanup deletes it.")

    async def _list_before_the_end(self) -> None:
        try:
            await self._list_unlisted()
        except ServiceError as error:
            logger.warning("Sandboxes that are not in the log could not be looked for: %s", error)
            if self._unknown:
                self._say(f"Whether a sandbox was started is still not known ({error}): ml-intern cleanup deletes it if it was.")

    # ── starting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _launch(self, hardware: str, call_id: str) -> _Held:
        """A new one, ready. Raises with nothing left behind; what the Hub may have started without saying so is looked for."""
        begun = time.monotonic()
        reservation = await self.money.reserve_first(hardware, call_id)
        labels = job_labels(self._options.session_id, reservation or f"{call_id or 'first-use'}-{os.urandom(6).hex()}")
        namespace, job = "", None
        try:
            namespace = await self._hub.namespace(self._options.namespace)
            self._say(f"Starting a sandbox ({hardware})")
            job = await self._hub.submit(hardware, namespace, labels, forward_token=self._options.forward_token)
            await self._write_down(job, reservation, time.monotonic() - begun, call_id)
            held = await self._set_up(job, hardware)
        except BaseException as error:
            if job is None and namespace and not nothing_runs(error):
                await to_the_end(self._undo_unanswered(namespace, labels, reservation))
            else:
                await to_the_end(self._undo(job, hardware, reservation))
            raise
        self._say(f"Sandbox {job.id} is ready after {time.monotonic() - begun:.0f} s")
        return held

    async def _write_down(self, job: SandboxJob, reservation: str, latency_s: float = 0.0, call_id: str = "") -> None:
        await self._book.append(job.created(reservation, latency_s, call_id, self.price(job.hardware)))
        self.money.begin(job.id, job.hardware, reservation, job.created_at)

    async def _set_up(self, job: SandboxJob, hardware: str) -> _Held:
        machine = await self._hub.attach(job, self._options.layout)
        try:
            await machine.wait_ready(START_TIMEOUT_S)
            await machine.set_up()
        except BaseException:
            machine.close()
            raise
        return _Held(machine=machine, job=job, hardware=hardware)

    async def _undo(self, job: SandboxJob | None, hardware: str, reservation: str) -> None:
        """Delete what was started; what cannot be deleted stays in the log. Never hides why it is undone."""
        if job is None:
            await self.money.release(reservation)
            return
        try:
            ended = await self._hub.end(job)
        except ServiceError as error:
            logger.warning("Sandbox %s could not be deleted: %s", job.id, error)
            self._say(f"Sandbox {job.id} could not be deleted ({error}) and may be billed: ml-intern cleanup tries again.")
            return
        await self._write_off(ended, hardware)

    async def _undo_unanswered(self, namespace: str, labels: Mapping[str, str], reservation: str) -> None:
        """Delete what was started all the same. While nobody can say, the money stays set aside; ``_recover`` looks again."""
        self._recovered, self._unsure = False, True
        try:
            found = await self._hub.started(namespace, labels)
        except ServiceError as error:
            self._unknown.add(await self.money.keep(reservation))
            self._say(f"Whether a sandbox was started is not known ({error}): its money stays set aside, and it is looked for again.")
            return
        if not found:
            await self.money.release(reservation)
        for job in found:
            await self._write_down(job, reservation)
            await self._undo(job, job.hardware, reservation)

    async def _take(self, held: _Held) -> None:
        self._held = held
        self._keeping = asyncio.ensure_future(self._keep(held))

    async def _resize(self, old: _Held, hardware: str, call_id: str) -> Started:
        """The new one first, then the files, then the old one goes: a failure leaves the old one in place."""
        stopped = len(self.commands())
        new = await self._launch(hardware, call_id)
        try:
            carried = await self._carry_over(old, new)
        except BaseException as error:
            new.machine.close()
            await to_the_end(self._undo(new.job, new.hardware, ""))
            if isinstance(error, OSError):
                raise ToolError(f"The files could not be carried over ({error}); the {old.hardware} sandbox goes on.") from error
            raise
        await to_the_end(self._swap(old, new))
        return Started(machine=new.machine, hardware=hardware, fresh=True, replaced=old.hardware, carried=carried, stopped=stopped)

    async def _carry_over(self, old: _Held, new: _Held) -> str:
        self._say(f"Carrying the files of {self._options.layout.root} over")
        archive = self._archive(old)
        try:
            packed = await download_folder(old.machine, archive, CARRIED_BYTES)
            await upload_folder(new.machine, archive)
        finally:
            archive.unlink(missing_ok=True)
        return packed.describe()

    async def _swap(self, old: _Held, new: _Held) -> None:
        await self._let_go(old)
        await self._take(new)
        try:
            await self._hub.end(old.job)
            await self._write_off(old.job, old.hardware)
        except ServiceError as error:
            self._say(f"The old sandbox {old.job.id} could not be deleted ({error}): ml-intern cleanup tries again.")

    # ── keeping it ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self, held: _Held) -> None:
        """Say now and then that we are there, and reserve the next hour before this one is over."""
        while True:
            due_s = self.money.seconds_to_renewal(held.job.id)
            await self._sleep(HEARTBEAT_S if due_s is None else max(0.0, min(HEARTBEAT_S, due_s)))
            due_s = self.money.seconds_to_renewal(held.job.id)
            if due_s is not None and due_s <= 0 and not await self.money.renew(held.job.id):
                await self._give_up(held)
                return
            try:
                if not self._recovered:
                    await self.recover()
                await held.machine.ping()
            except ServiceError as error:
                logger.info("sandbox %s does not answer: %s", held.job.id, error)

    async def _give_up(self, held: _Held) -> None:
        """The cap leaves nothing for another hour: keep the files on this machine, and give it back."""
        async with self._lock:
            if self._held is not held:
                return
            self._keeping = None  # it is this task, which nobody may cancel now
            self._say(f"The cost cap leaves nothing for another hour of the {held.hardware} sandbox: it is given back")
            archive = self._archive(held)
            try:
                packed = await download_folder(held.machine, archive, CARRIED_BYTES)
                self._say(f"Its files are kept in {archive}: {packed.describe()}")
            except (OSError, ServiceError) as error:
                self._say(f"Its files could not be kept: {error}")
            try:
                await to_the_end(self._end(held))
            except ServiceError as error:
                self._say(str(error))

    def _archive(self, held: _Held) -> Path:
        return self._options.spill_dir / f"sandbox_{held.job.id}.tar.gz"

    # ── giving it back ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _end(self, held: _Held) -> None:
        """Delete it, then write that down: never the other way round."""
        await self._hub.end(held.job)
        await self._forget(held)

    async def _forget(self, held: _Held) -> None:
        await self._let_go(held)
        await self._write_off(held.job, held.hardware)

    async def _let_go(self, held: _Held) -> None:
        if self._held is held:
            self._held = None
        keeping, self._keeping = self._keeping, None
        if keeping is not None and keeping is not asyncio.current_task():
            keeping.cancel()
            await asyncio.wait([keeping])
        held.machine.close()

    async def _write_off(self, job: SandboxJob, hardware: str) -> None:
        lifetime_s, cost_usd = await self.money.settle(job.id, hardware, job.created_at)
        destroyed = SandboxDestroy(sandbox_id=job.id, hardware=hardware, lifetime_s=round(lifetime_s, 1), estimated_cost_usd=cost_usd)
        await self._book.append(destroyed)
        self._say(f"Sandbox {job.id} is gone")

    # ── after a crash ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _recover(self) -> None:
        """The newest one of the log that lives is ours again; others are deleted, and the dead are written off."""
        if self._recovered:
            return
        if self._unsure:
            await self._list_unlisted()
        for event in reversed(list(self._book.sandboxes().values())):
            if event.sandbox_id != self.sandbox_id:
                await self._recover_one(event)
        self._recovered = True

    async def _list_unlisted(self) -> None:
        """Write down what runs and is not in the log: started a moment before a crash, or by a request that got no answer."""
        namespace = await self._hub.namespace(self._options.namespace)
        for job in reversed(await self._hub.alive(namespace, {SESSION_LABEL: self._options.session_id})):
            if job.id not in self._book.sandboxes():
                await self._write_down(job, await self.money.claim(job.hardware, job.labels.get(CALL_LABEL, "")))
        for reservation in self._unknown & self.money.unclaimed():
            await self.money.release(reservation)
        self._unknown.clear()
        self._unsure = False

    async def _recover_one(self, event: SandboxCreate) -> None:
        known = SandboxJob(id=event.sandbox_id, namespace=event.namespace, hardware=event.hardware)
        job = await self._hub.inspect(known)
        if job is None or job.is_over:
            self._say(f"Sandbox {event.sandbox_id} of this session is gone, and its files with it")
            await self._write_off(job or known, event.hardware)
            return
        if self._held is None:
            try:
                held = await self._set_up(job, event.hardware)
            except (OSError, ServiceError) as error:
                self._say(f"Sandbox {job.id} does not answer any more ({error}): it is deleted")
            else:
                self.money.begin(job.id, event.hardware, event.reservation_id, job.created_at)
                await self._take(held)
                self._say(f"Connected to sandbox {job.id} ({event.hardware}) again; its files are there")
                return
        await self._hub.end(job)
        await self._write_off(job, event.hardware)

    def _say(self, text: str) -> None:
        self._book.show(ToolLog(tool="sandbox", log=text))
