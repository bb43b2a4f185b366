"""A job that runs on its own: on what, since when, how it ended, and where to look at it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip

from ml_intern.frontends.headless.text import Line, Style, line
from ml_intern.frontends.tui.blocks.base import Block, Rows, guess_wrapped
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.protocol.amounts import clock, duration, usd
from ml_intern.protocol.resource_events import HfJobComplete, HfJobSubmit

INDENT = 4
ENDINGS: dict[str, tuple[str, Style]] = {"completed": ("✓", "good"), "canceled": ("■", "dim"), "deleted": ("■", "dim")}


class JobBlock(Block):
    """``started_at`` is the loop's time, None for a job of the past whose beginning was not seen."""

    def __init__(self, job: HfJobSubmit, *, started_at: float | None) -> None:
        super().__init__()
        self._job = job
        self._started_at = started_at
        self._end: HfJobComplete | None = None

    def complete(self, end: HfJobComplete) -> None:
        """The job is over."""
        self._end = end
        self.changed()

    @property
    def text(self) -> str:
        return self._job.job_url or self._job.job_id

    @property
    def links(self) -> Sequence[str]:
        return [self._job.job_url] if self._job.job_url else []

    @property
    def animated(self) -> bool:
        return self._end is None and self._started_at is not None

    def draw(self, pen: Pen) -> Rows:
        rows = [pen.line(self._head(pen.now))]
        if self._job.job_url:
            address = pen.narrower(INDENT).wrapped(self._job.job_url, pen.palette.styles["accent"])
            rows += [Strip([Segment(" " * INDENT), *row]) for row in address]
        if self._end is not None and self._end.message:
            rows += pen.lines([line(("dim", f"  {self._end.message}"))])
        return rows

    def _head(self, now: float) -> Line:
        about = f"  {self._job.job_id}  {self._job.flavor}"
        end = self._end
        if end is None:
            took = clock(now - self._started_at) if self._started_at is not None else "running"
            return line(("accent", "● job"), about, ("dim", f"  {took} of at most {self._job.timeout}"))
        mark, style = ENDINGS.get(end.final_status, ("✗", "bad"))
        price = f" · {usd(end.estimated_cost_usd)}" if end.estimated_cost_usd is not None else ""
        return line((style, f"{mark} job"), about, ("dim", f"  {end.final_status} · {duration(end.wall_time_s)}{price}"))

    def guess_rows(self, columns: int) -> int:
        return 1 + (guess_wrapped(self._job.job_url, columns - INDENT) if self._job.job_url else 0)
