"""What is said about jobs: logs without uv's chatter, tables, one job as JSON, money and time in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from ml_intern.compute.hf_script import is_carrier, shown
from ml_intern.compute.jobs import Hardware, HardwareList, JobInfo, Stage
from ml_intern.protocol.amounts import counted, usd
from ml_intern.protocol.display import Table
from ml_intern.tools.bash.plain_text import plain

PAGE_LINES = 400
PAGE_CHARS = 20_000
TAIL_LINES = 200
TAIL_CHARS = 10_000
LIST_ROWS = 50
_LONGEST_LINE = 2000
_INSTALLED = re.compile(r"\s*Installed \d+ packages? in \S+")
_CHATTER = re.compile(
    r"\s*(?:Reading inline script|Resolved \d|Prepared \d|Downloading |Downloaded |Building |Built |Installed \d|Uninstalled \d"
    r"|Audited \d|Updating |Updated |Using C?Python|Using Python|Creating virtual|Installing |warning: Failed to hardlink"
    r"|[+~-] [A-Za-z0-9_.-]+==)"
)


def clean(line: str) -> str:
    """One line of a log as plain text, without colours and the states that a progress bar went through."""
    text = plain(line.rstrip("\r\n")).replace("\n", " ")
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}… [{len(text) - _LONGEST_LINE:,} more characters]"


def fold(lines: Sequence[str]) -> list[str]:
    """Uv's setting up, up to ``Installed N packages``, as one line. What the job itself wrote stays."""
    last = next((index for index, line in enumerate(lines) if _INSTALLED.match(line)), None)
    if last is None:
        return list(lines)
    chatter = [line for line in lines[: last + 1] if _CHATTER.match(line)]
    kept = [line for line in lines[:last] if not _CHATTER.match(line)]
    rest = list(lines[last + 1 :])
    while rest and re.match(r"\s*[+~-] [A-Za-z0-9_.-]+==", rest[0]):
        chatter.append(rest.pop(0))
    return [*kept, f"[{counted(len(chatter), 'line')} of uv: {lines[last].strip()}]", *rest]


def last_lines(lines: Sequence[str], limit: int = TAIL_LINES, chars: int = TAIL_CHARS) -> list[str]:
    """As many of the last lines as fit."""
    kept: list[str] = []
    size = 0
    for line in reversed(lines[-limit:]):
        size += len(line) + 1
        if size > chars and kept:
            break
        kept.append(line)
    return kept[::-1]


def log_page(job_id: str, lines: Sequence[str], offset: int) -> str:
    """Lines ``offset`` (from 1) and following, and how to get the rest."""
    kept: list[str] = []
    size = 0
    for line in map(clean, lines[offset - 1 : offset - 1 + PAGE_LINES]):
        size += len(line) + 1
        if size > PAGE_CHARS and kept:
            break
        kept.append(line)
    if not kept:
        return f"The log of {job_id} has {counted(len(lines), 'line')} so far; there is no line {offset:,}."
    end = offset + len(kept) - 1
    more = f" More: offset={end + 1}." if end < len(lines) else ""
    return f"Lines {offset:,}-{end:,} of {len(lines):,} of {job_id}.{more}\n" + "\n".join(kept)


def log_tail(job_id: str, lines: Sequence[str], total: int | None = None) -> str:
    """The end of a log, folded. ``total`` None: nobody counted."""
    folded = fold([clean(line) for line in lines])
    kept = last_lines(folded)
    if not kept:
        return "The log is empty."
    if total is not None and len(kept) == len(folded) and len(lines) == total:
        return "Log:\n" + "\n".join(kept)
    of = f" of {total:,}" if total is not None else ""
    return f"Log, the last {len(kept)}{of} lines (from the start: logs job_id={job_id} offset=1):\n" + "\n".join(kept)


def price(hardware: Hardware | None) -> str:
    """``$4.00/h``, or that nobody knows."""
    if hardware is None or hardware.usd_per_hour is None:
        return "price unknown"
    return f"{usd(hardware.usd_per_hour)}/h"


def flavours(listed: HardwareList) -> str:
    """All of them in a line each."""
    lines = [
        f"{item.name}: {', '.join(part for part in (item.accelerator, item.cpu, item.ram, price(item)) if part)}" for item in listed.items
    ]
    dated = "" if listed.as_of == "live" else f"\n(The built-in list of {listed.as_of}: the service did not answer.)"
    return "\n".join(lines) + dated


def moment(at: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at is not None else ""


def job_table(title: str, jobs: Iterable[JobInfo], own: Iterable[str] = ()) -> Table:
    """One row per job; a star marks those of this session."""
    mine = set(own)
    rows = tuple(
        (
            f"{job.id}{' *' if job.id in mine else ''}",
            job.stage.value,
            job.flavor,
            job.image[:40],
            shorter(shown(job.command), 60),
            moment(job.created_at),
        )
        for job in jobs
    )
    return Table(title, ("id", "status", "hardware", "image", "command", "created (UTC)"), rows)


def as_text(table: Table) -> str:
    """A Markdown table."""
    cell = [[text.replace("|", "\\|").replace("\n", " ") for text in row] for row in (table.columns, *table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in cell]
    lines.insert(1, f"|{'---|' * len(table.columns)}")
    return "\n".join(lines)


def shorter(text: str, limit: int) -> str:
    """Cut to ``limit`` characters, with a mark."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def job_json(job: JobInfo) -> str:
    """One job for the model: names of its variables, never values of secrets, and not what carries its script."""
    told = {
        "id": job.id,
        "status": {"stage": job.stage.value, "message": shorter(job.message, 1000)},
        "namespace": job.namespace,
        "hardware_flavor": job.flavor,
        "image": job.image,
        "command": shorter(shown(job.command), 1000),
        "env": sorted(name for name in job.env if not is_carrier(name)),
        "labels": {name: shorter(value, 100) for name, value in list(job.labels.items())[:20]},
        "created_at": moment(job.created_at),
        "started_at": moment(job.started_at),
        "finished_at": moment(job.finished_at),
        "url": job.url,
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def stage_named(text: str) -> Stage | None:
    """The stage of that name, in any case and in either spelling of cancelled."""
    name = {"CANCELLED": "CANCELED", "FAILED": "ERROR"}.get(text.strip().upper(), text.strip().upper())
    return next((stage for stage in Stage if stage.value == name), None)
