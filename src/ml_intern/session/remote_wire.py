"""Connections to the process that owns a session, as the one that joins it makes them (``control`` says what is spoken)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec import Struct

from ml_intern.config.version import __version__
from ml_intern.errors import ProtocolError, StoreError
from ml_intern.protocol.codec import SCHEMA_VERSION, Envelope
from ml_intern.session.control import (
    EVENT_LIMIT_BYTES,
    SUFFIX,
    Answer,
    Look,
    Refused,
    Request,
    Watch,
    Welcome,
    address_of,
    decode_answer,
    encode_frame,
    read_frame,
)

BUFFER_BYTES = 256 * 1024
UPGRADE = "Upgrade the older one, then join again."


class NotOpen(StoreError):
    """No process has the session open in a way that others can join."""


class Retries(Struct, frozen=True, kw_only=True):
    """A broken connection is tried again every ``every_s`` for ``for_s``; then its owner is taken for gone."""

    every_s: float = 0.2
    for_s: float = 3.0
    answer_s: float = 10.0
    """For an owner that is connected to say its first word."""


RETRIES = Retries()


def other_version(owner: Welcome) -> ProtocolError:
    """For an owner that says what this program does not understand, or does not understand it."""
    age = "a newer" if owner.v > SCHEMA_VERSION else "an older"
    theirs = f"ml-intern {owner.version}" if owner.version else f"{age} ml-intern"
    here = "another build of it" if owner.version == __version__ else f"ml-intern {__version__}"
    return ProtocolError(
        f"The session is open in {theirs} ({owner.owner}), and this is {here}: the two do not understand each other.",
        hint=UPGRADE,
    )


class Wire:
    """One connection, its request sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connected(cls, path: Path, request: Request, retries: Retries) -> Wire:
        """Raises ``NotOpen`` when nobody listens there."""
        try:
            with address_of(path) as address:
                async with asyncio.timeout(retries.answer_s):
                    reader, writer = await asyncio.open_unix_connection(address, limit=BUFFER_BYTES)
        except OSError as error:
            raise NotOpen("No process has this session open in a way that others can join.") from error
        writer.write(encode_frame(request))
        return cls(reader, writer)

    async def read(self) -> Answer | Envelope:
        """The next frame. Raises ``ConnectionError`` at the end of the connection, or ``ProtocolError``."""
        if body := await read_frame(self._reader, EVENT_LIMIT_BYTES):
            return decode_answer(body)
        raise ConnectionResetError("The connection ended.")

    async def welcome(self, retries: Retries) -> Welcome:
        """The first answer. Raises ``ProtocolError``, also for an owner whose events are newer than this program."""
        answer = await self.greeting(retries)
        if answer.v > SCHEMA_VERSION:
            raise other_version(answer)
        return answer

    async def greeting(self, retries: Retries) -> Welcome:
        """The first answer, of whatever version. Raises ``ProtocolError``."""
        async with asyncio.timeout(retries.answer_s):
            answer = await self.read()
        if isinstance(answer, Refused):
            text = f"The process that has the session open does not understand this ml-intern ({__version__}). It says: {answer.error}"
            raise ProtocolError(text, hint=UPGRADE)
        if not isinstance(answer, Welcome):
            raise ProtocolError("The owner of the session did not say who it is.")
        return answer

    async def event(self) -> Envelope:
        """The next frame, which must be an event: raises ``ConnectionError`` when the session was closed instead."""
        answer = await self.read()
        if isinstance(answer, Envelope):
            return answer
        raise ConnectionResetError("The session was closed.")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def open_sessions(folder: Path, retries: Retries = RETRIES) -> list[Welcome]:
    """Every session that a living process has open, the newest first; sockets that nobody answers are passed over."""
    names = await asyncio.to_thread(_sockets, folder)
    found = await asyncio.gather(*(look(path, retries) for path in names))
    return sorted((one for one in found if one is not None), key=lambda one: one.since, reverse=True)


def _sockets(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix == SUFFIX and not path.name.startswith(".")]
    except OSError:
        return []


async def look(path: Path, retries: Retries) -> Welcome | None:
    """What the owner says of the session now; None when it does not answer."""
    try:
        wire = await Wire.connected(path, Look(), retries)
    except NotOpen:
        return None
    try:
        return await wire.greeting(retries)
    except (ConnectionError, TimeoutError, ProtocolError):
        return None
    finally:
        wire.close()


async def connected_again(path: Path, request: Request, retries: Retries) -> Wire | None:
    """A connection, tried for a while; None when nobody answers. A ``Watch`` has been welcomed."""
    clock = asyncio.get_running_loop().time
    until = clock() + retries.for_s
    while True:
        try:
            wire = await Wire.connected(path, request, retries)
            if not isinstance(request, Watch) or await _is_welcome(wire, retries):
                return wire
        except NotOpen:
            pass
        if clock() >= until:
            return None
        await asyncio.sleep(retries.every_s)


async def _is_welcome(wire: Wire, retries: Retries) -> bool:
    try:
        await wire.welcome(retries)
    except (ConnectionError, TimeoutError):
        wire.close()
        return False
    return True
