"""The envelope ``{v, session, seq, at, type, data}``: encode, decode, old versions, JSON Schema.

``seq`` counts stored events of a session from 1; it is null for transient ones. ``at`` is RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, TypeVar, cast, get_args

import msgspec
from msgspec import Raw, Struct

from ml_intern.errors import ProtocolError
from ml_intern.protocol.events import AnyEvent, Event
from ml_intern.protocol.operations import AnyOperation

EventT = TypeVar("EventT", bound=Event)

SCHEMA_VERSION = 1
"""Raised when a stored event changes shape; ``UPGRADES`` then says how to read the older one."""

EVENT_TYPES: dict[str, type[Event]] = {cls.wire: cls for cls in get_args(AnyEvent)}

UPGRADES: dict[tuple[int, str], Any] = {}
"""(old version, wire name) → function from the old ``data`` object to the new one."""


class Envelope(Struct, frozen=True, kw_only=True):
    """An event with its place: which session, which number, when."""

    session: str
    seq: int | None
    at: datetime
    event: AnyEvent


class _Wire(Struct, kw_only=True):
    v: int
    session: str
    seq: int | None
    at: datetime
    type: str
    data: Raw


_encoder = msgspec.json.Encoder()
_wire_decoder = msgspec.json.Decoder(_Wire)
_event_decoders: dict[str, msgspec.json.Decoder[Any]] = {}


@cache
def _operation_decoder() -> msgspec.json.Decoder[AnyOperation]:
    """Made for the first one: it looks through every operation, and most processes read none."""
    return msgspec.json.Decoder(AnyOperation)


def encode_data(event: Event) -> bytes:
    """The event's ``data`` object as JSON."""
    return _encoder.encode(event)


def well_formed(event: EventT) -> EventT:
    """The event with what UTF-8 cannot say (half a surrogate pair: a file name, a careless tool) replaced by U+FFFD."""
    return msgspec.convert(_well_formed(msgspec.to_builtins(event)), type(event))


def _well_formed(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_well_formed(key): _well_formed(item) for key, item in cast("dict[str, Any]", value).items()}
        case list() | tuple():
            return [_well_formed(item) for item in cast("list[Any]", value)]
        case _:
            return value


def decode_data(wire_name: str, data: bytes | memoryview | Raw, version: int = SCHEMA_VERSION) -> AnyEvent:
    """The event of that wire name from its ``data``. Raises ``ProtocolError`` for an unknown name or a wrong shape."""
    if version > SCHEMA_VERSION:
        raise ProtocolError(
            f"This event was written by a newer ml-intern (schema {version}, this one reads up to {SCHEMA_VERSION}).",
            hint="Upgrade ml-intern.",
        )
    try:
        for step in range(version, SCHEMA_VERSION):
            if upgrade := UPGRADES.get((step, wire_name)):
                data = _encoder.encode(upgrade(msgspec.json.decode(data)))
        return _decoder_of(wire_name).decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"A stored '{wire_name}' event does not decode: {error}") from error


def _decoder_of(wire_name: str) -> msgspec.json.Decoder[Any]:
    decoder = _event_decoders.get(wire_name)
    if decoder is None:
        event_type = EVENT_TYPES.get(wire_name)
        if event_type is None:
            raise ProtocolError(f"'{wire_name}' is no event of this protocol.")
        decoder = _event_decoders[wire_name] = msgspec.json.Decoder(event_type)
    return decoder


def encode(envelope: Envelope) -> bytes:
    """One line of JSON, without the newline."""
    return _encoder.encode(
        _Wire(
            v=SCHEMA_VERSION,
            session=envelope.session,
            seq=envelope.seq,
            at=envelope.at,
            type=envelope.event.wire,
            data=Raw(encode_data(envelope.event)),
        )
    )


def decode(line: bytes | str) -> Envelope:
    """The inverse of ``encode``; older schema versions are upgraded. Raises ``ProtocolError``."""
    try:
        wire = _wire_decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"Not an event envelope: {error}") from error
    return Envelope(session=wire.session, seq=wire.seq, at=wire.at, event=decode_data(wire.type, wire.data, wire.v))


def encode_operation(operation: AnyOperation) -> bytes:
    """The operation as a JSON object with its ``type``."""
    return _encoder.encode(operation)


def operation_name(operation: AnyOperation) -> str:
    """Its ``type`` on the wire."""
    return str(operation.__struct_config__.tag)


def decode_operation(data: bytes | str) -> AnyOperation:
    """An operation from JSON. Raises ``ProtocolError`` that says which key is wrong."""
    try:
        return _operation_decoder().decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"Not an operation: {error}") from error


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of every envelope and operation, for other languages to generate types from."""
    ref = "#/$defs/{name}"
    operation_types = get_args(AnyOperation)
    _, definitions = msgspec.json.schema_components([*operation_types, *EVENT_TYPES.values()], ref_template=ref)
    envelopes = [
        {
            "type": "object",
            "properties": {
                "v": {"const": SCHEMA_VERSION},
                "session": {"type": "string"},
                "seq": {"type": "null"} if event_type.transient else {"type": ["integer", "null"]},
                "at": {"type": "string", "format": "date-time"},
                "type": {"const": wire},
                "data": {"$ref": ref.format(name=event_type.__name__)},
            },
            "required": ["v", "session", "seq", "at", "type", "data"],
        }
        for wire, event_type in sorted(EVENT_TYPES.items())
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ml-intern protocol",
        "$defs": {
            **definitions,
            "Envelope": {"oneOf": envelopes},
            "Operation": {"oneOf": [{"$ref": ref.format(name=cls.__name__)} for cls in operation_types]},
        },
    }
