"""Calls and what tools show: one line for the call, a few for its answer. Nothing here knows a tool by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import assert_never

import msgspec

from ml_intern.frontends.headless.text import Line, Style, clip_text, line, lines, width
from ml_intern.frontends.sanitize import plain
from ml_intern.protocol import display as d
from ml_intern.protocol.amounts import counted, duration
from ml_intern.protocol.events import ToolFinished
from ml_intern.protocol.invisible import marked
from ml_intern.protocol.messages import JsonObject

TELLING_KEYS = ("command", "path", "pattern", "query", "url", "question", "operation", "id", "dataset", "package", "task", "description")
"""Arguments that say best what a call is about, the best first."""
ABOUT_KEYS = ("script", "command", "job_id", "scheduled_job_id", "repo_id")
"""What an operation is done with, the best first."""
_SAYS_NOTHING = re.compile(r"\s*(#|import\s|from\s|$)")
"""A line of a script that many scripts have."""

DIFF_LINES = 16
EXCERPT_LINES = 4
FAILURE_LINES = 8
ROW_CELLS = 800
"""Of a line of an answer: one without an end would hide all that was before it."""
VERBOSE_LINES = 40

_PLAN_MARK: dict[str, tuple[str, Style]] = {"completed": ("✓", "good"), "in_progress": ("▸", "bold"), "pending": ("○", "dim")}


def headline(arguments: JsonObject) -> str:
    """What a call is about, in one line."""
    key = next((key for key in TELLING_KEYS if arguments.get(key)), None)
    if key in ("operation", "command") and isinstance(arguments.get("operation"), str):
        return _operation(arguments)
    if key is None and len(arguments) == 1:
        (key,) = arguments
    if key is None:
        return "" if not arguments else msgspec.json.encode(arguments).decode()
    return _first_line(key, arguments[key])


def _operation(arguments: JsonObject) -> str:
    """Such as ``run on t4-small train.py``: several of them that wait can be told apart."""
    key = next((key for key in ABOUT_KEYS if arguments.get(key)), None)
    value: object = arguments[key] if key else ""
    if key == "script" and isinstance(value, str):
        rows = value.strip().split("\n")
        first = next((row for row in rows if not _SAYS_NOTHING.match(row)), rows[0])
        about = f"{marked(first).strip()} …" if len(rows) > 1 else marked(first)
    elif key == "command" and isinstance(value, list):
        about = _first_line(key, " ".join(map(str, value)))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    else:
        about = _first_line(key, value) if key else ""
    hardware = arguments.get("hardware_flavor")
    where = f"on {marked(hardware)}" if hardware and isinstance(hardware, str) else ""
    return " ".join(filter(None, (marked(str(arguments["operation"])), where, about)))


def _first_line(key: str, value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} {key}"  # pyright: ignore[reportUnknownArgumentType]  # only its length matters
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    first, *more = marked(text).strip().split("\n")  # it may be about to run
    return f"{first} … (+{counted(len(more), 'line')})" if more else first


def call_line(mark: str, tool: str, arguments: JsonObject, *, note: str = "", style: Style = "tool") -> Line:
    """Such as ``▸ bash  pytest -q  12 s``."""
    about = headline(arguments)
    spans = [(style, f"{mark} {tool}"), f"  {about}" if about else "", ("dim", f"  {note}" if note else "")]
    return line(*[span for span in spans if span and span != ("dim", "")])  # type: ignore[misc]


def answer_lines(answer: ToolFinished, *, arguments: JsonObject | None = None, verbose: bool, excerpt: bool = False) -> list[Line]:
    """The end of a call. ``excerpt`` adds the last lines of a good answer too; a failure always shows its own."""
    if answer.success and answer.display and all(isinstance(item, d.Plan) for item in answer.display) and not verbose:
        return []  # `plan_update` has shown it
    mark, style = ("✓", "good") if answer.success else ("✗", "bad")
    note = duration(answer.duration_s) if answer.duration_s else ""
    if answer.error_kind:
        note = f"{note} · {answer.error_kind.replace('_', ' ')}".removeprefix(" · ")
    rows = [call_line(mark, answer.tool, arguments or {}, note=note, style=style)]
    shown = [row for item in answer.display for row in display_lines(item)]
    only_named = all(isinstance(item, d.Job) for item in answer.display)  # what a job printed says more than its name
    told = answer.error_kind == "rejected"  # by ourselves, and the request for approval has said why
    if verbose or (not answer.success and not told) or (excerpt and only_named):
        limit = VERBOSE_LINES if verbose else EXCERPT_LINES if answer.success else FAILURE_LINES
        shown += tail(answer.output, limit, 2 * len(answer.output) if verbose else ROW_CELLS)
    return [*rows, *shown]


def tail(text: str, limit: int, cells: int = ROW_CELLS) -> list[Line]:
    """The last lines that say something, indented and dimmed."""
    rows = [row for row in plain(text).split("\n") if row.strip()]
    cut = [line(("dim", f"  │ … {counted(len(rows) - limit, 'more line')}"))] if len(rows) > limit else []
    return [*cut, *(line(("dim", f"  │ {clip_text(row, cells)}")) for row in rows[-limit:])]


def display_lines(item: d.Display) -> list[Line]:
    """What a tool asks to be shown, as lines."""
    match item:
        case d.Text():
            return _shortened(lines(item.text, "", "  "), EXCERPT_LINES * 2)
        case d.Diff():
            return _diff(item)
        case d.Table():
            return _table(item)
        case d.Link():
            return [line("  ", ("accent", item.title), f"  {item.url}")]
        case d.Picture():
            return [line("  ", ("accent", "picture"), f"  {item.path}")]
        case d.Plan():
            return []  # `plan_update` has shown it
        case d.Job():
            return [line("  ", ("accent", item.id), f"  {item.status}  {item.command}{'  ' + item.url if item.url else ''}")]
        case _:
            assert_never(item)


def plan_lines(items: Iterable[d.PlanItem]) -> list[Line]:
    """The plan, its marks, and how far it is."""
    rows = list(items)
    done = sum(item.status == "completed" for item in rows)
    marked = [(_PLAN_MARK.get(item.status, ("?", "dim")), item) for item in rows]
    return [
        line(("bold", "plan"), ("dim", f"  {done}/{len(rows)} done")),
        *(line("  ", (style, f"{mark} {item.content}")) for (mark, style), item in marked),
    ]


def _diff(diff: d.Diff) -> list[Line]:
    head = line("  ", ("accent", diff.path), ("good", f"  +{diff.added}"), ("bad", f" −{diff.removed}"))
    rows = [row for row in plain(diff.unified).split("\n") if row and not row.startswith(("--- ", "+++ "))]
    return [head, *_shortened([line("  ", (_diff_style(row), row)) for row in rows], DIFF_LINES)]


def _diff_style(row: str) -> Style:
    return "added" if row.startswith("+") else "removed" if row.startswith("-") else "dim"


def _table(table: d.Table) -> list[Line]:
    grid = [tuple(plain(cell).replace("\n", " ") for cell in row) for row in (table.columns, *table.rows)]
    widths = [max((width(row[i]) for row in grid if i < len(row)), default=0) for i in range(len(table.columns))]
    drawn = ["  ".join(cell + " " * (w - width(cell)) for cell, w in zip(row, widths, strict=False)).rstrip() for row in grid]
    title = [line(("bold", f"  {table.title}"))] if table.title else []
    return [*title, line(("dim", f"  {drawn[0]}")), *_shortened([line(f"  {row}") for row in drawn[1:]], DIFF_LINES)]


def _shortened(rows: list[Line], limit: int) -> list[Line]:
    if len(rows) <= limit:
        return rows
    return [*rows[: limit - 1], line(("dim", f"  … {len(rows) - limit + 1} more lines"))]
