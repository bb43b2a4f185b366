"""What was spent and on what, folded from the events: by model, by kind, by job and by sandbox, and how far the cap will reach."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from msgspec import Struct, field  # and no dataclasses: these stand on the path to the first paint

from ml_intern.frontends.spending.tool_shares import MAIN, ToolShares
from ml_intern.protocol import events as e
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled, HfJobComplete, HfJobSubmit, SandboxCreate, SandboxDestroy
from ml_intern.protocol.subagent_events import SubagentFinished

RECENT_TURNS = 5
"""So many turns tell what the next one will cost."""
LEAST_USD, LEAST_TURNS, LEAST_STEPS = 0.01, 2, 3
"""Less tells nothing about what comes: a greeting for a fraction of a cent would promise thousands of turns."""
RECENT_STEPS = 20
"""So many steps tell how fast money goes now."""


class Account(Struct):
    """What one thing has cost. ``unpriced`` counts calls whose price nobody knows; ``reserved_usd`` is set aside and not spent.

    ``cache_saved_usd`` is what the providers' caches spared; ``unknown_savings`` counts calls of which nobody knows that.
    """

    usd: float = 0.0
    reserved_usd: float = 0.0
    calls: int = 0
    unpriced: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_saved_usd: float = 0.0
    unknown_savings: int = 0
    note: str = ""
    tool: str = ""
    """The tool whose call started it."""
    usd_per_hour: float | None = None
    since: datetime | None = None
    """Since when it has been running; None when it does not."""

    @property
    def usd_per_minute(self) -> float | None:
        """While it runs; None when it does not, and when nobody knows its price."""
        return self.usd_per_hour / 60 if self.since is not None and self.usd_per_hour is not None else None


class _Reservation(Struct):
    amount_usd: float
    kind: str
    holder: str = ""


class Forecast(Struct, kw_only=True):
    """``turns`` and ``hours`` are how long the cap lasts at the pace of late; None where there is no pace yet.

    ``steps`` and ``minutes`` go by the last steps instead: where a turn is ``running``, that is when it meets the cap.
    """

    remaining_usd: float
    turns: float | None
    hours: float | None
    steps: float | None
    minutes: float | None
    running: bool


class Ledger(Struct):
    """The accounts of one session."""

    by_model: dict[str, Account] = field(default_factory=dict[str, Account])
    by_kind: dict[str, Account] = field(default_factory=dict[str, Account])
    by_holder: dict[str, Account] = field(default_factory=dict[str, Account])
    """Jobs (``job <id>``), sandboxes (``sandbox <id>``) and research (``research <label>``)."""
    by_tool: ToolShares = field(default_factory=ToolShares)
    cap_usd: float | None = None
    inherited_usd: float = 0.0
    """Of ``spent_usd``, what the session had spent that this one is a fork of: the list of sessions counts it there."""
    _steps: deque[tuple[datetime, float]] = field(default_factory=lambda: deque[tuple[datetime, float]](maxlen=RECENT_STEPS))
    """When each of the last steps was over, and what was spent until then."""
    _reservations: dict[str, _Reservation] = field(default_factory=dict[str, _Reservation])
    _settled: dict[str, float] = field(default_factory=dict[str, float])
    _turns: deque[tuple[float, float]] = field(default_factory=lambda: deque[tuple[float, float]](maxlen=RECENT_TURNS))
    _turn_began: tuple[float, datetime] | None = None

    @property
    def spent_usd(self) -> float:
        """All of it."""
        return sum(account.usd for account in self.by_kind.values())

    @property
    def reserved_usd(self) -> float:
        """Set aside for what runs."""
        return sum(reservation.amount_usd for reservation in self._reservations.values())

    def aside_of(self, job_id: str) -> float:
        """The most that a job may still cost; 0.0 where nothing is set aside for it."""
        account = self.by_holder.get(f"job {job_id}")
        return 0.0 if account is None else account.reserved_usd

    @property
    def usd_per_minute(self) -> float:
        """Of all that runs and has a known price."""
        return sum(account.usd_per_minute or 0.0 for account in self.by_holder.values())

    @property
    def cache_saved_usd(self) -> float | None:
        """What the providers' caches spared; None when nobody knows it of any call that was answered from one."""
        known = any(account.cached_tokens and account.unknown_savings < account.calls for account in self.by_model.values())
        return sum(account.cache_saved_usd for account in self.by_model.values()) if known else None

    @property
    def unknown_savings(self) -> int:
        """Calls that a cache answered in part, where nobody knows what that spared."""
        return sum(account.unknown_savings for account in self.by_model.values())

    @property
    def unpriced(self) -> int:
        """Calls whose price nobody knows."""
        return sum(account.unpriced for account in self.by_model.values())

    def forecast(self) -> Forecast | None:
        """How far the cap reaches; None without one."""
        if self.cap_usd is None:
            return None
        remaining = max(0.0, self.cap_usd - self.spent_usd - self.reserved_usd)
        spent, seconds = sum(usd for usd, _ in self._turns), sum(taken for _, taken in self._turns)
        tells = spent >= LEAST_USD and len(self._turns) >= LEAST_TURNS
        turns = remaining * len(self._turns) / spent if tells else None
        hours = remaining * seconds / spent / 3600 if tells and seconds > 0 else None
        steps, minutes = self._pace(remaining)
        running = self._turn_began is not None
        return Forecast(remaining_usd=remaining, turns=turns, hours=hours, steps=steps, minutes=minutes, running=running)

    def _pace(self, remaining_usd: float) -> tuple[float | None, float | None]:
        if len(self._steps) < LEAST_STEPS:
            return None, None
        (began_at, before), (ended_at, after) = self._steps[0], self._steps[-1]
        spent, seconds = after - before, (ended_at - began_at).total_seconds()
        if spent < LEAST_USD:
            return None, None
        return remaining_usd * (len(self._steps) - 1) / spent, remaining_usd * seconds / spent / 60 if seconds > 0 else None

    def read(self, envelope: Envelope) -> None:
        """Count one event."""
        self.by_tool.read(envelope.seq or 0, envelope.event)
        match event := envelope.event:
            case e.LlmCall():
                self._call(event)
                if event.kind == MAIN:
                    self._steps.append((envelope.at, self.spent_usd))
            case BudgetReserved():
                self._reserve(event)
            case BudgetSettled():
                self._settle(event)
            case HfJobSubmit() | SandboxCreate() | HfJobComplete() | SandboxDestroy():
                self._resource(event, envelope.at)
            case SubagentFinished():
                self._research(event)
            case e.SessionUpdate() if event.auto_approval:
                self.cap_usd = event.auto_approval.get("cost_cap_usd")
            case e.ResumedFrom(forked=True):
                self.inherited_usd = self.spent_usd
            case e.Processing():
                self._turn_began = (self.spent_usd, envelope.at)
            case e.TurnComplete() | e.Interrupted():
                self._end_turn(envelope.at)
            case _:
                pass

    def _call(self, event: e.LlmCall) -> None:
        for accounts, key in ((self.by_model, event.model), (self.by_kind, event.kind)):
            account = accounts.setdefault(key, Account())
            account.calls += 1
            account.prompt_tokens += event.prompt_tokens
            account.completion_tokens += event.completion_tokens
            account.cached_tokens += event.cache_read_tokens
            account.usd += event.cost_usd or 0.0
            account.unpriced += event.cost_usd is None
            account.cache_saved_usd += event.cache_saved_usd or 0.0
            account.unknown_savings += event.cache_read_tokens > 0 and event.cache_saved_usd is None

    def _reserve(self, event: BudgetReserved) -> None:
        renewed = f"sandbox {event.reservation_id.rpartition(':')[0]}"  # a later hour of a sandbox has a name that begins with it
        holder = renewed if renewed in self.by_holder else ""
        self._reservations[event.reservation_id] = _Reservation(event.amount_usd, event.kind, holder)
        if holder:
            self.by_holder[holder].reserved_usd += event.amount_usd
        self.by_kind.setdefault(event.kind, Account()).reserved_usd += event.amount_usd

    def _resource(self, event: HfJobSubmit | SandboxCreate | HfJobComplete | SandboxDestroy, at: datetime) -> None:
        match event:
            case HfJobSubmit():
                note = f"{event.flavor}, at most {event.timeout}" if event.timeout else event.flavor
                self._hold(event, f"job {event.job_id}", note, at)
            case SandboxCreate():
                self._hold(event, f"sandbox {event.sandbox_id}", event.hardware, at)
            case HfJobComplete():
                self._over(f"job {event.job_id}")
            case SandboxDestroy():
                self._over(f"sandbox {event.sandbox_id}")

    def _over(self, holder: str) -> None:
        if (account := self.by_holder.get(holder)) is not None:
            account.since = None

    def _hold(self, event: HfJobSubmit | SandboxCreate, holder: str, note: str, at: datetime) -> None:
        account = self.by_holder.setdefault(holder, Account())
        account.calls, account.note, account.since, account.usd_per_hour = 1, note, at, event.price_usd_per_hour
        account.tool = self.by_tool.tool_of(event.tool_call_id or event.reservation_id)  # older logs name the call by its reservation
        if (reservation := self._reservations.get(event.reservation_id)) is not None:
            reservation.holder = holder
            account.reserved_usd += reservation.amount_usd
        elif (settled := self._settled.get(event.reservation_id)) is not None:
            self._spend(account, settled)

    def _spend(self, account: Account, usd: float) -> None:
        """What a holder costs is its tool's own cost."""
        account.usd += usd
        if account.tool:
            self.by_tool.of(account.tool).own_usd += usd

    def _settle(self, event: BudgetSettled) -> None:
        reservation = self._reservations.pop(event.reservation_id, None)
        if reservation is None:
            return
        usd = reservation.amount_usd if event.actual_usd is None else event.actual_usd
        self._settled[event.reservation_id] = usd
        kind = self.by_kind.setdefault(reservation.kind, Account())
        kind.calls += 1
        kind.usd += usd
        kind.reserved_usd -= reservation.amount_usd
        if reservation.holder:
            holder = self.by_holder[reservation.holder]
            holder.reserved_usd -= reservation.amount_usd
            self._spend(holder, usd)

    def _research(self, event: SubagentFinished) -> None:
        account = self.by_holder.setdefault(f"research {event.label}", Account())
        account.calls += 1
        account.note = f"{event.outcome}, {counted(event.steps, 'step')}"
        account.tool = account.tool or self.by_tool.tool_of(event.agent_id)
        self._spend(account, event.cost_usd)

    def _end_turn(self, at: datetime) -> None:
        if self._turn_began is None:
            return
        before, began_at = self._turn_began
        self._turn_began = None
        self._turns.append((self.spent_usd - before, (at - began_at).total_seconds()))
