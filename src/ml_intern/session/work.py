"""The one thing that a session does at a time: turns, or a compaction. One task owns it, and whatever ends it says so in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ml_intern.errors import StoreError
from ml_intern.protocol.events import Processing
from ml_intern.protocol.operations import UserInput
from ml_intern.session.inbox import Inbox
from ml_intern.session.log import EventLog
from ml_intern.session.model_port import ModelPort
from ml_intern.session.turn import Turn, TurnParts

Job: TypeAlias = Callable[[], Awaitable[None]]


class Work:
    """Runs turns for what the user says, one after the other. ``model`` is used from the next step on."""

    def __init__(self, parts: TurnParts, model: ModelPort) -> None:
        self._parts = parts
        self._log: EventLog = parts.log
        self.model = model
        self._inbox = Inbox()
        self._task: asyncio.Task[None] | None = None
        self._turn: Turn | None = None
        self._interrupting = False
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a turn or a compaction runs, or cleans up."""
        return self._task is not None and not self._task.done()

    def say(self, message: UserInput) -> None:
        """Steer the turn that runs, or start one."""
        if self.busy:
            self._inbox.messages.append(message)
        else:
            self._start_turns([message])

    def compact(self) -> None:
        """At the next step of the turn that runs, or now."""
        if self.busy:
            self._inbox.compact = True
        else:
            self._start(lambda: self._run(Turn.compact))

    def go_on(self) -> None:
        """The turn that a resume found waiting for approval."""
        self._start(lambda: self._run(Turn.run))

    def use_model(self, model: ModelPort) -> None:
        """From the next step on."""
        self.model = model
        if self._turn is not None:
            self._turn.model = model

    async def interrupt(self) -> None:
        """Cancel once: a second cancellation would tear up the clean-up of the first."""
        task = self._task
        if task is None or task.done() or self._interrupting:
            return
        self._interrupting = True
        self._inbox.unread += self._inbox.messages
        self._inbox.messages.clear()
        await asyncio.sleep(0)  # a task that is cancelled before its first step would never write its end
        task.cancel()

    async def stop(self) -> None:
        """Interrupt, and wait until it is over."""
        while self.busy:
            assert self._task is not None
            await self.interrupt()
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop, and start nothing more."""
        self._closed = True
        await self.stop()
        await self._parts.entrance.aclose()

    def _start_turns(self, messages: Sequence[UserInput]) -> None:
        self._start(lambda: self._run_turns(messages))

    def _start(self, job: Job) -> None:
        self._log.raise_failure()  # whoever asks hears it here, for the log's readers have ended
        self._interrupting = False
        self._task = asyncio.ensure_future(self._supervised(job))

    async def _supervised(self, job: Job) -> None:
        try:
            try:
                await job()
                await self._run_late()
                if self._inbox.unread:  # the turn had ended when the interrupt came
                    await self._log.append(self._inbox.interrupted())
            except asyncio.CancelledError:
                await self._end_interrupted()
                raise
        except StoreError as error:
            self._log.fail(error)  # nothing can be written any more: whoever listens must hear it here

    async def _end_interrupted(self) -> None:
        """An interrupt between a turn's first event and its first step must still end it in the log."""
        if self._log.state.turn_running or self._inbox.unread:
            await self._log.append(self._inbox.interrupted())
        if self._inbox.messages and not self._closed:  # they came after the interrupt
            messages, self._inbox.messages = self._inbox.messages, []
            self._start_turns(messages)

    async def _run_late(self) -> None:
        """What came too late for the last step."""
        while self._inbox.messages or self._inbox.compact:
            if self._inbox.messages:
                messages, self._inbox.messages = self._inbox.messages, []
                await self._run_turns(messages)
            else:
                self._inbox.compact = False
                await self._run(Turn.compact)

    async def _run_turns(self, messages: Sequence[UserInput]) -> None:
        try:
            let_in = await self._parts.entrance.let_in(messages, Processing(message="Processing user input"), window=self.model.window)
        except asyncio.CancelledError:
            if not self._log.state.turn_running:  # its hooks were interrupted, before anything was stored
                self._inbox.unread[:0] = messages
                await self._log.append(self._inbox.interrupted())
            raise
        if let_in:
            await self._run(Turn.run)

    async def _run(self, what: Callable[[Turn], Awaitable[None]]) -> None:
        self._turn = Turn(self._parts, self.model, self._inbox)
        try:
            await what(self._turn)
        finally:
            self._turn = None
