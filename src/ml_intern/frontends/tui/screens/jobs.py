"""The jobs, live: their list with times and money, the log of the one that the cursor is on, cancel and attach."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ml_intern.errors import MlInternError
from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.sanitize import plain
from ml_intern.frontends.tui.blocks.pen import LINK_SCHEMES
from ml_intern.frontends.tui.screens.frame import WIDE, FramedScreen
from ml_intern.frontends.tui.screens.lines_view import LinesView
from ml_intern.frontends.tui.screens.questions import Confirm
from ml_intern.frontends.tui.screens.styled import content, table
from ml_intern.protocol.amounts import at_most, duration, usd

if TYPE_CHECKING:
    from ml_intern.compute.jobs import JobInfo
    from ml_intern.frontends.tui.backend import JobDesk
    from ml_intern.frontends.tui.commands.recall import JobRow

KEYS = (
    "↑↓ choose · Enter log · c cancel · a attach · o open page · r look again · Esc close",
    "Enter log · c cancel · a attach · o open page · r look again · Esc close",
    "⏎ log · c cancel · a attach · o page · r again · Esc",
    "⏎ log·c cancel·a attach·o page·r again·Esc",
    "⏎ log·c stop·a attach·o page·r·Esc",
    "⏎ c a o r Esc",
)
HEADS = ("status", "cost", "time", "job", "hardware", "whose")
SHORT_ID = 12
TICK_S = 1.0
FLUSH_S = 0.1
"""Lines of a log are shown in batches: a job that prints thousands a second must not stop the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownJob:
    """A job of this session, or of another one of the same account (``info``)."""

    id: str
    namespace: str
    status: str
    hardware: str
    began_at: datetime | None
    took_s: float | None = None
    cost_usd: float | None = None
    aside_usd: float = 0.0
    url: str = ""
    message: str = ""
    info: JobInfo | None = None

    @property
    def running(self) -> bool:
        """Whether there is something to cancel."""
        return self.took_s is None

    def cells(self, now: datetime) -> tuple[str, ...]:
        """A row of the table."""
        took = self.took_s if self.took_s is not None else (now - self.began_at).total_seconds() if self.began_at else None
        return (
            self.status,
            usd(self.cost_usd) if self.cost_usd is not None else at_most(self.aside_usd) if self.aside_usd > 0 else "",
            "" if took is None else duration(took),
            self.id,
            self.hardware,
            "another session's" if self.info is not None else "this session's",
        )


def of_session(row: JobRow) -> ShownJob:
    """A job that this session submitted or attached."""
    job, over = row.job, row.over
    return ShownJob(
        id=job.job_id,
        namespace=job.namespace,
        status="running" if over is None else over.final_status,
        hardware=job.flavor,
        began_at=row.submitted_at,
        took_s=None if over is None else over.wall_time_s,
        cost_usd=None if over is None else over.estimated_cost_usd,
        aside_usd=row.aside_usd,
        url=job.job_url,
        message="" if over is None else over.message,
    )


def of_account(info: JobInfo) -> ShownJob:
    """A job that somebody else started."""
    return ShownJob(
        id=info.id,
        namespace=info.namespace,
        status=info.stage.value.lower(),
        hardware=info.flavor,
        began_at=info.started_at or info.created_at,
        url=info.url,
        message=info.message,
        info=info,
    )


class JobsScreen(FramedScreen[None]):
    """``own`` gives the session's jobs as they are now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close", show=False),
        Binding("c", "cancel", "Cancel the job", show=False),
        Binding("a", "attach", "Attach the job", show=False),
        Binding("o", "open", "Open its page", show=False),
        Binding("r", "refresh", "Look again", show=False),
    ]
    DEFAULT_CSS = """
    JobsScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1; }
    JobsScreen OptionList { height: auto; max-height: 40%; border: none; padding: 0; background: $background; }
    JobsScreen OptionList:focus { border: none; }
    JobsScreen OptionList > .option-list--option { padding: 0; }
    JobsScreen OptionList:focus > .option-list--option-highlighted {
        color: $block-cursor-blurred-foreground; background: $block-cursor-blurred-background;
        text-style: $block-cursor-blurred-text-style;
    }
    JobsScreen #heads { height: 1; }
    JobsScreen #caption { height: 1; border: none; color: $primary; }
    JobsScreen LinesView { height: 1fr; border-top: solid $primary 40%; }
    """

    def __init__(self, own: Callable[[], Sequence[JobRow]], desk: JobDesk | None, now: Callable[[], datetime] | None = None) -> None:
        super().__init__()
        self._own = own
        self._desk = desk
        self._now = now or (lambda: datetime.now(UTC))
        self._others: list[ShownJob] = []
        self._shown: list[ShownJob] = []
        self._following = ""
        self._lines: list[Line] = []
        self._log = LinesView(follow=True)

    def compose(self) -> ComposeResult:
        with Vertical(classes="frame") as frame:
            frame.border_title = Content("Jobs")
            yield Static(id="heads")
            yield OptionList()
            yield Static(id="caption")
            yield self._log

    @property
    def key_lines(self) -> Sequence[str]:
        return KEYS

    def on_resize(self) -> None:
        self.update()

    def on_mount(self) -> None:
        self.set_interval(TICK_S, self.update)
        self.set_interval(FLUSH_S, self._flush)
        self.query_one(OptionList).focus()
        self.update()
        self.action_refresh()

    # ── the list ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def chosen(self) -> ShownJob | None:
        """The one that the cursor is on."""
        place = self.query_one(OptionList).highlighted
        return self._shown[place] if place is not None and place < len(self._shown) else None

    def update(self) -> None:
        """Draw the list as things are now."""
        own = sorted((of_session(row) for row in self._own()), key=lambda job: (not job.running, -_when(job)))
        ids = {job.id for job in own}
        shown = [*own, *(job for job in self._others if job.id not in ids)]
        longest = 30 if self.tui.size.width >= WIDE else SHORT_ID
        heads, *rows = table(
            HEADS, [job.cells(self._now()) for job in shown], right=("time", "cost"), widest={"job": longest, "hardware": 16}
        )
        listed = self.query_one(OptionList)
        self.query_one("#heads", Static).update(content([heads]) if shown else Content("There are no jobs."))
        if [job.id for job in shown] == [job.id for job in self._shown]:
            for place, row in enumerate(rows):
                listed.replace_option_prompt_at_index(place, _coloured(row, shown[place]))
        else:
            at = self.chosen.id if self.chosen is not None else ""
            listed.clear_options()
            listed.add_options([Option(_coloured(row, job)) for row, job in zip(rows, shown, strict=True)])
            listed.highlighted = next((i for i, job in enumerate(shown) if job.id == at), 0) if shown else None
        self._shown = shown

    def action_refresh(self) -> None:
        if self._desk is not None:
            self.run_worker(partial(self._look_around, self._desk), group="others", exclusive=True)

    async def _look_around(self, desk: JobDesk) -> None:
        try:
            self._others = [of_account(info) for info in await desk.others()]
        except MlInternError as error:
            self._tell(error)
        self.update()

    # ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @on(OptionList.OptionSelected)
    def _show_log(self) -> None:
        job = self.chosen
        if job is None or self._desk is None:
            self._caption("Logs are out of reach here." if job is not None else "There is no job.")
            return
        self._following = job.id
        self._lines.clear()
        self._log.show([])
        self._caption(f"log of {job.id}")
        self.run_worker(partial(self._follow, self._desk, job), group="log", exclusive=True)

    async def _follow(self, desk: JobDesk, job: ShownJob) -> None:
        try:
            async for text in desk.follow(job.id, job.namespace):
                self._lines += [line(part) for part in plain(text).split("\n")]
                await asyncio.sleep(0)
        except MlInternError as error:
            self._lines.append(line(("bad", error.message)))
        self._flush()
        self._caption(f"log of {job.id}, to its end")

    def _flush(self) -> None:
        if self._lines:
            lines, self._lines = self._lines, []
            self._log.append(lines)

    def _caption(self, text: str) -> None:
        self.query_one("#caption", Static).update(Content(plain(text)))

    # ── what is done with a job ──────────────────────────────────────────────────────────────────────────────────────

    def action_cancel(self) -> None:
        if (job := self.chosen) is None or not job.running:
            self._caption("There is nothing to cancel.")
        elif self._desk is None:
            self._caption("Jobs are out of reach here.")
        else:
            self.run_worker(partial(self._cancel, self._desk, job), group="cancel")

    async def _cancel(self, desk: JobDesk, job: ShownJob) -> None:
        detail = f"{job.hardware}, {job.status}. What it has not saved is lost."
        if not await self.tui.push_screen_wait(Confirm(f"Cancel job {job.id}?", detail)):
            return
        try:
            await desk.cancel(job.id, job.namespace)
        except MlInternError as error:
            self._tell(error)
            return
        self._caption(f"{job.id} is being cancelled")
        self.action_refresh()

    def action_attach(self) -> None:
        if (job := self.chosen) is None or job.info is None:
            self._caption("This session looks after that job already." if job is not None else "There is no job.")
        elif self._desk is not None:
            self.run_worker(partial(self._take_over, self._desk, job.info), group="attach")

    async def _take_over(self, desk: JobDesk, info: JobInfo) -> None:
        try:
            await desk.attach(info)
        except MlInternError as error:
            self._tell(error)
            return
        self._caption(f"{info.id} is looked after from here: the model is told when it ends")
        self.update()

    def action_open(self) -> None:
        if (job := self.chosen) is not None and job.url.startswith(LINK_SCHEMES):
            self.tui.open_url(job.url)

    def action_close(self) -> None:
        self.dismiss(None)

    def _tell(self, error: MlInternError) -> None:
        self._caption(f"{error.message} {error.hint}".strip())


def _when(job: ShownJob) -> float:
    return job.began_at.timestamp() if job.began_at else 0.0


def _coloured(row: Line, job: ShownJob) -> Content:
    ((_, text),) = row
    style = "accent" if job.running else "good" if job.status == "completed" else "bad" if job.status == "error" else "dim"
    return content([line((style, text))])
