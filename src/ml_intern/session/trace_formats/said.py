"""What the formats share: whose words an event holds, pictures as words, arguments as objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from ml_intern.protocol.codec import Envelope
from ml_intern.protocol.messages import Image, JsonObject, Thinking

LEFT_OUT = "[image left out of the trace"


class TraceFormat(Protocol):
    """Fed every stored event in order, it gives the lines that each adds, with their line break.

    What it has given is never changed by what comes later: a trace of more events begins with the trace of fewer.
    """

    def feed(self, envelope: Envelope) -> list[bytes]:
        """The lines of this event, often none."""
        ...


def with_images(text: str, images: Iterable[Image]) -> str:
    """Pictures are left out of every trace: nobody can look for a secret in one. A line says that there was one."""
    notes = [f"{LEFT_OUT}: {image.media_type}, {len(image.data) * 3 // 4:,} bytes]" for image in images]
    return "\n".join([*([text] if text else []), *notes])


def thinking_text(thinking: Iterable[Thinking]) -> str:
    """The reasoning that can be read; what a provider sealed stays out."""
    return "\n\n".join(part.text for part in thinking if part.text.strip())


def arguments_object(text: str) -> JsonObject:
    """A call's arguments as an object; what is none stands whole under ``_raw``."""
    try:
        return msgspec.json.decode(text or "{}", type=JsonObject)
    except (msgspec.MsgspecError, UnicodeError):
        return {"_raw": text}


def summary_note(summary: str) -> str:
    """What a compaction put in the place of older messages, which a trace keeps."""
    return f"[The messages above were summarised for the model; the trace keeps them.]\n\n{summary}"
