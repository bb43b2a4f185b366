"""The task of a headless run: the prompt argument, standard input, or the prompt with standard input behind it."""

from __future__ import annotations

import select
import sys
from typing import BinaryIO

from ml_intern.errors import ConfigError

MAX_STDIN_BYTES = 10_000_000
FROM_STDIN = "-"
FIRST_BYTE_WAIT_S = 3.0
STRAY_BYTES = 8
UNREADABLE_SHARE = 0.25
"""Text in another encoding stays below it where its letters are mostly ASCII; random bytes are far above."""


class NoTask(Exception):
    """There is no prompt, and standard input is a keyboard."""


def task_text(prompt: str | None, *, stdin: BinaryIO | None = None, wait_s: float = FIRST_BYTE_WAIT_S) -> str:
    """The words for the model. Raises ``NoTask``, and ``ConfigError`` when there are none.

    With a prompt, input that does not begin within ``wait_s`` is done without: many programs start others with a pipe that
    nobody ever writes to. ``-`` waits as long as it takes.
    """
    stream = sys.stdin.buffer if stdin is None and sys.stdin is not None else stdin  # pyright: ignore[reportUnnecessaryComparison]
    if stream is None or stream.isatty():
        if prompt is None:
            raise NoTask
        return _not_empty(prompt)
    if prompt is None or prompt == FROM_STDIN:
        return _not_empty(_read(stream))
    _not_empty(prompt)
    if not _begins_within(stream, wait_s):
        print(f"Nothing came on standard input for {wait_s:g} s; going on without it.", file=sys.stderr)
        return prompt
    extra = _read(stream)
    return f"{prompt}\n\n<stdin>\n{extra.rstrip()}\n</stdin>" if extra.strip() else prompt


def _read(stream: BinaryIO) -> str:
    data = stream.read(MAX_STDIN_BYTES + 1)
    if len(data) > MAX_STDIN_BYTES:
        raise ConfigError(
            f"Standard input is longer than {MAX_STDIN_BYTES:,} bytes.", hint="Save it to a file and name the file in the prompt."
        )
    text = data.decode("utf-8", errors="replace")
    unread = text.count("\ufffd")
    if b"\0" in data or (unread > STRAY_BYTES and unread > len(text) * UNREADABLE_SHARE):
        raise ConfigError("Standard input is binary, no UTF-8 text.", hint="Save it to a file and name the file in the prompt instead.")
    return text


def _begins_within(stream: BinaryIO, wait_s: float) -> bool:
    try:
        ready, _, _ = select.select([stream], [], [], wait_s)
    except (OSError, ValueError):
        return True  # no file descriptor that can be waited for: reading will tell
    return bool(ready)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ConfigError("The prompt is empty.", hint='Say what to do: ml-intern "…".')
    return text
