"""Where other terminals come in: each open session listens on a socket of its own (``control`` says what is spoken)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace

from ml_intern.config.paths import private_dir
from ml_intern.config.version import __version__
from ml_intern.errors import ConfigError, MlInternError, ProtocolError
from ml_intern.protocol import events as e
from ml_intern.protocol import operations as op
from ml_intern.protocol.codec import Envelope, decode_operation, encode, operation_name
from ml_intern.protocol.senders import ANOTHER_TERMINAL
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.control import (
    OPERATION_LIMIT_BYTES,
    Closed,
    Kind,
    Look,
    Refused,
    Request,
    Taken,
    Tell,
    Watch,
    Welcome,
    address_of,
    decode_request,
    encode_frame,
    frame,
    read_frame,
    socket_path,
)
from ml_intern.session.peers import own_uid, peer_of, why_refused
from ml_intern.session.state import SessionState

_log = logging.getLogger(__name__)

REQUEST_WAIT_S = 5.0
"""For the one request of a connection."""
LAST_WORDS_S = 2.0
"""For watchers to be sent what is left when the session closes."""
MOST_CONNECTIONS = 32
BUFFER_BYTES = 256 * 1024
LONGEST_SENDER = 80


class Log(Protocol):
    """What the door needs of ``EventLog``."""

    @property
    def session_id(self) -> str: ...

    @property
    def closed(self) -> bool: ...

    def show(self, event: e.AnyEvent) -> None: ...


class Served(Protocol):
    """What the door needs of a ``Session``."""

    @property
    def log(self) -> Log: ...

    @property
    def state(self) -> SessionState: ...

    @property
    def busy(self) -> bool: ...

    @property
    def context_window(self) -> int | None: ...

    async def submit(self, operation: op.AnyOperation) -> None: ...

    def events(self, *, after_seq: int = 0) -> AsyncIterator[Envelope]: ...


class Doors:
    """The doors of the sessions that this process has open."""

    def __init__(self, folder: Path, kind: Kind = "library") -> None:
        """``folder`` is ours alone; it is made when the first door opens. ``kind``: what those who come are told of this process."""
        self._folder = folder
        self._kind: Kind = kind
        self._doors: dict[str, _Door] = {}

    async def open(self, session: Served) -> None:
        """Let others in. A door that cannot be opened is a session that cannot be watched, and nothing worse: it is logged."""
        session_id = session.log.session_id
        try:
            door = _Door(session, socket_path(private_dir(self._folder), session_id), self._kind)
            await door.open()
        except (OSError, ConfigError) as error:
            _log.warning("session %s cannot be watched from other terminals: %s", short_id(session_id), error)
            return
        self._doors[session_id] = door

    async def close(self, session_id: str) -> None:
        """After the session's log was closed: its watchers get what is left, then they are told."""
        if door := self._doors.pop(session_id, None):
            await door.close()


class _Door:
    def __init__(self, session: Served, path: Path, kind: Kind) -> None:
        self._kind: Kind = kind
        self._session = session
        self._path = path
        self._since = datetime.now(UTC)
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._came, sock=_listening(self._path), limit=BUFFER_BYTES)

    async def close(self) -> None:
        if self._server is None:
            return
        self._closed = True
        self._server.close()
        with suppress(FileNotFoundError):
            self._path.unlink()
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=LAST_WORDS_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reason = self._why_refused(writer)
        if reason:
            _log.warning("a connection to session %s was refused: %s", short_id(self._session.log.session_id), reason)
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _why_refused(self, writer: asyncio.StreamWriter) -> str:
        if self._closed:
            return "the session is being closed"
        if len(self._serving) >= MOST_CONNECTIONS:
            return f"there are {MOST_CONNECTIONS} already"
        try:
            return why_refused(peer_of(writer.get_extra_info("socket")), uid=own_uid(), pid=os.getpid())
        except OSError as error:
            return f"the system does not say whose it is: {error}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_WAIT_S):
                body = await read_frame(reader, OPERATION_LIMIT_BYTES)
            if body:
                await self._answer(decode_request(body), reader, writer)
        except ProtocolError as error:
            with suppress(ConnectionError):
                writer.write(encode_frame(Refused(error=error.message, hint=error.hint, kind=type(error).__name__)))
                await writer.drain()
        except (ConnectionError, TimeoutError):
            pass  # whoever watched has gone
        finally:
            writer.close()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match request:
            case Watch():
                await self._watch(request, reader, writer)
            case Look():
                writer.write(encode_frame(self._welcome()))
            case Tell():
                writer.write(encode_frame(await self._tell(self._signed(request))))
        await writer.drain()

    def _welcome(self) -> Welcome:
        state = self._session.state
        return Welcome(
            session=self._session.log.session_id,
            last_seq=state.last_seq,
            pid=os.getpid(),
            host=os.uname().nodename,
            cwd=state.cwd,
            title=state.title or " ".join(state.first_user_text.split())[:72],
            busy=self._session.busy,
            since=self._since,
            context_window=self._session.context_window,
            kind=self._kind,
            version=__version__,
        )

    # ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────

    def _signed(self, request: Tell) -> op.AnyOperation:
        """With its sender: only the door says that an operation came from elsewhere."""
        sender = " ".join(request.sender.split())[:LONGEST_SENDER]
        return replace(decode_operation(bytes(request.operation)), sent_by=sender or ANOTHER_TERMINAL)

    async def _tell(self, operation: op.AnyOperation) -> Taken | Refused:
        match operation:
            case op.Shutdown():
                return Refused(error="Only the terminal that owns a session can end it.", hint="Leave it there.", kind="BadOperation")
            case op.New() | op.Resume() | op.Fork():
                self._session.log.show(
                    e.ErrorRaised(
                        error="A session that is open in another process cannot be left for another one from here.",
                        hint="Leave it, then start ml-intern anew.",
                        kind="BadOperation",
                        ends_turn=False,
                        sent_by=operation.sent_by,
                    )
                )
                return Taken()
            case op.UserInput() | op.ExecApproval() | op.AnswerQuestion() | op.ShowRules() | op.TryCall():
                pass  # their events name the sender, or they change nothing
            case _:
                self._session.log.show(e.OperationReceived(operation=operation_name(operation), sent_by=operation.sent_by))
        try:
            await self._session.submit(operation)
        except MlInternError as error:
            return Refused(error=error.message, hint=error.hint, kind=type(error).__name__)
        return Taken()

    async def _watch(self, request: Watch, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the log ends, or the watcher goes: a watcher that is slow is sent back to the store by the log itself.

        Whoever comes when it has ended finds nobody: its watchers were told, and come back to open the session themselves.
        """
        if self._session.log.closed:
            return
        start = self._session.state.last_seq if request.after_seq is None else request.after_seq
        events = self._session.events(after_seq=start)
        sending = asyncio.ensure_future(self._send(events, request, writer))
        hung_up = asyncio.ensure_future(_until_gone(reader))
        try:
            await asyncio.wait([sending, hung_up], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(sending, hung_up)
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        if not sending.cancelled():
            sending.result()

    async def _send(self, events: AsyncIterator[Envelope], request: Watch, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(self._welcome()))
        async for envelope in events:
            if envelope.seq is not None or request.transient:
                writer.write(frame(encode(envelope)))
                await writer.drain()
        writer.write(encode_frame(Closed()))
        await writer.drain()


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """What a watcher says after its request is not read on: it has nothing to say."""
    with suppress(ConnectionError):
        await reader.read(1)


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _listening(path: Path) -> socket.socket:
    """A socket at the path. It listens before it has its name, so that a name that nobody answers is certainly a dead process's;
    such a one is replaced, for whoever opens a door holds the lease of the session.
    """
    draft = path.with_name(f".{path.stem}.{os.urandom(4).hex()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address_of(draft) as address:
            listener.bind(address)
        os.chmod(draft, 0o600)
        listener.listen(MOST_CONNECTIONS)
        listener.setblocking(False)
        os.rename(draft, path)
    except OSError:
        listener.close()
        with suppress(OSError):
            draft.unlink()
        raise
    return listener
