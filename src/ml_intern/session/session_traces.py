"""The traces of one running session: nothing at all without the user's yes, else a sink that reads its log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ml_intern.config.settings import Settings
from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.events import ToolLog
from ml_intern.session.log import EventLog
from ml_intern.session.trace_push import source_for
from ml_intern.session.trace_sharing import TraceSharing
from ml_intern.session.trace_writer import Scrub
from ml_intern.sinks.hub_traces import CLOSE_S, HubTraceSink, TraceChannel, TraceSchedule

LABEL = "traces"


class SessionTraces:
    """One per session. ``start`` it with the session; ``aclose`` it when the log is closed."""

    def __init__(
        self,
        log: EventLog,
        settings: Settings,
        sharing: TraceSharing,
        scrub: Scrub,
        *,
        at_end: Callable[[str], None],
        close_s: float = CLOSE_S,
    ) -> None:
        """``at_end`` gets what is to be said when the log is closed; ``close_s``: how long the end may take."""
        self._log = log
        self._sharing = sharing
        self._telling: set[asyncio.Future[None]] = set()
        self._sink: HubTraceSink | None = None
        if sharing.destinations:
            schedule = TraceSchedule(turns=settings.auto_save_interval, heartbeat_s=float(settings.heartbeat_interval_s), close_s=close_s)
            self._sink = HubTraceSink(log.events(after_seq=0), self._channels(scrub), schedule, self._tell, at_end)

    def start(self) -> None:
        """What was there before is sent together with the next turn, not by itself."""
        if self._sink is not None:
            self._sink.start(self._log.state.last_seq)

    async def watch_subagent(self, envelope: Envelope) -> None:
        """Its transcript is a file of its own, beside the session's: on this machine's disk when it returns."""
        if self._sink is not None:
            await self._sink.add(envelope)

    async def aclose(self) -> None:
        """Send the rest within a few seconds; what is left is pending."""
        if self._sink is not None:
            await asyncio.gather(*self._telling, return_exceptions=True)
            await self._sink.aclose()
        await self._sharing.aclose()

    async def stop(self) -> None:
        """Send nothing more, not even the rest."""
        if self._sink is not None:
            await self._sink.stop()
        await asyncio.gather(*self._telling, return_exceptions=True)
        await self._sharing.aclose()

    def _channels(self, scrub: Scrub) -> list[TraceChannel]:
        session_id = self._log.session_id
        channels: list[TraceChannel] = []
        for uploader in self._sharing.uploaders():
            source = source_for(uploader, session_id, scrub)
            channels.append(TraceChannel(source=source, uploader=uploader, each_turn=uploader.destination.name == "personal"))
        return channels

    def _tell(self, text: str) -> None:
        """In the log, where every frontend shows it."""
        telling = asyncio.ensure_future(self._log.append(ToolLog(tool=LABEL, log=text, label=LABEL)))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
