"""The last line: model, folder, context, tokens, money, jobs, permission mode. What does not fit is shortened in a fixed order."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from ml_intern.config.paths import with_tilde
from ml_intern.frontends.headless.text import Span, Style, line, width
from ml_intern.frontends.tui.blocks.pen import Pen
from ml_intern.frontends.tui.figures import Figures
from ml_intern.frontends.tui.git_branch import branch_of
from ml_intern.frontends.tui.theme import palette_of
from ml_intern.protocol import events as e
from ml_intern.protocol.amounts import count_text, counted, spent_and_aside, usd
from ml_intern.protocol.codec import Envelope

SEPARATOR: Span = ("dim", " · ")
BAR_CELLS = 8
SHORTENED = (
    "place", "context", "mode", "model", "place", "place", "context", "tokens", "jobs", "money", "money", "context", "mode"
)  # fmt: skip
"""Parts that give way where there is no room, the first one first; a part that is named again gives way once more.

What is long becomes short before anything goes; where the folder is goes before what is used and spent. The model stays."""
ALMOST_FULL, FULL = 0.7, 0.9
WHERE_CHANGED = (e.SessionStarted, e.ResumedFrom, e.TurnComplete, e.Interrupted)
"""Events after which the folder or its branch may be another one."""


class StatusBar(Widget):
    """An ``EventReader``. ``mode`` is the permission mode of the settings; ``home`` is written as ``~``."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "StatusBar { height: 1; padding: 0 1; background: $surface; color: $foreground; }"
    window: reactive[int | None] = reactive(None)
    """Tokens that the model takes, where that is known."""
    branch: reactive[str] = reactive("")
    missing: reactive[str] = reactive("")
    """Why there is no session, in a word or two."""

    def __init__(self, *, mode: str, home: Path, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mode = mode
        self._home = home
        self.figures = Figures()
        self._looked_at = ""
        self._windows: dict[str, int] = {}
        self._stale = False
        """Whether it will be drawn anyway: the thousands of events of a past ask for it once."""

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self.figures = Figures()
        self._looked_at = ""
        self.refresh()

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        if not self.figures.apply(envelope.event):
            return
        if live or not self._stale:
            self._stale = True
            self.refresh()
        cwd = self.figures.cwd
        if cwd and isinstance(envelope.event, WHERE_CHANGED) and (live or cwd != self._looked_at):  # once for all the turns of a past
            self._looked_at = cwd
            self.run_worker(partial(self._look_up_branch, Path(cwd)), group="branch", exclusive=True)

    def takes(self, window: int | None) -> None:
        """What the model takes. Another session may not have asked for it yet: then it is what it was, for the same model."""
        if window:
            self._windows[self.figures.model] = window
        self.window = window or self._windows.get(self.figures.model)

    async def _look_up_branch(self, folder: Path) -> None:
        self.branch = await asyncio.to_thread(branch_of, folder)

    def render_line(self, y: int) -> Strip:
        columns, base = self.size.width, self.rich_style
        self._stale = False
        strip = Pen(columns, palette_of(self)).line(line(*self.spans(columns)))
        return strip.apply_style(base).adjust_cell_length(columns, base)

    def spans(self, columns: int) -> list[Span]:
        """What is shown at that width."""
        parts = {name: variants for name, variants in self._parts().items() if variants[0]}
        for name in SHORTENED:
            if _width(parts) <= columns:
                break
            if name in parts:
                parts[name] = parts[name][1:]
                if not parts[name]:
                    del parts[name]
        return [span for i, part in enumerate(parts.values()) for span in ([SEPARATOR] * bool(i) + part[0])]

    def _parts(self) -> dict[str, list[list[Span]]]:
        """By name, each from its long form to its short one; after that it is left out."""
        figures = self.figures
        model = figures.model or self.missing or "starting …"
        style: Style = "warn" if self.missing and not figures.model else "bold"
        return {
            "model": [_only(style, f"{model} {figures.effort}" if figures.effort else model), _only(style, model.rpartition("/")[2])],
            "place": self._place(),
            "context": self._context_parts(),
            "tokens": [_only("dim", f"{count_text(figures.total_tokens)} tokens" if figures.total_tokens else "")],
            "money": self._money(),
            "jobs": [_only("accent", counted(len(figures.jobs), "job") if figures.jobs else "")],
            "mode": self._permission_mode(),
        }

    def _place(self) -> list[list[Span]]:
        cwd = self.figures.cwd
        if not cwd:
            return [[]]
        folder = self.short_folder(cwd)
        name = cwd.rstrip("/").rpartition("/")[2] or cwd
        branch: list[Span] = [("accent", f" ⎇ {self.branch}")] if self.branch else []
        return [[("", folder), *branch], [("", name), *branch], _only("", name)]

    def short_folder(self, folder: str) -> str:
        """With ``~`` for the home folder."""
        return with_tilde(folder, self._home)

    def _context_parts(self) -> list[list[Span]]:
        used, window = self.figures.context_tokens, self.window
        if not window:
            return [_only("", f"context {count_text(used)}" if used else ""), _only("", f"{count_text(used)} ctx" if used else "")]
        share = min(used / window, 1.0)
        style: Style = "bad" if share >= FULL else "warn" if share >= ALMOST_FULL else "good"
        filled = round(share * BAR_CELLS)
        bar: list[Span] = [(style, "█" * filled), ("dim", "░" * (BAR_CELLS - filled))]
        percent = f"{share:.0%}"
        return [[*bar, ("", f" {percent} of {count_text(window)}")], [*bar, ("", f" {percent}")], _only(style, percent)]

    def _money(self) -> list[list[Span]]:
        figures = self.figures
        spent = spent_and_aside(figures.spent_usd, figures.reserved_usd, figures.unpriced_calls)
        short = spent.replace(" + ", "+")
        if figures.cap_usd is None:
            words = f"price {spent}" if spent.startswith("unknown") else spent
            return [_only("", words), *([_only("", short)] if figures.reserved_usd else [])]
        style: Style = "warn" if figures.committed_usd >= ALMOST_FULL * figures.cap_usd else ""
        return [_only(style, f"{spent} of {usd(figures.cap_usd)}"), _only(style, short)]

    def _permission_mode(self) -> list[list[Span]]:
        if self.figures.auto_approval or self.mode == "yolo":
            return [_only("warn", "yolo")] * 2
        if self.figures.yolo_this_turn:
            return [_only("warn", "yolo until this turn ends"), _only("warn", "yolo this turn")]
        return [_only("accent" if self.mode == "read-only" else "dim", self.mode)] * 2


def _only(style: Style, text: str) -> list[Span]:
    return [(style, text)] if text else []


def _width(parts: dict[str, list[list[Span]]]) -> int:
    texts = sum(width(text) for variants in parts.values() for _, text in variants[0])
    return texts + len(SEPARATOR[1]) * max(len(parts) - 1, 0)
