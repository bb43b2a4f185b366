"""A local job's folder: what was asked for, how it is, its log. Whoever can read the folder knows the job; secrets are never in it.

::

    <id>/request.json   written once, before the job starts          <id>/cancel   made by who wants it stopped
         status.json    replaced whole at each change                <id>/work/    the script; the job may write here
         output.log     what it printed                              <id>/scratch/ what it sees as /tmp in the sandbox

The job itself can touch ``work`` only: the rest lies among our own files, which the sandbox hides from commands.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from ml_intern.compute.job_backends import LOCAL_PREFIX
from ml_intern.compute.jobs import Stage
from ml_intern.compute.process_tree import ProcessName, is_alive, kill_all, marked
from ml_intern.config.paths import make_private
from ml_intern.config.private_file import replace_private

_T = TypeVar("_T")

KEPT_JOBS = 100
KEPT_DAYS = 30
START_S = 60.0
"""Nobody needs longer to start a supervisor: one that is not there by then will never be."""
UNSEEN_S = 600.0
"""A supervisor in another container, which cannot be asked, is given up so long after its job's time was over."""
MAX_LOG_BYTES = 32 * 1024 * 1024
_BLOCK = 64 * 1024


class JobRecord(Struct, frozen=True, kw_only=True):
    """``request.json``. ``env`` is without secrets."""

    id: str
    command: tuple[str, ...]
    created_at: datetime
    timeout_s: int
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: str = ""
    confined: bool = False


class JobStatus(Struct, frozen=True, kw_only=True):
    """``status.json``. ``supervisor`` is missing until there is one."""

    stage: Stage = Stage.SCHEDULING
    message: str = ""
    supervisor: ProcessName | None = None
    group: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    peak_memory_bytes: int = 0


class JobFolder:
    """All methods touch the disk: call them from a thread. They raise ``OSError``; what cannot be read is no job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / "work"
        self.scratch = path / "scratch"
        self.log = path / "output.log"
        self._status = path / "status.json"
        self._request = path / "request.json"

    @property
    def id(self) -> str:
        """The job's id."""
        return self.path.name

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, record: JobRecord, script_name: str, script: str) -> None:
        """Everything that has to be there before the supervisor starts."""
        make_private(self.path)
        self.work.mkdir(mode=0o700)
        if script_name:
            (self.work / script_name).write_bytes(script.encode("utf-8", "surrogatepass"))
        os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT, 0o600))
        self.put(JobStatus())
        replace_private(self._request, msgspec.json.encode(record))  # last: with it the job exists

    def put(self, status: JobStatus) -> None:
        """The status from now on. Readers see the old one or the new one."""
        replace_private(self._status, msgspec.json.encode(status))

    def ask_to_stop(self) -> None:
        """The supervisor looks for this a few times in a second."""
        (self.path / "cancel").touch(mode=0o600)

    def give_up(self, message: str) -> None:
        """It did not start. Should its supervisor come late, it is told to stop."""
        with contextlib.suppress(OSError):
            self.ask_to_stop()
            self.put(JobStatus(stage=Stage.ERROR, message=message, finished_at=datetime.now(UTC)))

    def is_asked_to_stop(self) -> bool:
        """Whether somebody did."""
        return (self.path / "cancel").exists()

    def clean(self) -> None:
        """After the end: temporary files go, the script and what it left beside itself stay."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def record(self) -> JobRecord | None:
        """None when this is no job of ours (or one that is being made)."""
        return _decoded(self._request, JobRecord)

    def status(self) -> JobStatus:
        """As it is written."""
        return _decoded(self._status, JobStatus) or JobStatus(stage=Stage.ERROR, message="Its status cannot be read.")

    def current(self, record: JobRecord) -> JobStatus:
        """As it is: a job whose supervisor is gone without a last word is over, and what it left running is ended."""
        status = self.status()
        if status.stage.is_over or _is_looked_after(record, status):
            return status
        status = self.status()  # it may have written its last word, and ended, between the two looks
        if status.stage.is_over or (status.supervisor is not None and is_alive(status.supervisor)):
            return status
        return self._lost(record, status)

    def _lost(self, record: JobRecord, status: JobStatus) -> JobStatus:
        kill_all(marked(record.id))
        message = "supervisor lost: the process that looked after this job was killed, or the machine was restarted"
        if status.supervisor is None:
            message = "supervisor lost: it never started"
        last_sign = datetime.fromtimestamp(self.log.stat().st_mtime, UTC)
        lost = msgspec.structs.replace(status, stage=Stage.ERROR, message=message, finished_at=last_sign)
        self.put(lost)
        self.clean()
        return lost

    def read_log(self, start: int, size: int = 4 * _BLOCK) -> bytes:
        """What is there from byte ``start`` on, at most ``size``."""
        with self.log.open("rb") as file:
            file.seek(start)
            return file.read(size)

    def log_size(self) -> int:
        """In bytes."""
        return os.stat(self.log).st_size

    def tail_start(self, lines: int) -> int:
        """Where the last ``lines`` lines begin. A last line without its end counts."""
        with self.log.open("rb") as file:
            end = position = file.seek(0, os.SEEK_END)
            if end == 0 or lines <= 0:
                return end
            file.seek(end - 1)
            wanted = lines + (file.read(1) == b"\n")
            while position > 0:
                start = max(0, position - _BLOCK)
                file.seek(start)
                block = file.read(position - start)
                if (count := block.count(b"\n")) >= wanted:
                    return start + _nth_last(block, wanted) + 1
                wanted -= count
                position = start
        return 0


def open_folder(jobs: Path, job_id: str) -> tuple[JobFolder, JobRecord] | None:
    """The job of that id. None: there is none."""
    if not re.fullmatch(re.escape(LOCAL_PREFIX) + r"[a-z0-9-]+", job_id):
        return None
    folder = JobFolder(jobs / job_id)
    record = folder.record()
    return (folder, record) if record is not None else None


def all_folders(jobs: Path) -> list[tuple[JobFolder, JobRecord]]:
    """All jobs that are known, the newest first."""
    try:
        names = [entry.name for entry in os.scandir(jobs)]
    except FileNotFoundError:
        return []
    found = [job for name in names if (job := open_folder(jobs, name)) is not None]
    return sorted(found, key=lambda job: job[1].created_at, reverse=True)


def prune(jobs: Path, now: datetime) -> None:
    """Forget what is over and old, or older than the newest hundred."""
    for number, (folder, record) in enumerate(all_folders(jobs)):
        is_old = number >= KEPT_JOBS or now - record.created_at > timedelta(days=KEPT_DAYS)
        if is_old and folder.current(record).stage.is_over:
            shutil.rmtree(folder.path, ignore_errors=True)


def _is_looked_after(record: JobRecord, status: JobStatus) -> bool:
    age_s = (datetime.now(UTC) - record.created_at).total_seconds()
    if status.supervisor is None:
        return age_s < START_S
    alive = is_alive(status.supervisor)
    return age_s < record.timeout_s + UNSEEN_S if alive is None else alive


def _nth_last(block: bytes, count: int) -> int:
    position = len(block)
    for _ in range(count):
        position = block.rindex(b"\n", 0, position)
    return position


def _decoded(path: Path, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
