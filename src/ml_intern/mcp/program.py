"""A server that is a program: it leads a process group of its own, and is spoken to over two pipes.

The order of its end is the protocol's: its input is closed, it gets time, its group is asked, its group is killed.
https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#shutdown
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO

import anyio
from mcp.shared.message import SessionMessage

from ml_intern.mcp.message_lines import MAX_MESSAGE_BYTES, Lines, message, refused_message

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.client._transport import TransportStreams

_READ_BYTES = 1024 * 1024
_LONG_BYTES = 256 * 1024
"""A longer message is understood in a thread."""
_FLUSH_S = 0.5
_ENDS_S = 2.0
_LOOKS = 100


class Program:
    """The running program and our ends of its pipes. ``most_bytes``: a longer answer is refused, and the connection stays."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most_bytes: int) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._most_bytes = most_bytes

    async def read(self, to: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Hand on what it says until it says no more; once nobody listens, only empty the pipe, so that it can write and end."""
        lines = Lines(self._most_bytes)
        listened_to = True
        async with to:
            while data := await self._reader.read(_READ_BYTES):
                for line, whole in lines.feed(data) if listened_to else ():
                    try:
                        await to.send(await _understood(line) if whole else refused_message(line, self._most_bytes))
                    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                        listened_to = False
                        break

    async def write(self, what: MemoryObjectReceiveStream[SessionMessage]) -> None:
        """Hand on what we say; returns when there is no more to say, or nobody to say it to."""
        with contextlib.suppress(OSError):
            async with what:
                async for said in what:
                    text = said.message.model_dump_json(by_alias=True, exclude_unset=True)
                    self._writer.write(text.encode() + b"\n")
                    await self._writer.drain()

    async def end(self) -> None:
        """Close its input and wait; if it stays, ask it and its children to end, then make them."""
        try:
            self._writer.close()
            if not await self._ended():
                self._signal(signal.SIGTERM)
                await self._group_gone()
                self._signal(signal.SIGKILL)
                await self._ended()
        except BaseException:
            if self._process.returncode is None:
                self._signal(signal.SIGKILL)  # nobody waits for it any more
            raise
        finally:
            if self._writer.transport.get_write_buffer_size():
                self._writer.transport.abort()  # a child that outlived it holds the other end, and will never read

    async def _ended(self) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _ENDS_S)
        return self._process.returncode is not None

    async def _group_gone(self) -> None:
        """No event tells of the end of a child's child."""
        for _ in range(_LOOKS):
            if not self._signal(0):
                return
            await asyncio.sleep(_ENDS_S / _LOOKS)

    def _signal(self, number: int) -> bool:
        """Whether there still is somebody who may be sent it."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


@asynccontextmanager
async def open_program(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, errors: TextIO, most_bytes: int = MAX_MESSAGE_BYTES
) -> AsyncGenerator[TransportStreams]:
    """Start it, and give the streams that the SDK's client wants. Raises ``OSError`` when it cannot be started."""
    program, reading = await _started(command, env=env, cwd=cwd, errors=errors, most_bytes=most_bytes)
    heard, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, said = anyio.create_memory_object_stream[SessionMessage](0)

    async def write() -> None:
        try:
            await program.write(said)
        finally:
            written.set()
        heard.close()  # it takes no more: whoever waits for an answer is told

    written = asyncio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(program.read, heard)
        tasks.start_soon(write)
        try:
            yield incoming, outgoing
        finally:
            with anyio.CancelScope(shield=True):
                incoming.close()
                outgoing.close()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(written.wait(), _FLUSH_S)
                try:
                    await program.end()
                finally:
                    reading.close()  # a child that outlived it may hold the other end for ever
            tasks.cancel_scope.cancel()


async def _started(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, errors: TextIO, most_bytes: int
) -> tuple[Program, asyncio.ReadTransport]:
    """Pipes of our own rather than the subprocess's: waiting for its end is then no wait for theirs, and they can be closed."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
        input_end, to_it = _pipe(its, ours)
        from_it, output_end = _pipe(ours, its)
        reader = asyncio.StreamReader(limit=_READ_BYTES)
        reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), from_it)
        ours.callback(reading.close)
        writing, flow = await loop.connect_write_pipe(lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), to_it)
        ours.callback(writing.close)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=input_end, stdout=output_end, stderr=errors, env=env, cwd=cwd, start_new_session=True
        )
        ours.pop_all()
    return Program(process, reader, asyncio.StreamWriter(writing, flow, None, loop), most_bytes), reading


def _pipe(reads: contextlib.ExitStack, writes: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return reads.enter_context(os.fdopen(reading, "rb", 0)), writes.enter_context(os.fdopen(writing, "wb", 0))


async def _understood(line: bytes) -> SessionMessage | Exception:
    return await asyncio.to_thread(message, line) if len(line) > _LONG_BYTES else message(line)
