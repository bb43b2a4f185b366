"""A tool call as a card: what it does, its live output or its sub-agent, how it ended, and what it wants to show."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.segment import Segment
from textual.strip import Strip

from ml_intern.frontends.headless.show import call_line
from ml_intern.frontends.headless.text import Style, line
from ml_intern.frontends.tui.blocks.agent import Agent
from ml_intern.frontends.tui.blocks.base import Block, Rows
from ml_intern.frontends.tui.blocks.display import display_rows, links_of
from ml_intern.frontends.tui.blocks.job import Job
from ml_intern.frontends.tui.blocks.pen import Pen, joined
from ml_intern.frontends.tui.cells import even, links_in
from ml_intern.frontends.tui.selected_rows import BORDER, MARK
from ml_intern.protocol import display as d
from ml_intern.protocol.amounts import clock, duration
from ml_intern.protocol.events import ToolFinished
from ml_intern.protocol.invisible import marked
from ml_intern.protocol.messages import JsonObject
from ml_intern.protocol.resource_events import HfJobComplete
from ml_intern.protocol.subagent_events import SubagentFinished, SubagentProgress

LIVE_CHARS = 32_000
"""Of what a running call printed."""
LIVE_ROWS, LIVE_ROWS_UNFOLDED = 4, 40
FAILURE_ROWS = 8
KEPT_ROWS = 3
"""Of what a call printed while it ran, when it ended well."""
OUTPUT_CHARS = 200_000
"""Of an answer that are kept to be shown; beyond it, its middle is left out."""
OUTPUT_ROWS = 2_000
ARGUMENT_ROWS = 200
INDENT = 2
ENDED, LOST, NOT_RUN = "ended", "interrupted, outcome unknown", "not run"
"""The state of a call that nobody has answered when its turn was over."""
ASKED = "waits for you"
WAITING = ("waiting", ASKED, "approved")
"""States in which nothing runs yet: they have no clock."""


class ToolBlock(Block):
    """One call, from ``tool_call`` to ``tool_output``. ``started_at`` is the loop's time, None where nobody knows."""

    foldable = True
    close = True

    def __init__(self, tool: str, arguments: JsonObject, *, started_at: float | None) -> None:
        super().__init__()
        self.tool = tool
        self._arguments = arguments
        self._state = self._note = self._changed = ""
        self._started_at = started_at
        self._printed = ""
        self._streamed = False
        """Whether something was seen while it ran: the end of that stays."""
        self._output = ""
        self._answer: ToolFinished | None = None
        self._display: tuple[d.Display, ...] = ()
        self._job_url = ""
        self._agent: Agent | None = None
        self._jobs: dict[str, Job] = {}

    # ── what happens to the call ─────────────────────────────────────────────────────────────────────────────────────

    def log(self, text: str) -> None:
        """The call printed this. What a progress bar overwrote is gone, as on a terminal."""
        printed = (self._printed + even_lines(text))[-LIVE_CHARS:]
        self._printed = printed
        self.changed()

    def change_state(self, state: str, note: str, *, arguments: JsonObject | None, job_url: str) -> None:
        """Such as ``approved``, with the arguments as the user edited them, or ``changed``, with those of a hook: what runs is shown."""
        if state == "changed":
            self._changed = note
        else:
            self._state, self._note = state, note
        self._arguments = arguments if arguments is not None else self._arguments
        self._job_url = job_url or self._job_url
        self.changed()

    def start(self, now: float) -> None:
        """It runs from here on; it had to wait."""
        self._started_at = now
        self.changed()

    def follow(self, agent: SubagentProgress | SubagentFinished) -> None:
        """The sub-agent that the call started is here now."""
        if self._agent is None:
            self._agent = Agent(agent)
        else:
            self._agent.follow(agent)
        self.changed()

    def hold(self, job: Job) -> None:
        """The call started this job. It is shown here, also when it goes on after the call."""
        self._jobs[job.id] = job
        self.changed()

    def end_job(self, end: HfJobComplete) -> None:
        """One of its jobs is over."""
        self._jobs[end.job_id].end(end)
        self.changed()

    def finish(self, answer: ToolFinished) -> None:
        """The call is answered."""
        self._output = middle_out(answer.output)
        self._display = answer.display
        self._answer = msgspec.structs.replace(answer, output="", images=(), display=(), files=())
        self._streamed, self._printed = bool(self._printed.strip()), ""
        self.hidden = answer.success and bool(answer.display) and all(isinstance(item, d.Plan) for item in answer.display)
        self.changed()

    def end(self, how: str = "") -> None:
        """The turn is over, and no answer has come. ``how`` in words, where that is known."""
        self._started_at = None
        self._state = how or self._state or ENDED
        self.changed()

    def lose(self) -> None:
        """Nobody is left who could answer it: what it did is not known, unless it only waited to be decided."""
        self.end(NOT_RUN if self._state == ASKED else LOST)

    # ── what can be done with it ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def text(self) -> str:
        return self._output if self._answer is not None else self._printed

    @property
    def links(self) -> Sequence[str]:
        jobs = [self._job_url, *(job.url for job in self._jobs.values())]
        shown = [*filter(None, jobs), *links_of(self._display), *(() if self.folded else links_in(self._output))]
        return list(dict.fromkeys(shown))

    @property
    def animated(self) -> bool:
        if any(job.runs for job in self._jobs.values()):
            return True
        return self._answer is None and self._started_at is not None and self._state not in WAITING

    # ── how it looks ─────────────────────────────────────────────────────────────────────────────────────────────────

    def draw(self, pen: Pen) -> Rows:
        inner = pen.narrower(INDENT)
        jobs = [row for job in self._jobs.values() for row in job.draw(inner)]
        body = [*self._agent_rows(inner), *self._argument_rows(inner), *jobs, *self._steps_rows(inner), *self._body(inner)]
        return [self._head(pen), *(Strip([Segment(" " * INDENT, MARK), *row]) for row in body)]

    def _head(self, pen: Pen) -> Strip:
        mark, style, note = self._mark(pen)
        right = Strip([Segment(note, pen.palette.styles["dim"])])
        left = pen.narrower(len(note) + 2).line(call_line(mark, self.tool, self._arguments, style=style))
        return joined(left, right, pen.columns)

    def _mark(self, pen: Pen) -> tuple[str, Style, str]:
        answer, agent = self._answer, self._agent
        if answer is None:
            runs = self._started_at is not None and self._state not in WAITING
            took = clock(max(pen.now - (self._started_at or 0.0), 0.0)) if runs else ""
            waits = self._state if self._state not in ("running", "approved") else ""
            return "●", "tool", " · ".join(filter(None, (waits, self._changed, took)))
        took = duration(answer.duration_s) if answer.duration_s else agent.took if agent is not None else ""
        why = answer.error_kind.replace("_", " ")
        if agent is not None:
            why = agent.ended_badly or why
            room = pen.columns * 3 // 5 - sum(len(part) + 3 for part in (why, took) if part)
            took = " · ".join(filter(None, (agent.used(room) if self.folded else "", took)))
        note = " · ".join(filter(None, (why, self._changed, took)))
        good: Style = "warn" if why else "good"
        return ("✓", good, note) if answer.success else ("✗", "bad", note)

    def _agent_rows(self, pen: Pen) -> Rows:
        agent = self._agent
        if agent is None:
            return []
        if self._answer is None and agent.runs and self._state not in (ENDED, LOST, NOT_RUN):
            return [agent.now_row(pen) if self.folded else agent.used_row(pen)]
        return agent.detail_rows(pen) if self.folded else [agent.used_row(pen), *agent.detail_rows(pen)]

    def _steps_rows(self, pen: Pen) -> Rows:
        """What its sub-agent did last; an answer says itself what it is made from."""
        if self._agent is None or self.folded or (self._answer is not None and self._answer.success):
            return []
        return self._agent.steps_rows(pen)

    def _argument_rows(self, pen: Pen) -> Rows:
        if self.folded or not self._arguments:
            return []
        rows: Rows = []
        for name, value in self._arguments.items():
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            parts = pen.narrower(INDENT).wrapped(marked(text[: ARGUMENT_ROWS * 400]))
            one_row = len(parts) == 1 and len(name) + 2 + parts[0].cell_length <= pen.columns
            if one_row:
                rows.append(Strip([*pen.line(line(("dim", f"{name}: "))), *parts[0]]))
                continue
            shown = parts[:ARGUMENT_ROWS]
            rows += [pen.line(line(("dim", f"{name}:"))), *(Strip([Segment(" " * INDENT), *row]) for row in shown)]
        return [*rows, Strip([Segment("─" * min(pen.columns, 20), pen.palette.styles["dim"] + BORDER)])]

    def _body(self, pen: Pen) -> Rows:
        answer = self._answer
        if answer is None:
            rows = tail_rows(self._printed, LIVE_ROWS if self.folded else LIVE_ROWS_UNFOLDED, pen)
            link = [pen.link("job", self._job_url)] if self._job_url and not self._jobs else []
            return [*link, *rows]
        display = [item for item in self._display if not (isinstance(item, d.Job) and item.id in self._jobs)]
        rows = display_rows(display, pen, folded=self.folded)
        if self._agent is not None and self._agent.interrupted:
            return rows  # the answer tells the model to look what became of it: a sub-agent only reads
        if not self.folded:
            return rows + self._output_rows(pen) + self._rest(pen, answer)
        if not answer.success and answer.error_kind != "rejected":
            rows += tail_rows(self._output, FAILURE_ROWS, pen)
        if answer.success and self._streamed and not rows and self._agent is None:
            rows = self._kept_rows(pen)
        return rows + ([pen.line(line(("dim", self._note)))] if self._note and not answer.success else [])

    def _kept_rows(self, pen: Pen) -> Rows:
        more = sum(bool(row.strip()) for row in self._output.split("\n")) - KEPT_ROWS
        return [*([pen.more(more, folded=True)] if more > 0 else []), *tail_rows(self._output, KEPT_ROWS, pen)]

    def _output_rows(self, pen: Pen) -> Rows:
        """What a sub-agent reports is Markdown, as every model's answer."""
        text = self._output.rstrip("\n")
        return (pen.markdown(text) if self._agent is not None else pen.wrapped(text))[:OUTPUT_ROWS]

    def _rest(self, pen: Pen, answer: ToolFinished) -> Rows:
        return [pen.line(line(("dim", f"all of it: {answer.spill_path}")))] if answer.spill_path else []

    def guess_rows(self, columns: int) -> int:
        shown = (
            2 * len(self._display)
            + sum(job.guess_rows(columns) for job in self._jobs.values())
            + (self._agent is not None and (self._answer is None or not self.folded))
        )
        if self._answer is None:
            return 1 + shown + min(self._printed.count("\n") + 1, LIVE_ROWS) * bool(self._printed)
        if not self.folded:
            return 3 + shown + len(self._arguments) + min(self._output.count("\n") + len(self._output) // columns, OUTPUT_ROWS)
        most = FAILURE_ROWS if not self._answer.success else KEPT_ROWS + 1 if self._streamed else 0
        return 1 + shown + min(self._output.count("\n") + 1, most)


def even_lines(text: str) -> str:
    """A lone carriage return begins the row anew."""
    if "\r" not in text:
        return even(text)
    rows = text.replace("\r\n", "\n").split("\n")
    return even("\n".join(row.rstrip("\r").rpartition("\r")[2] for row in rows))


def middle_out(text: str) -> str:
    """Its head and its tail, where it is too long to be kept to be drawn."""
    if len(text) <= OUTPUT_CHARS:
        return text
    half = OUTPUT_CHARS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters are not shown …\n{text[-half:]}"


def tail_rows(text: str, limit: int, pen: Pen) -> Rows:
    """The last rows that say something."""
    rows = [row for row in even(text[-limit * 1_000 :]).split("\n") if row.strip()]
    bar = Segment("│ ", pen.palette.styles["dim"] + MARK)
    inner = pen.narrower(2)
    return [Strip([bar, *inner.line(line(("dim", row)))]) for row in rows[-limit:]]
