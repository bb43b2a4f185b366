"""``python -m bench [--quick] [--json [FILE]] [--only NAME]``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import docs, jobs, local_jobs, long_session, measure, snapshots, terminal, tools
from bench.figures import Figure, as_json, as_table, attempted
from bench.programs import Place, place


@dataclass(frozen=True)
class Effort:
    """How long we look. ``steps`` is the late step that is compared with step 5."""

    short: int
    starts: int
    sessions: int
    steps: int
    session_steps: int
    chunks: int
    appends: int
    events: int
    doc_pages: int
    job_steps: int


FULL = Effort(
    short=25,
    starts=15,
    sessions=5,
    steps=250,
    session_steps=200,
    chunks=100_000,
    appends=2_000,
    events=10_000,
    job_steps=100,
    doc_pages=5_000,
)
QUICK = Effort(
    short=7, starts=3, sessions=1, steps=100, session_steps=50, chunks=20_000, appends=300, events=10_000, job_steps=30, doc_pages=5_000
)


def parts(effort: Effort) -> dict[str, Callable[[Place], list[Figure]]]:
    """The groups of figures, in the order of the table."""
    return {
        "cli": lambda at: measure.command_line(at, effort.short),
        "start": lambda at: measure.first_request(at, effort.starts),
        "mcp": lambda at: measure.dead_mcp_server(at, effort.starts),
        "steps": lambda at: measure.steps(at, effort.sessions, effort.steps),
        "session": lambda at: measure.session_cost(at, effort.sessions, effort.session_steps),
        "stream": lambda at: measure.streaming(at, effort.sessions, effort.chunks),
        "tools": lambda at: tools.tools(at, effort.appends),
        "jobs": lambda at: jobs.followed(effort.job_steps),
        "local-jobs": lambda at: local_jobs.local(effort.short),
        "store": lambda at: measure.store(at, effort.appends, effort.events),
        "app": lambda at: terminal.figures(at, effort.starts),
        "app-long": long_session.figures,
        "snapshots": lambda at: snapshots.snapshots(effort.short),
        "docs": lambda at: docs.documentation(at, effort.doc_pages),
    }


def main() -> int:
    options = _options()
    effort = QUICK if options.quick else FULL
    figures: list[Figure] = []
    with place() as at:
        for name, group in parts(effort).items():
            if not options.only or name in options.only:
                print(f"measuring: {name} …", file=sys.stderr, flush=True)
                figures += attempted(name, partial(group, at))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if options.json:
        text = json.dumps({"machine": machine, "quick": options.quick, "figures": as_json(figures)}, indent=1)
        if options.json == "-":
            print(text)
            return 0
        Path(options.json).write_text(text + "\n")
    print(f"\n{machine}{' (quick)' if options.quick else ''}. Medians; floor: a bare Python + httpx2 loop that keeps encoded messages.\n")
    print(as_table(figures))
    missed = [figure.name.strip() for figure in figures if figure.met is False]
    print(f"\n{len(missed)} target(s) not met" if missed else "\nall targets met")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What ml-intern costs, beside two floors.")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and shorter sessions: the noise is larger")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write every sample as JSON (to stdout without FILE)")
    parser.add_argument("--only", action="append", choices=list(parts(FULL)), help="measure this group only (may be repeated)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
