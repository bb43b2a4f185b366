"""Whoever leaves a session is told of its jobs: they go on, and cost until they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ml_intern.protocol.amounts import at_most, counted
from ml_intern.protocol.resource_events import HfJobSubmit
from ml_intern.protocol.session_ids import short_id

_NAMED = 3
"""More are counted, not named."""


class Money(Protocol):
    """What was set aside, by reservation: dollars, and what for."""

    @property
    def reserved(self) -> Mapping[str, tuple[float, str]]: ...


class WithJobs(Protocol):
    """A session's state, as far as this asks it."""

    @property
    def jobs(self) -> Mapping[str, HfJobSubmit]: ...

    @property
    def spending(self) -> Money: ...


def jobs_left(state: WithJobs, session_id: str, *, resumable: bool = True) -> str:
    """One line; empty when none runs. ``resumable``: whether the app can open the session, and so its ``/jobs``."""
    jobs = list(state.jobs.values())
    if not jobs:
        return ""
    head = f"{counted(len(jobs), 'job')} {'runs' if len(jobs) == 1 else 'run'} on{_price(jobs, state.spending.reserved)}"
    names = ", ".join(job.job_id for job in jobs[:_NAMED]) + (" …" if len(jobs) > _NAMED else "")
    way = f" · /jobs in  ml-intern --resume {short_id(session_id)}  follows and cancels" if resumable else ""
    return f"{head}: {names}{way}"


def _price(jobs: list[HfJobSubmit], reserved: Mapping[str, tuple[float, str]]) -> str:
    """The worst case: what is set aside for them. A job on this machine is free; one that was started elsewhere has nothing set aside."""
    most = sum(reserved.get(each, (0.0, ""))[0] for each in {job.reservation_id for job in jobs})
    unknown = any(job.backend != "local" and not reserved.get(job.reservation_id, (0.0, ""))[0] for job in jobs)
    if not unknown:
        return f", {at_most(most)} set aside" if most else ""
    return f", {at_most(most)} set aside, and what nobody knows the price of" if most else ", at a price that is not known"
