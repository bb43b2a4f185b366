"""Server-sent events, read from bytes: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.

Only ``data`` matters to our wires (both repeat the event's name inside it). This is the hot path of every streamed token:
whole network reads go in, and all events that they complete come out.
"""

from __future__ import annotations

from ml_intern.errors import NonsenseReply

MAX_EVENT_BYTES = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class SseParser:
    """Feed it reads of any size; it returns the ``data`` of each event that is complete."""

    __slots__ = ("_at_start", "_data", "_held", "_held_bytes")

    def __init__(self) -> None:
        self._held: list[bytes] = []  # an unfinished line, in pieces: joining them at each read would be quadratic
        self._held_bytes = 0
        self._data: list[bytes] = []
        self._at_start = True

    def feed(self, read: bytes) -> list[bytes]:
        """The events that this read completes. Raises ``NonsenseReply`` when one event outgrows ``MAX_EVENT_BYTES``."""
        if self._at_start and read:
            self._at_start = False
            read = read.removeprefix(_BOM)
        if b"\n" not in read and b"\r" not in read:
            self._hold(read)
            return []
        if self._held:
            read = b"".join((*self._held, read))
            self._held.clear()
            self._held_bytes = 0
        if b"\r" in read:
            # A read may end between the two halves of "\r\n": the "\r" waits for what follows.
            read, carriage = (read[:-1], b"\r") if read.endswith(b"\r") else (read, b"")
            read = read.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            carriage = b""
        lines = read.split(b"\n")
        if rest := lines.pop() + carriage:
            self._hold(rest)
        return self._events(lines)

    def finish(self) -> list[bytes]:
        """The last event, when the server closed without the blank line that ends it."""
        lines = b"".join(self._held).rstrip(b"\r").split(b"\r") if self._held else []
        self._held.clear()
        return self._events([*lines, b""])

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
            elif line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        if data and sum(map(len, data)) > MAX_EVENT_BYTES:
            raise _too_long()
        return events

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > MAX_EVENT_BYTES:
            raise _too_long()


def _too_long() -> NonsenseReply:
    return NonsenseReply(f"The server sent one event of more than {MAX_EVENT_BYTES // 2**20} MiB.")
