"""What every wire must do to a message of the history before it can be sent again, to this model or to another."""

from __future__ import annotations

import re
import zlib

import msgspec

from ml_intern.protocol.messages import JsonObject

BLIND_NOTE = "[image left out: this model does not see images]"
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME = 64
_MAX_ID = 40
_object = msgspec.json.Decoder(JsonObject)


def object_text(arguments: str) -> str:
    """The arguments of a call as the text of a JSON object.

    A model may have written something else. Servers that parse the history would refuse the whole conversation for it
    ever after, so that it is shown to the model as one member of an object.
    """
    text = arguments.strip()
    if not text:
        return "{}"
    try:
        _object.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return msgspec.json.encode({"malformed_arguments": text.encode("utf-8", "replace").decode()}).decode()
    return text


def safe_name(name: str) -> str:
    """A tool name that every provider accepts: a model may have invented one that none does."""
    return _NOT_IN_NAME.sub("_", name)[:_MAX_NAME] or "unknown"


def safe_id(call_id: str) -> str:
    """A call id that every provider accepts; the same for the call and its answer, and different for different ids."""
    if len(call_id) <= _MAX_ID and call_id and not _NOT_IN_NAME.search(call_id):
        return call_id
    digest = zlib.crc32(call_id.encode("utf-8", "replace"))
    return f"{_NOT_IN_NAME.sub('_', call_id)[: _MAX_ID - 9]}_{digest:08x}"
