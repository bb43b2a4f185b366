"""The app on a scripted host, as pilot tests run it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings
from ml_intern.config.settings import Settings
from ml_intern.frontends.calm import CALM_S
from ml_intern.frontends.tui import theme
from ml_intern.frontends.tui.app import TuiApp
from ml_intern.frontends.tui.backend import Backend, JobDesk
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from tests.tui.driven import WatchedApp
from tests.unit.frontends.fake_host import SESSION, FakeHost, Play, plays

SIZE = (80, 24)
STARTED = e.SessionStarted(session_id=SESSION, cwd="/home/shop", model="fake/model", effort="high")


@dataclass
class ScriptedHost(FakeHost):
    """A host for the app: its model takes ``context_window`` tokens."""

    context_window: int | None = 200_000
    jobs: JobDesk | None = None
    vacated: bool = False
    sender: str = ""

    @property
    def waiting(self) -> bool:
        """Whether something was emitted that nobody has read."""
        return not self._queue.empty()

    def record(self, *events: e.AnyEvent, ago_s: float = 0.0) -> None:
        """Events that the log holds already when the app opens it; they happened so long ago."""
        self.emit(*events, ago_s=ago_s)
        self.state.last_seq = self._seq


def scripted(*events: e.AnyEvent, play: Play | None = None, past: tuple[e.AnyEvent, ...] = (STARTED,)) -> ScriptedHost:
    """Emits ``events`` when the user says something; ``past`` is in the log before."""
    host = ScriptedHost(play or plays(*events))
    host.record(*past)
    return host


def app_on(
    host: Backend,
    *,
    environ: Mapping[str, str] = {},
    settings: Settings | None = None,
    theme_name: str = theme.DARK,
    calm_s: float = CALM_S,
    first: str = "",
) -> TuiApp:
    async def opening() -> Backend:
        return host

    loaded = LoadedSettings(settings=settings or Settings(), environ=Environ(environ), cwd=Path("/home/shop"))
    app = WatchedApp(opening, loaded, theme_name=theme_name, first=first)
    app.calm_s = calm_s
    return app


@asynccontextmanager
async def running(host: ScriptedHost, *, size: tuple[int, int] = SIZE, **options: Any) -> AsyncIterator[tuple[TuiApp, Pilot[int]]]:
    """The app, with what the log held on the screen."""
    app = app_on(host, **options)
    async with app.run_test(size=size) as pilot:
        await settled(app, pilot, host)
        yield app, pilot


async def settled(app: TuiApp, pilot: Pilot[int], host: ScriptedHost) -> None:
    """Everything that was emitted is read, and drawn."""
    await pilot.pause()
    while host.waiting or app.backend is None:
        await asyncio.sleep(0)
    await pilot.pause()
    app.conversation.show_changes()
    await pilot.pause()


def screen_text(app: TuiApp) -> list[str]:
    """The rows of the screen as they would be read."""
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


def envelopes(*events: e.AnyEvent) -> list[Envelope]:
    """As the log would number them."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [Envelope(session=SESSION, seq=None if event.transient else i, at=at, event=event) for i, event in enumerate(events, 1)]
