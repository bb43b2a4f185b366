"""Output that cannot be written any more: a pipe whose reader went away, or a disk that is full."""

from __future__ import annotations

import errno
import os
import sys

FAILED, PIPE_CLOSED = 1, 141
FULL_OR_BROKEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def is_output_lost(error: OSError) -> bool:
    """Whether a write failed for want of room, or the device did. Opening a file names it; writing to a stream does not."""
    return error.filename is None and error.errno in FULL_OR_BROKEN


def output_lost(error: OSError) -> int:
    """The exit code; what is left unwritten is dropped, so that the interpreter says nothing when it flushes at its end.

    A reader that went away (``| head``) is no reason to complain; anything else is said.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return PIPE_CLOSED
    print(f"ml-intern: The output cannot be written: {error.strerror}.", file=sys.stderr)
    return FAILED
