"""What a leased sandbox costs: an hour is reserved before it begins, and settled by what was used."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from ml_intern.compute.jobs import CALL_LABEL, job_labels
from ml_intern.compute.lease_terms import LeaseBook
from ml_intern.errors import ToolError
from ml_intern.protocol.amounts import usd
from ml_intern.protocol.resource_events import BudgetReserved, BudgetSettled

HOUR_S = 3600.0
RENEW_AHEAD_S = 180.0
KIND = "sandbox"
CALL_KIND = "sandbox_create"
"""Of reservations that the call's runner made."""


class _Account(Struct):
    """One sandbox. ``window`` counts the hours that were reserved; those before it are settled."""

    hardware: str
    reservation_id: str
    begun_at: datetime
    window: int = 1
    settled_usd: float = 0.0


class LeaseMoney:
    """``price`` is in dollars for an hour; 0 is free, None is unknown and never passes a cap."""

    def __init__(self, book: LeaseBook, price: Callable[[str], float | None], now: Callable[[], datetime]) -> None:
        self._book = book
        self._price = price
        self._now = now
        self._accounts: dict[str, _Account] = {}

    async def reserve_first(self, hardware: str, call_id: str) -> str:
        """The reservation of the first hour: the one that was made for the call, else a new one, "" for what is free.

        Raises ``ToolError`` when the cap does not allow it.
        """
        if call_id and call_id in self._book.reserved():
            return call_id
        price = self._price(hardware)
        if price == 0:
            return ""
        self._refuse_over_cap(hardware, price)
        return await self._reserve(price)

    async def _reserve(self, price: float | None) -> str:
        if not price:
            return ""
        reservation = f"{KIND}-{os.urandom(6).hex()}"
        await self._book.append(BudgetReserved(reservation_id=reservation, amount_usd=price, kind=KIND))
        return reservation

    def unclaimed(self) -> set[str]:
        """Reservations of the log for sandboxes that it does not name: somebody was cut off while one was started."""
        known = self._book.sandboxes()
        claimed = {event.reservation_id for event in known.values()}
        ours = {key for key, (_, kind) in self._book.reserved().items() if kind in (KIND, CALL_KIND)}
        return {key for key in ours - claimed if key.rpartition(":")[0] not in known}

    async def keep(self, reservation_id: str) -> str:
        """What may have been started for it is not known yet: it stays, under a name that does not end with its call."""
        amount_usd, kind = self._book.reserved().get(reservation_id, (0.0, KIND))
        if kind == KIND:
            return reservation_id
        kept = f"{KIND}-{reservation_id}"
        await self._book.append(
            BudgetReserved(reservation_id=kept, amount_usd=amount_usd, kind=KIND),
            BudgetSettled(reservation_id=reservation_id, actual_usd=0.0),
        )
        return kept

    async def claim(self, hardware: str, label: str) -> str:
        """The reservation of a sandbox that runs and was found by its call's label; a new one, whatever the cap, if it has none."""
        for reservation in self._book.reserved():
            if label and job_labels("", reservation)[CALL_LABEL] in (label, f"{KIND}-{label}"):
                return reservation
        return await self._reserve(self._price(hardware))

    def _refuse_over_cap(self, hardware: str, price: float | None) -> None:
        remaining = self._book.remaining_usd()
        if remaining is None:
            return
        if price is None:
            raise ToolError(
                f"The price of a {hardware} sandbox is not known, so the cost cap cannot hold.", hint="The user can lift the cap."
            )
        if price > remaining:
            text = f"A {hardware} sandbox costs {usd(price)} an hour, and the cost cap leaves {usd(remaining)}."
            raise ToolError(text, hint="The user can raise the cap.")

    async def release(self, reservation_id: str) -> None:
        """Nothing was started for it."""
        if reservation_id and reservation_id in self._book.reserved():
            await self._book.append(BudgetSettled(reservation_id=reservation_id, actual_usd=0.0))

    def begin(self, sandbox_id: str, hardware: str, reservation_id: str, begun_at: datetime | None) -> None:
        """It is billed from then on. After a restart its later reservations are found in the log by their names."""
        account = _Account(hardware=hardware, reservation_id=reservation_id, begun_at=begun_at or self._now())
        price = self._price(hardware) or 0.0
        while (window := account.window + 1) and _name(sandbox_id, window) in self._book.reserved():
            account.window, account.reservation_id = window, _name(sandbox_id, window)
            account.settled_usd += price
        self._accounts[sandbox_id] = account

    def seconds_to_renewal(self, sandbox_id: str) -> float | None:
        """Until the next hour must be reserved; None for what is free, or for which nothing was reserved."""
        account = self._accounts.get(sandbox_id)
        if account is None or not account.reservation_id:
            return None
        lived_s = (self._now() - account.begun_at).total_seconds()
        return account.window * HOUR_S - RENEW_AHEAD_S - lived_s

    async def renew(self, sandbox_id: str) -> bool:
        """Reserve the next hour and settle this one. False: the cap does not allow it."""
        account = self._accounts[sandbox_id]
        price = self._price(account.hardware)
        remaining = self._book.remaining_usd()
        if price is None or (remaining is not None and price > remaining):
            return False
        following = _name(sandbox_id, account.window + 1)
        await self._book.append(
            BudgetReserved(reservation_id=following, amount_usd=price, kind=KIND),
            BudgetSettled(reservation_id=account.reservation_id, actual_usd=price),
        )
        account.settled_usd += price
        account.window += 1
        account.reservation_id = following
        return True

    async def settle(self, sandbox_id: str, hardware: str, begun_at: datetime | None) -> tuple[float, float | None]:
        """It is over: its lifetime in seconds and what it cost in all (None: nobody knows its price)."""
        if sandbox_id not in self._accounts:
            left = self._book.sandboxes().get(sandbox_id)
            self.begin(sandbox_id, hardware, left.reservation_id if left is not None else "", begun_at)
        account = self._accounts.pop(sandbox_id)
        lived_s = max(0.0, (self._now() - account.begun_at).total_seconds())
        price = self._price(hardware)
        cost_usd = None if price is None else lived_s / HOUR_S * price
        if account.reservation_id in self._book.reserved():
            rest_usd = None if cost_usd is None else max(0.0, cost_usd - account.settled_usd)
            await self._book.append(BudgetSettled(reservation_id=account.reservation_id, actual_usd=rest_usd))
        return lived_s, cost_usd


def _name(sandbox_id: str, window: int) -> str:
    """Of the reservation of a later hour: it begins with the sandbox, which holds it."""
    return f"{sandbox_id}:{window}"
