"""Sessions with doors, the terminals that join them, and what they saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from ml_intern.protocol import events as e
from ml_intern.protocol.codec import Envelope
from ml_intern.session.control import socket_path
from ml_intern.session.door import Doors
from ml_intern.session.host import SessionHost
from ml_intern.session.remote import RemoteHost
from ml_intern.session.remote_wire import Retries
from tests.flows.support import World

QUICK = Retries(every_s=0.01, for_s=0.2)
PATIENT = Retries(every_s=0.01, for_s=8.0)


class Watcher:
    """What one terminal saw."""

    def __init__(self, host: RemoteHost | SessionHost, *, after_seq: int | None = 0) -> None:
        self.host = host
        self.seen: list[Envelope] = []
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(host.events(after_seq=after_seq)))

    async def _read(self, events: AsyncIterator[Envelope]) -> None:
        async for envelope in events:
            if envelope.seq is not None:
                assert self.host.state.last_seq >= envelope.seq, "an event is in the state before it is shown"
            async with self._changed:
                self.seen.append(envelope)
                self._changed.notify_all()

    async def until(self, wanted: Callable[[e.AnyEvent], bool]) -> e.AnyEvent:
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: any(wanted(x.event) for x in self.seen)), 10)
        return next(x.event for x in self.seen if wanted(x.event))

    async def end(self) -> None:
        await asyncio.wait_for(self._reading, 10)

    @property
    def stored(self) -> list[int]:
        return [x.seq for x in self.seen if x.seq is not None]

    def states(self) -> list[str]:
        return [x.event.state for x in self.seen if isinstance(x.event, e.ConnectionChanged)]


class Live:
    """Sessions with doors, and the terminals that joined."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.doors = Doors(folder)
        self.hosts: list[RemoteHost] = []
        self.watchers: list[Watcher] = []

    async def join(self, world: World, retries: Retries = QUICK) -> RemoteHost:
        host = await RemoteHost.attach(self.folder, world.session.log.session_id, retries)
        self.hosts.append(host)
        return host

    def watch(self, host: RemoteHost | SessionHost, *, after_seq: int | None = 0) -> Watcher:
        self.watchers.append(Watcher(host, after_seq=after_seq))
        return self.watchers[-1]

    async def close(self, world: World) -> None:
        """As the owner does: the session, then its door."""
        await world.close()
        await self.doors.close(world.session.log.session_id)


class Proxy:
    """A socket before the socket that can be taken away: a connection that breaks, an owner that dies."""

    def __init__(self, back: Path, front: Path, session_id: str) -> None:
        self.front = front
        self._back = socket_path(back, session_id)
        self._path = socket_path(front, session_id)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self.front.mkdir(exist_ok=True)
        self._server = await asyncio.start_unix_server(self._came, str(self._path))

    async def stop(self) -> None:
        """Every connection is broken, and nobody listens any more."""
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.transport.abort()
        if self._pipes:
            await asyncio.wait(self._pipes)

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_unix_connection(str(self._back))
        for source, sink in ((reader, back_writer), (back_reader, writer)):
            self._writers.add(sink)
            pipe = asyncio.create_task(self._carry(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()
