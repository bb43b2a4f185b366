"""The hooks of a session, as the session sees them: it tells of a moment, and hears a verdict."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from ml_intern.errors import StoreError
from ml_intern.protocol.event_base import Event
from ml_intern.protocol.messages import JsonObject
from ml_intern.session.hooks.contract import HookEvent, Moment
from ml_intern.session.hooks.runner import HookRunner
from ml_intern.session.hooks.verdict import RAN, SILENCE, Verdict
from ml_intern.session.log import EventLog

if TYPE_CHECKING:
    from ml_intern.session.hooks.transcript import Transcript

MAX_LATE = 20
"""Words of hooks in the background that wait for the next message."""


class Hooks:
    """What hooks did is in the log before anything follows from it. Without any configured, asking costs a look at a tuple."""

    def __init__(self, log: EventLog | None = None, runner: HookRunner | None = None, transcript: Transcript | None = None) -> None:
        """Without a ``runner`` there are none. ``transcript`` is brought up to now before hooks are run."""
        self._log = log
        self._runner = runner
        self._transcript = transcript
        self._late: deque[str] = deque(maxlen=MAX_LATE)
        self._telling: set[asyncio.Task[None]] = set()

    def has(self, event: HookEvent) -> bool:
        """Whether any hook waits for this event."""
        return self._runner is not None and self._runner.has(event)

    async def tell(self, event: HookEvent, about: str = "", *, call_id: str = "", **details: object) -> Verdict:
        """Run the hooks of a moment; ``details`` are what they are told of it."""
        if self._runner is None or self._log is None or not self._runner.commands(event, about):
            return SILENCE
        told: JsonObject = dict(details)
        state = self._log.state
        mode = "bypassPermissions" if state.auto_approval or state.yolo_this_turn else "default"
        path = await self._transcript.catch_up() if self._transcript is not None else ""
        moment = Moment(event=event, about=about, details=told, tool_call_id=call_id)
        verdict = await self._runner.run(moment, self._take_late, permission_mode=mode, transcript_path=path)
        await self._note(self._log, verdict)
        return verdict

    def late_words(self) -> list[str]:
        """What hooks in the background had to say to the model since the last time it was asked for."""
        words = list(self._late)
        self._late.clear()
        return words

    async def aclose(self) -> None:
        """End hooks in the background, and take the transcript away."""
        if self._runner is not None:
            await self._runner.aclose()
        for task in list(self._telling):
            await asyncio.wait([task])
        if self._transcript is not None:
            await asyncio.to_thread(self._transcript.remove)

    def _take_late(self, verdict: Verdict) -> None:
        """One that nothing waited for can hold up nothing; that it wanted to is told."""
        assert self._log is not None
        if verdict.context:
            self._late.append(verdict.context)
        task = asyncio.create_task(self._tell_late(self._log, verdict))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell_late(self, log: EventLog, verdict: Verdict) -> None:
        try:
            await self._note(log, verdict)
        except StoreError:
            return  # nothing can be written any more; the session says so itself

    async def _note(self, log: EventLog, verdict: Verdict) -> None:
        kept: list[Event] = [event for event in verdict.told if event.outcome != RAN]
        for event in verdict.told:
            if event.outcome == RAN:
                log.show(event)
        if kept:
            await log.append(*kept)


NO_HOOKS = Hooks()
