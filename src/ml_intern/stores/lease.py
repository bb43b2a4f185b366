"""Who owns a session: one process at a time, and a process that is gone owns nothing.

An owner on this machine is dead when no process has its id, or one that started at another time has it: a ``kill -9`` is seen
at once and a reused process id is not mistaken. Where that cannot be asked (another host, another container) the owner is
believed as long as it renews its lease.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from ml_intern.errors import SessionBusy
from ml_intern.protocol.session_ids import short_id

HEARTBEAT_S = 10.0
"""How often a lease is renewed."""
EXPIRY = timedelta(seconds=30)
"""How long an owner that cannot be looked at is believed after its last sign of life."""


class Owner(Struct, frozen=True, kw_only=True):
    """A process, told apart from every other one. Empty fields are what the system does not tell.

    ``started`` is the start time in clock ticks since boot and ``boot_id`` the boot it counts from (proc(5), random(4));
    ``pid_namespace`` says which processes ``pid`` is a number among; ``instance`` is the one store object in the process.
    """

    host: str
    pid: int
    started: str = ""
    boot_id: str = ""
    pid_namespace: str = ""
    instance: str


class Lease(Struct, frozen=True):
    """An owner, the time since when it owns, and its last sign of life."""

    owner: Owner
    since: datetime
    beat_at: datetime

    def describe(self) -> str:
        """Such as ``process 4242 on my-laptop since 2026-11-21 03:12``."""
        return f"process {self.owner.pid} on {self.owner.host} since {self.since.astimezone():%Y-%m-%d %H:%M}"


def current_owner() -> Owner:
    """This process. A new ``instance`` with every call."""
    pid = os.getpid()
    return Owner(
        host=os.uname().nodename,
        pid=pid,
        started=process_started(pid) or "",
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        pid_namespace=_link("/proc/self/ns/pid"),
        instance=os.urandom(8).hex(),
    )


def is_alive(lease: Lease, here: Owner, now: datetime) -> bool:
    """Whether the lease still holds, as seen by the process ``here``."""
    owner = lease.owner
    if owner.host == here.host and owner.boot_id != here.boot_id and owner.boot_id and here.boot_id:
        return False  # the machine was restarted since
    believed = now - lease.beat_at <= EXPIRY
    if (owner.host, owner.boot_id, owner.pid_namespace) != (here.host, here.boot_id, here.pid_namespace):
        return believed
    if owner.started:
        return process_started(owner.pid) == owner.started
    return _pid_exists(owner.pid) and believed


def process_started(pid: int) -> str | None:
    """When the process started, in ticks since boot; None when there is none, when it is a zombie, or without ``/proc``."""
    # the name in parentheses may itself hold spaces and parentheses, so the fields are counted from the last one
    _, _, rest = _read(f"/proc/{pid}/stat").rpartition(")")
    fields = rest.split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    return fields[19]


def busy(session_id: str, lease: Lease, here: Owner) -> SessionBusy:
    """What a second process is told."""
    short = short_id(session_id)
    if lease.owner == here:
        return SessionBusy(f"This process works on session {short} itself.", hint="Leave the session first.")
    return SessionBusy(
        f"Session {short} is in use by {lease.describe()}.",
        hint=f"Leave it there first, join it (ml-intern attach {short}), or watch it read-only (ml-intern sessions show {short} --follow).",
        session_id=session_id,
    )


def not_owned(session_id: str) -> SessionBusy:
    """An append without a lease."""
    return SessionBusy(
        f"Session {short_id(session_id)} is not owned by this process any more, so nothing was written.",
        hint="Resume it to go on.",
    )


def seq_taken(session_id: str, seq: int, last_seq: int) -> SessionBusy:
    """An append behind the end of the log: somebody else has written meanwhile."""
    return SessionBusy(
        f"Session {short_id(session_id)} already has {last_seq} events, so number {seq} cannot be written.",
        hint="Another process wrote to it; resume it to go on from there.",
    )


def _pid_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it exists and belongs to somebody else
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
