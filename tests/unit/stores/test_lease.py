"""When an owner counts as dead."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ml_intern.stores.lease import EXPIRY, Lease, Owner, current_owner, is_alive, process_started

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
HERE = current_owner()

pytestmark = pytest.mark.skipif(not HERE.started, reason="needs /proc")


def lease(owner: Owner, beat_at: datetime = LONG_AGO) -> Lease:
    return Lease(owner, LONG_AGO, beat_at)


def test_a_process_that_runs_here_is_alive_however_long_it_was_silent() -> None:
    other = msgspec.structs.replace(HERE, instance="another store of this process")
    assert is_alive(lease(other), HERE, NOW), "a laptop that slept has not lost its sessions"


def test_a_process_that_was_killed_is_dead_at_once() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = msgspec.structs.replace(HERE, pid=child.pid, started=process_started(child.pid) or "", instance="x")
    assert is_alive(lease(owner, NOW), HERE, NOW)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie until somebody waits for it
    assert not is_alive(lease(owner, NOW), HERE, NOW)
    child.communicate()
    assert not is_alive(lease(owner, NOW), HERE, NOW)


def test_a_reused_process_id_is_not_mistaken() -> None:
    earlier = msgspec.structs.replace(HERE, started="1", instance="x")
    assert not is_alive(lease(earlier, NOW), HERE, NOW)


def test_nobody_survives_a_restart_of_the_machine() -> None:
    earlier = msgspec.structs.replace(HERE, boot_id="another boot", instance="x")
    assert not is_alive(lease(earlier, NOW), HERE, NOW)


@pytest.mark.parametrize("change", [{"host": "far-away", "boot_id": "b"}, {"pid_namespace": "pid:[1]"}, {"boot_id": ""}])
def test_who_cannot_be_looked_at_is_believed_while_it_renews_its_lease(change: dict[str, str]) -> None:
    owner = msgspec.structs.replace(HERE, pid=2**22 + 1, instance="x", **change)
    assert is_alive(lease(owner, NOW - EXPIRY), HERE, NOW)
    assert not is_alive(lease(owner, NOW - EXPIRY - timedelta(seconds=1)), HERE, NOW)


def test_without_start_times_a_missing_process_is_dead_and_a_running_one_must_renew() -> None:
    here = msgspec.structs.replace(HERE, started="", boot_id="", pid_namespace="")
    running = msgspec.structs.replace(here, instance="x")
    assert is_alive(lease(running, NOW), here, NOW)
    assert not is_alive(lease(running, LONG_AGO), here, NOW)
    missing = msgspec.structs.replace(here, pid=2**22 + 1, instance="x")
    assert not is_alive(lease(missing, NOW), here, NOW)


def test_a_name_with_parentheses_does_not_confuse_the_start_time() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "open('/proc/self/comm', 'w').write(') 1 2 ('); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    started = process_started(child.pid)
    assert started is not None
    assert started.isdigit()
    assert int(started) >= int(HERE.started)
    child.communicate(b"\n")


def test_no_process_has_no_start_time() -> None:
    assert process_started(2**22 + 1) is None


def test_the_description_says_who_where_and_since_when() -> None:
    said = Lease(Owner(host="box", pid=42, instance="x"), NOW, NOW).describe()
    assert said.startswith("process 42 on box since 2026-01-0")
