"""Reads a session's log and sends its trace to the Hub: beside the session, in this process, one upload at a time.

A turn never waits for it; an exit waits ``CLOSE_S`` seconds at most. What has not been sent by then is pending, and is sent with the next
turn of the session or by ``ml-intern traces push``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from ml_intern.errors import MlInternError, StoreError
from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from ml_intern.sinks.trace_upload import ATTEMPTS, Document, TraceUploader

CLOSE_S = 5.0
GAP_S = 30.0
"""128 commits an hour to one repository is what the Hub grants, by its own words in the refusal (status 429)."""
BYTES_PER_S = 16 * 1024
"""What sharing may send, on the average of a session."""
BATCH = 500
"""Events that wait to be rendered, at most."""
LATER = "`ml-intern traces push` sends it."
TOO_SLOW = "The trace of this session is not sent yet: the Hub was too slow for the end of the session."


class TraceSource(Protocol):
    """Makes documents of events. It blocks, and is called in a thread, one call at a time."""

    def feed(self, envelopes: Sequence[Envelope]) -> None:
        """The next stored events, of the session and (by the envelope's session) of its sub-agents."""
        ...

    def documents(self) -> list[Document]:
        """What there is so far."""
        ...

    def sent(self, documents: Sequence[Document]) -> None:
        """The Hub has these. Does not block."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class TraceChannel(Struct, frozen=True, kw_only=True):
    """What is written, and where it is sent; ``each_turn`` False: only at the end of the session."""

    source: TraceSource
    uploader: TraceUploader
    each_turn: bool = True


class TraceSchedule(Struct, frozen=True, kw_only=True):
    """``turns``: send after so many (0: only at the end). ``heartbeat_s``: and so often while a turn runs (0: never).

    ``gap_s``: the least time between two uploads, which is longer for long traces.
    """

    turns: int = 1
    heartbeat_s: float = 60.0
    close_s: float = CLOSE_S
    gap_s: float = GAP_S

    def pause_s(self, size_bytes: int) -> float:
        """How long nothing more is sent after an upload of so much: the Hub cannot add to a file, so all of it goes each time."""
        return max(self.gap_s, size_bytes / BYTES_PER_S)


class HubTraceSink:
    """One session's. ``events`` begins at the first event and ends when the log is closed.

    ``tell``: what the user should know of. ``tell_at_end``: what came after the last turn, when nobody may read the log any more.
    """

    def __init__(
        self,
        events: AsyncIterator[Envelope],
        channels: Sequence[TraceChannel],
        schedule: TraceSchedule,
        tell: Callable[[str], None],
        tell_at_end: Callable[[str], None],
    ) -> None:
        self._events = events
        self._channels = tuple(channels)
        self._schedule = schedule
        self._tell, self._tell_at_end = tell, tell_at_end
        self._told: set[str] = set()
        self._since_turn: dict[tuple[str, str], None] = {}
        """What was said since the last turn began, each with the channel whose failure it is, if it is one."""
        self._session_id = ""
        self._waiting: list[Envelope] = []
        self._rendering, self._sending = asyncio.Lock(), asyncio.Lock()
        self._due, self._ending = asyncio.Event(), asyncio.Event()
        self._quiet_until = 0.0
        self._closing = self._begun = False
        self._live_from = 0
        self._turns = 0
        self._turn_running = False
        self._seq = self._sent_seq = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, live_from: int) -> None:
        """Read from now on. Events up to ``live_from`` are old: they are read, and sent with the first that is new."""
        self._live_from = live_from
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._send_when_due())]

    async def add(self, envelope: Envelope) -> None:
        """An event of a sub-agent, whose id is the envelope's session: it is in no log that is kept, so it is written down at once."""
        if envelope.seq is None or self._closing:
            return
        self._waiting.append(envelope)
        try:
            await self._render()
        except (MlInternError, OSError) as error:
            self._say(f"The transcript of a sub-agent is not kept: {error}")

    async def aclose(self) -> None:
        """Send the rest, if the Hub is quick; after that nothing of it runs any more. The log must be closed before."""
        self._closing = True
        self._due.set()
        self._ending.set()
        try:
            async with asyncio.timeout(self._schedule.close_s):
                await asyncio.gather(*self._tasks)
                await self._send(self._channels, attempts=1)
        except TimeoutError:
            self._say(f"{TOO_SLOW} {LATER}")
        finally:
            await self._let_go()
            for text in dict.fromkeys(text for text, _ in self._since_turn):
                self._tell_at_end(text)

    async def stop(self) -> None:
        """Send nothing more, from this moment on: an upload that runs is broken off. The log may go on."""
        self._closing = True
        await self._let_go()

    async def _let_go(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with self._rendering:  # a thread may still be writing
            for channel in self._channels:
                channel.source.close()

    async def _read(self) -> None:
        try:
            async for envelope in self._events:
                if envelope.seq is None:
                    continue
                self._session_id, self._seq = envelope.session, envelope.seq
                self._waiting.append(envelope)
                if envelope.seq > self._live_from:
                    await self._note(envelope.event)
                if len(self._waiting) >= BATCH:
                    await self._render()
        except (MlInternError, OSError) as error:
            self._say(f"The trace of this session is not sent: {error}")

    async def _note(self, event: e.AnyEvent) -> None:
        match event:
            case e.Processing():
                self._turn_running = True
                self._since_turn.clear()
                if not self._begun:
                    self._begun = True
                    await asyncio.to_thread(self._begin)
            case e.TurnComplete() | e.Interrupted():
                self._turn_over()
            case e.ErrorRaised() if event.ends_turn:
                self._turn_over()
            case _:
                pass

    def _begin(self) -> None:
        for channel in self._channels:
            channel.uploader.begin(self._session_id)

    def _turn_over(self) -> None:
        self._turn_running = False
        self._turns += 1
        if self._schedule.turns and self._turns >= self._schedule.turns:
            self._due.set()

    async def _send_when_due(self) -> None:
        often = [channel for channel in self._channels if channel.each_turn]
        while not self._closing:
            try:
                async with asyncio.timeout(self._schedule.heartbeat_s or None):
                    await self._due.wait()
            except TimeoutError:
                if not self._turn_running or self._seq == self._sent_seq:
                    continue
            await self._keep_quiet()
            if self._closing:
                return
            self._due.clear()
            self._turns = 0
            size_bytes = await self._send(often, attempts=ATTEMPTS)
            self._quiet_until = asyncio.get_running_loop().time() + self._schedule.pause_s(size_bytes)

    async def _keep_quiet(self) -> None:
        """Turns that are quick are sent together; the end waits for none of this."""
        try:
            async with asyncio.timeout_at(self._quiet_until):
                await self._ending.wait()
        except TimeoutError:
            return

    async def _send(self, channels: Sequence[TraceChannel], *, attempts: int) -> int:
        """Returns how many bytes the documents have."""
        size_bytes = 0
        async with self._sending:
            seq = self._seq
            for channel in channels:
                try:
                    size_bytes += await self._send_to(channel, attempts)
                except (StoreError, OSError) as error:  # of our own files: the disk is full, another process is at it
                    self._say(f"The trace of this session was not sent: {error}", _name(channel))
            self._sent_seq = seq
        return size_bytes

    async def _send_to(self, channel: TraceChannel, attempts: int) -> int:
        documents = await self._render(channel)
        if not documents:
            return 0
        outcome = await channel.uploader.send(self._session_id, documents, attempts=attempts)
        if not outcome.error:
            channel.source.sent(documents)
            self._since_turn = {said: None for said in self._since_turn if said[1] != _name(channel)}
        if outcome.error and (self._closing or not outcome.passing):  # what passes is worth a word when nothing comes after it
            self._say(f"The trace of this session was not sent: {outcome.error} {LATER}", _name(channel))
        if outcome.note:
            self._say(outcome.note)
        return sum(len(document.data) for document in documents)

    async def _render(self, channel: TraceChannel | None = None) -> list[Document]:
        """Everything that waits becomes lines; then the documents of ``channel``."""
        async with self._rendering:
            waiting, self._waiting = self._waiting, []
            work = asyncio.ensure_future(asyncio.to_thread(self._write, waiting, channel))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait([work])  # the thread goes on: nobody may touch its files before it is done
                raise

    def _write(self, waiting: Sequence[Envelope], channel: TraceChannel | None) -> list[Document]:
        for one in self._channels if waiting else ():
            one.source.feed(waiting)
        return channel.source.documents() if channel is not None else []

    def _say(self, text: str, failed: str = "") -> None:
        """Each thing once, and at the end once more: of what comes after the last turn, a run without a screen shows nothing. That a
        channel failed does not hold any more when it has sent.
        """
        self._since_turn[text, failed] = None
        if text not in self._told and not self._closing:
            self._told.add(text)
            self._tell(text)


def _name(channel: TraceChannel) -> str:
    return channel.uploader.destination.name
