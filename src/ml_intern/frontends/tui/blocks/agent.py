"""The sub-agent of a call: how far it is, what it does, and how it ended."""

from __future__ import annotations

from collections import deque

from rich.segment import Segment
from textual.strip import Strip

from ml_intern.frontends.headless.text import Line, line
from ml_intern.frontends.tui.blocks.base import Rows
from ml_intern.frontends.tui.blocks.pen import Pen, joined
from ml_intern.protocol.amounts import count_text, counted, duration, usd
from ml_intern.protocol.subagent_events import WRITES, SubagentFinished, SubagentProgress

SHOWN_STEPS = 10
"""Of what it did last, where the card is unfolded."""
DONE = "done"


class Agent:
    """Follows one sub-agent. What it did in earlier steps is in the log; what it thinks and writes is known since somebody looks."""

    def __init__(self, first: SubagentProgress | SubagentFinished) -> None:
        self._now = first
        self._did: deque[str] = deque(maxlen=SHOWN_STEPS)
        self._activity: str = ""
        self.follow(first)

    def follow(self, now: SubagentProgress | SubagentFinished) -> None:
        """It is here now."""
        if isinstance(now, SubagentProgress):
            new = now.tool_calls != self._now.tool_calls or now.activity not in self._did
            if now.activity not in ("", WRITES) and new:
                self._did.append(now.activity)
            self._activity = now.activity
        self._now = now

    @property
    def ended_badly(self) -> str:
        """``stopped``, ``failed`` or ``interrupted``; empty while it runs and when it is done."""
        return self._now.outcome if isinstance(self._now, SubagentFinished) and self._now.outcome != DONE else ""

    @property
    def interrupted(self) -> bool:
        """Whether the user ended it: there is nothing more to say of it, for it changes nothing."""
        return self.ended_badly == "interrupted"

    @property
    def took(self) -> str:
        """Empty while it runs, and where nobody knows."""
        return duration(self._now.duration_s) if isinstance(self._now, SubagentFinished) and self._now.duration_s else ""

    @property
    def runs(self) -> bool:
        """Whether its end is not told yet."""
        return isinstance(self._now, SubagentProgress)

    def used(self, columns: int) -> str:
        """Steps, tokens, calls and money; what says least is left out first where that is too wide."""
        now = self._now
        steps, used = counted(now.steps, "step"), f"{count_text(now.tokens)} tokens"
        calls, cost = counted(now.tool_calls, "call"), usd(now.cost_usd)
        wordings = ((steps, used, calls, cost), (steps, used, cost), (steps, cost), (cost,))
        return next((text for parts in wordings if len(text := " · ".join(parts)) <= columns), "")

    def now_row(self, pen: Pen) -> Strip:
        """What it does now, and beside it what it has used."""
        used = self.used(pen.columns * 2 // 3)
        doing = pen.narrower(len(used) + 2).line(line(("dim", f"└ {self._doing}")))
        return joined(doing, Strip([Segment(used, pen.palette.styles["accent"])]), pen.columns)

    def used_row(self, pen: Pen) -> Strip:
        """What it has used."""
        return pen.line(line(("accent", self.used(pen.columns))))

    def detail_rows(self, pen: Pen) -> Rows:
        """Why it ended early."""
        detail = self._now.detail if isinstance(self._now, SubagentFinished) else ""
        return pen.lines([line(("warn", detail))] if detail else [])

    def steps_rows(self, pen: Pen) -> Rows:
        """What it did last, the newest at the end."""
        earlier = self._now.tool_calls - len(self._did)
        rows: list[Line] = [line(("dim", f"  … {earlier} earlier"))] if earlier > 0 and self._did else []
        did = list(self._did)
        doing = did.pop() if self.runs and did and did[-1] == self._activity else self._doing
        rows += [line(("dim", "  "), text) for text in did]
        rows += [line(("accent", "▸ "), doing)] if self.runs else [line(("warn", f"■ {self.ended_badly}"))] if self.ended_badly else []
        return pen.lines(rows)

    @property
    def _doing(self) -> str:
        return self._activity or "thinks"
