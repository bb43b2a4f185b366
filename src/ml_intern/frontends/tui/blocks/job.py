"""A job that runs on its own: on what, since when, how it ended, and where to look at it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from rich.segment import Segment
from textual.strip import Strip

from ml_intern.frontends.headless.text import Line, Style, line
from ml_intern.frontends.tui.blocks.base import Block, Rows, guess_wrapped
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.protocol.amounts import clock, counted, duration, usd
from ml_intern.protocol.resource_events import HfJobComplete, HfJobSubmit

INDENT = 4
_SPELLED: Mapping[str, str] = MappingProxyType({"canceled": "cancelled"})
ENDINGS: dict[str, tuple[str, Style]] = {"completed": ("✓", "good"), "canceled": ("■", "dim"), "deleted": ("■", "dim")}


def job_state(status: str) -> str:
    """The Hub's name of a state as the rest of the app spells it."""
    return _SPELLED.get(status, status)


class Job:
    """What is drawn of it, in the card of the call that started it or in a block of its own.

    ``started_at`` is the loop's time, None for a job of the past whose beginning was not seen.
    """

    def __init__(self, job: HfJobSubmit, *, started_at: float | None) -> None:
        self._job = job
        self._started_at = started_at
        self._end: HfJobComplete | None = None

    @property
    def id(self) -> str:
        return self._job.job_id

    @property
    def url(self) -> str:
        """Of its page, where it has one."""
        return self._job.job_url

    @property
    def runs(self) -> bool:
        """Whether its clock goes on."""
        return self._end is None and self._started_at is not None

    def end(self, end: HfJobComplete) -> None:
        """The job is over."""
        self._end = end

    def draw(self, pen: Pen) -> Rows:
        """Its state, its address and how it ended."""
        rows = [pen.line(self._head(pen.now))]
        if self.url:
            address = pen.narrower(INDENT).wrapped(self.url, pen.palette.styles["accent"])
            rows += [Strip([Segment(" " * INDENT), *row]) for row in address]
        if self._end is not None and self._end.message and self._end.message != f"It was {job_state(self._end.final_status)}.":
            rows += pen.lines([line(("dim", f"  {self._end.message}"))])
        return rows

    def guess_rows(self, columns: int) -> int:
        """About how many rows that will be."""
        return 1 + (guess_wrapped(self.url, columns - INDENT) if self.url else 0)

    def _head(self, now: float) -> Line:
        about = f"  {self._job.job_id}  {self._job.flavor}"
        end = self._end
        if end is None:
            took = clock(now - self._started_at) if self._started_at is not None else "running"
            return line(("accent", "● job"), about, ("dim", f"  {took} of at most {self._job.timeout}"))
        mark, style = ENDINGS.get(end.final_status, ("✗", "bad"))
        price = f" · {usd(end.estimated_cost_usd)}" if end.estimated_cost_usd is not None else ""
        return line((style, f"{mark} job"), about, ("dim", f"  {job_state(end.final_status)} · {duration(end.wall_time_s)}{price}"))


def jobs_go_on(jobs: Collection[HfJobSubmit]) -> str:
    """Behind a word that the turn has ended early: its jobs have not. One on this machine is free."""
    if not jobs:
        return ""
    goes = "goes" if len(jobs) == 1 else "go"
    costs = f" and {'costs' if len(jobs) == 1 else 'cost'}" if any(job.backend != "local" for job in jobs) else ""
    return f" · {counted(len(jobs), 'job')} {goes} on{costs}: /jobs cancels"


class JobBlock(Block):
    """A job that no card of a call shows."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def end_job(self, end: HfJobComplete) -> None:
        """The job is over."""
        self._job.end(end)
        self.changed()

    @property
    def text(self) -> str:
        return self._job.url or self._job.id

    @property
    def links(self) -> Sequence[str]:
        return [self._job.url] if self._job.url else []

    @property
    def animated(self) -> bool:
        return self._job.runs

    def draw(self, pen: Pen) -> Rows:
        return self._job.draw(pen)

    def guess_rows(self, columns: int) -> int:
        return self._job.guess_rows(columns)
