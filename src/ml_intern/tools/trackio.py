"""``trackio_runs``: what training runs logged and what they warned of, on this machine or on a dashboard of the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ml_intern.compute.base import Workspace
from ml_intern.errors import ToolError
from ml_intern.gateways.hub.trackio_space import TrackioSpaces
from ml_intern.gateways.trackio_files import TrackioFolder
from ml_intern.gateways.trackio_store import Run, TrackioStore
from ml_intern.models.base import ToolSchema
from ml_intern.protocol.amounts import counted
from ml_intern.tools.base import Effect, PermissionSubject, Risk, Tool, ToolArgs, ToolContext, ToolOutput, inline_schema
from ml_intern.tools.files.place import target
from ml_intern.tools.jobs.arguments import without_empty_defaults
from ml_intern.tools.past_end import past_offset
from ml_intern.tools.trackio_text import alert_lines, chosen, metric_lines, run_lines

RUNS = 20
METRICS = 30
ALERTS = 50
PROJECTS = 200


class TrackioRunsArgs(ToolArgs, frozen=True):
    operation: Literal["projects", "runs", "metrics", "alerts"] = "projects"
    space_id: Annotated[str, Meta(description="Else this machine.")] = ""
    folder: Annotated[str, Meta(description="TRACKIO_DIR.")] = ""
    project: str = ""
    run: Annotated[str, Meta(description="Default: newest.")] = ""
    metrics: Annotated[tuple[str, ...], Meta(description="Wildcards.")] = ()
    points: Annotated[int, Meta(ge=2, le=100)] = 15
    level: Literal["", "info", "warn", "error"] = ""
    since: Annotated[str, Meta(description="ISO time.")] = ""
    offset: Annotated[int, Meta(ge=0)] = 0


class TrackioRunsTool(Tool[TrackioRunsArgs]):
    """Never writes: neither to a folder nor to a Space."""

    name: ClassVar[str] = "trackio_runs"
    description: ClassVar[str] = "Read Trackio: projects, runs, a run's metrics (first, last, min, max, sampled steps), alerts."
    args = TrackioRunsArgs
    timeout_s: ClassVar[float | None] = 180.0
    risk_words: ClassVar[str] = "reads"

    def __init__(self, spaces: TrackioSpaces, workspace: Workspace, folder: Path | None) -> None:
        """``folder`` is where Trackio writes by default; None: the workspace is on another machine, whose folders are not seen here."""
        self._spaces = spaces
        self._workspace = workspace
        self._folder = folder

    @cached_property
    def schema(self) -> ToolSchema:
        """Without what goes without saying: that what may be left out is empty by default."""
        return ToolSchema(self.name, self.description, without_empty_defaults(inline_schema(self.args)))

    def risk(self, args: TrackioRunsArgs) -> Risk:
        try:
            read = frozenset({str(self._workspace.resolve(args.folder))}) if args.folder and not args.space_id else frozenset[str]()
        except (ValueError, OSError):
            read = frozenset[str]()
        return Risk(effects=frozenset({Effect.READS}), reads=read)

    def subject(self, args: TrackioRunsArgs) -> PermissionSubject:
        return PermissionSubject(parts=(f"{args.operation} {args.space_id or args.folder}".strip(),))

    async def run(self, args: TrackioRunsArgs, ctx: ToolContext) -> ToolOutput:
        async with AsyncExitStack() as stack:
            space_id = args.space_id.strip()
            store = await stack.enter_async_context(self._spaces.open(space_id)) if space_id else self._local(args.folder.strip())
            if args.operation == "projects":
                return ToolOutput(text=await _projects(store, args))
            project = args.project.strip() or await _only_project(store)
            runs = await store.runs(project)
            match args.operation:
                case "runs":
                    return ToolOutput(text=await _runs(store, project, runs, args))
                case "metrics":
                    return ToolOutput(text=await _metrics(store, project, runs, args))
                case "alerts":
                    return ToolOutput(text=await _alerts(store, project, runs, args))

    def _local(self, folder: str) -> TrackioStore:
        if self._folder is None:
            raise ToolError("The workspace is in a sandbox, whose Trackio folder is not seen from here.", hint="Give space_id.")
        place = target(self._workspace, folder).path if folder else self._folder
        return TrackioFolder(place, lambda file: target(self._workspace, str(file)))


async def _projects(store: TrackioStore, args: TrackioRunsArgs) -> str:
    found = await store.projects()
    if not found:
        return f"There is no project in {store.place}."
    shown = found[args.offset : args.offset + PROJECTS]
    return "\n".join([f"Projects in {store.place}:", *shown, *_more("projects", len(found), args.offset, len(shown))])


async def _only_project(store: TrackioStore) -> str:
    found = await store.projects()
    if len(found) != 1:
        choices = f"Give one of: {', '.join(found[:PROJECTS])}." if found else "Nothing was logged there yet."
        raise ToolError(f"There {'is no project' if not found else f'are {len(found)} projects'} in {store.place}.", hint=choices)
    return found[0]


async def _runs(store: TrackioStore, project: str, runs: Sequence[Run], args: TrackioRunsArgs) -> str:
    if not runs:
        return f"Project {project} in {store.place} has no runs."
    newest = list(reversed(runs))
    shown = await store.details(project, newest[args.offset : args.offset + RUNS])
    lines = [line for run in shown for line in run_lines(run)]
    return "\n".join(
        [
            f"Project {project} in {store.place}, {counted(len(runs), 'run')}, newest first:",
            *lines,
            *_more("runs", len(runs), args.offset, len(shown)),
        ]
    )


async def _metrics(store: TrackioStore, project: str, runs: Sequence[Run], args: TrackioRunsArgs) -> str:
    run = _run(project, runs, args.run.strip())
    if run is None:
        return f"Project {project} in {store.place} has no runs."
    logs = await store.logs(project, run)
    series = chosen(logs, args.metrics)
    names = list(series)[args.offset : args.offset + METRICS]
    head = (
        f"Project {project}, run {run.name} ({run.id}), {counted(len(logs), 'log')}"
        if run.id
        else f"Project {project}, run {run.name}, {counted(len(logs), 'log')}"
    )
    last = f"; last step {logs[-1].step} at {logs[-1].at}" if logs else ""
    if not series:
        known = ", ".join(list(chosen(logs, ()))[:PROJECTS])
        return f"{head}{last}. No such metric{f'; there are: {known}' if known else ' was logged yet'}."
    lines = [line for name in names for line in metric_lines(name, series[name], args.points)]
    return "\n".join([head + last, *lines, *_more("metrics", len(series), args.offset, len(names))])


async def _alerts(store: TrackioStore, project: str, runs: Sequence[Run], args: TrackioRunsArgs) -> str:
    run = _run(project, runs, args.run.strip()) if args.run.strip() else None
    found = await store.alerts(project, run, args.level, _utc(args.since.strip()))
    if not found:
        return f"No such alerts in project {project} of {store.place}."
    shown = found[args.offset : args.offset + ALERTS]
    lines = [line for alert in shown for line in alert_lines(alert)]
    return "\n".join(
        [
            f"{counted(len(found), 'alert')} in project {project}, newest first:",
            *lines,
            *_more("alerts", len(found), args.offset, len(shown)),
        ]
    )


def _run(project: str, runs: Sequence[Run], wanted: str) -> Run | None:
    """By id or by name, the newest of that name; without one, the newest of all."""
    if not wanted:
        return runs[-1] if runs else None
    for run in reversed(runs):
        if wanted in (run.id, run.name):
            return run
    names = ", ".join(run.name for run in list(reversed(runs))[:RUNS])
    raise ToolError(f"Project {project} has no run '{wanted}'.", hint=f"There are: {names}." if names else "It has no runs yet.")


def _utc(since: str) -> str:
    """As Trackio writes times. Raises ``ToolError``."""
    if not since:
        return ""
    try:
        at = datetime.fromisoformat(since)
    except ValueError as error:
        raise ToolError(f"'{since}' is no time.", hint="Write it as 2026-01-31T12:00:00Z.") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _more(what: str, total: int, offset: int, shown: int) -> list[str]:
    if offset and not shown:
        return [past_offset(what, total, offset)]
    if offset + shown >= total:
        return []
    return [f"({total - offset - shown} more: continue with offset {offset + shown}.)"]
