"""What the empty conversation shows: where one is, with which model, and how to begin. Drawn with the first paint; no block of it stays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.config.version import __version__
from ml_intern.frontends.headless.text import Line, Span, line, width
from ml_intern.frontends.tui.git_branch import branch_of
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app_parts import AppParts

PLACEHOLDER = "Describe a task, / for commands"
HINTS = (("/", "commands"), ("@", "files"), ("!", "shell line"), ("/help", "keys"), ("/quit", "leaves"))
MODES = {
    "ask": "asks you before anything risky or paid",
    "yolo": "yolo: nothing is asked, recurring jobs excepted",
    "read-only": "read-only: nothing is changed or started",
}
_NAMES = 8
_SHOWN = (e.SessionStarted, e.ResumedFrom, e.ModelSwitched, e.EffortChanged, e.SessionUpdate)


class Welcome:
    """An ``EventReader``. What takes a look at disks is filled in when the session is open."""

    def __init__(self, app: AppParts) -> None:
        self._app = app
        self._branch = self._found = self._earlier = ""

    def begin(self, *, keep: bool) -> None:
        """See ``EventReader``."""
        self._found = self._earlier = ""

    def read(self, envelope: Envelope, *, live: bool) -> None:
        """See ``EventReader``."""
        if isinstance(envelope.event, e.Ready):
            self._app.run_worker(partial(self._look_around, envelope.session), group="welcome", exclusive=True)
        elif isinstance(envelope.event, _SHOWN):
            self._app.conversation.show_greeting()

    async def _look_around(self, session: str) -> None:
        """After the session was opened, which it would only hold up."""
        from ml_intern.frontends.tui.findings import earlier_sessions, found_in

        loaded = self._app.loaded
        if self._app.conversation.blocks:
            return
        folder = self._app.figures.cwd or str(loaded.cwd)
        self._branch = await asyncio.to_thread(branch_of, Path(folder))
        self._found = await asyncio.to_thread(found_in, loaded, folder)
        self._earlier = await earlier_sessions(loaded, folder, session)
        self._app.conversation.show_greeting()

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, columns: int, height: int) -> Sequence[Line]:
        """As much as there is room for: what is least needed is left out first."""
        hints = list(_hints(columns))
        facts = [line(("dim", f"{name:<{_NAMES}} "), *spans) for name, spans in self._facts()]
        title = line(("tool", "ml-intern"), ("dim", f" {__version__}"))
        earlier = [line(("dim", self._earlier))] if self._earlier else []
        for rows in (
            [line(), title, line(), *facts, line(), *hints, *([line(), *earlier] if earlier else [])],
            [title, *facts, *hints, *earlier],
            [title, *facts[:2], *hints],
            [title, *hints],
        ):
            if len(rows) <= height:
                return rows
        return [title]

    def _facts(self) -> Iterator[tuple[str, list[Span]]]:
        figures, settings = self._app.figures, self._app.loaded.settings
        folder = self._app.status.short_folder(figures.cwd or str(self._app.loaded.cwd))
        yield "folder", [("", folder), ("accent", f" ⎇ {self._branch}")] if self._branch else [("", folder)]
        effort = figures.effort if figures.model else settings.reasoning_effort
        model = figures.model or settings.model_name or "the one that your keys are for"
        yield "model", [("", model), ("dim", f" · effort {effort}")] if effort else [("", model)]
        yield "mode", [("", MODES["yolo" if figures.yolo else self._app.status.mode])]
        if self._found:
            yield "found", [("", self._found)]


def _hints(columns: int) -> Iterator[Line]:
    """The hints, as many in a row as fit."""
    row: list[Span] = []
    for key, what in HINTS:
        more: list[Span] = [("accent", key), ("dim", f" {what}")]
        gap: list[Span] = [("", "   ")] if row else []
        if row and sum(width(text) for _, text in (*row, *gap, *more)) > columns:
            yield line(*row)
            row, gap = [], []
        row += [*gap, *more]
    yield line(*row)
