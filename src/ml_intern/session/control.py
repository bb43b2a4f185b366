"""How a second process talks with the one that owns a session: frames over a unix socket, one folder, one socket for each session.

A connection begins with one request and serves only that: ``Watch`` is answered by ``Welcome``, then event envelopes
(``protocol/codec``) until ``Closed`` or the end of the connection; ``Look`` by ``Welcome`` alone; ``Tell`` by ``Taken`` or
``Refused``. On the wire a frame is its length in bytes as a decimal number, a line break, that many bytes of JSON, a line break.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from ml_intern.errors import ProtocolError
from ml_intern.protocol.codec import SCHEMA_VERSION, Envelope, decode

FOLDER = "live"
"""Below the state folder."""
SUFFIX = ".sock"
NAME_CHARS = 16
"""Of the session's id; ``Welcome`` has all of it."""
LONGEST_ADDRESS = 100
"""Bytes of a path that every system takes as the address of a socket (macOS: 103, Linux: 107)."""
OPERATION_LIMIT_BYTES = 32 * 1024 * 1024
"""A message with pictures."""
EVENT_LIMIT_BYTES = 256 * 1024 * 1024


Kind: TypeAlias = Literal["app", "headless", "library"]
"""What the owner of a session is: somebody sits before it, nobody does, or a program has it."""


class Frame(Struct, frozen=True, forbid_unknown_fields=True, tag_field="control"):
    """The base of what is not an event."""


class Watch(Frame, frozen=True, tag="watch"):
    """Send the events after ``after_seq`` (None: only what happens from now on), ``transient`` ones too."""

    after_seq: int | None
    transient: bool = True


class Look(Frame, frozen=True, tag="look"):
    """Say who you are."""


class Tell(Frame, frozen=True, tag="tell"):
    """Take an operation (``protocol/operations``). ``sender``: who sends it, for people; what the operation itself says of that
    is not believed.
    """

    operation: Raw
    sender: str = ""


class Welcome(Frame, frozen=True, tag="welcome", forbid_unknown_fields=False):
    """Who owns which session, and how far it is. ``context_window`` as in ``SessionHost``. What a newer owner says besides is passed
    over: its version must be understood, to be told.
    """

    session: str
    last_seq: int
    pid: int
    host: str
    cwd: str
    title: str
    busy: bool
    since: datetime
    context_window: int | None = None
    kind: str = ""
    """``Kind``; empty from an owner that is older than this field."""
    v: int = SCHEMA_VERSION
    version: str = ""
    """Of its ml-intern; empty from an owner that is older than this field."""

    @property
    def owner(self) -> str:
        """Such as ``process 4242 (headless) since 03:12``."""
        kind = f" ({self.kind})" if self.kind else ""
        return f"process {self.pid}{kind} since {self.since.astimezone():%H:%M}"


class Taken(Frame, frozen=True, tag="taken"):
    """The operation was handed to the session: events tell what came of it."""


class Refused(Frame, frozen=True, tag="refused"):
    """It was not. ``kind`` is the class of the error."""

    error: str
    hint: str = ""
    kind: str = ""


class Closed(Frame, frozen=True, tag="closed"):
    """The session was closed there: no more events."""


Request: TypeAlias = Watch | Look | Tell
Answer: TypeAlias = Welcome | Taken | Refused | Closed

_PREFIX = b'{"control":'
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_encoder = msgspec.json.Encoder()


def frame(body: bytes) -> bytes:
    """The bytes on the wire."""
    return b"%d\n%s\n" % (len(body), body)


def encode_frame(of: Request | Answer) -> bytes:
    """The bytes on the wire."""
    return frame(_encoder.encode(of))


async def read_frame(reader: asyncio.StreamReader, limit_bytes: int) -> bytes:
    """The JSON of the next frame; empty at the end. Raises ``ProtocolError`` for what is no frame or a longer one, or
    ``ConnectionError`` when the other side goes in the middle of one.
    """
    try:
        head = await reader.readline()
        if not head:
            return b""
        length = int(head)
        if not 0 < length <= limit_bytes:
            raise ProtocolError(f"A frame of {length} bytes came in; at most {limit_bytes} are taken.")
        return (await reader.readexactly(length + 1))[:-1]
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("The connection ended in the middle of a frame.") from error
    except ValueError as error:
        raise ProtocolError("What came in is not a frame of the control protocol.") from error


def decode_request(body: bytes) -> Request:
    """Raises ``ProtocolError``."""
    try:
        return _requests.decode(body)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"Not a request of the control protocol: {error}") from error


def decode_answer(body: bytes) -> Answer | Envelope:
    """A frame, or an event. Raises ``ProtocolError``."""
    if not body.startswith(_PREFIX):
        return decode(body)
    try:
        return _answers.decode(body)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"Not an answer of the control protocol: {error}") from error


def socket_path(folder: Path, session_id: str) -> Path:
    """Where the owner of the session listens."""
    return folder / f"{session_id[:NAME_CHARS]}{SUFFIX}"


@contextmanager
def address_of(path: Path) -> Generator[str]:
    """The path as an address of a socket: through the open folder where it is longer than an address may be (Linux)."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
