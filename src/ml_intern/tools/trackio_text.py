"""Metrics, runs and alerts in few words: what a model needs to decide whether a training goes well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from ml_intern.gateways.trackio_store import Alert, Log, Run
from ml_intern.protocol.amounts import counted

CONFIG_CHARS = 300
TEXT_CHARS = 500
NAME_CHARS = 200


class Point(NamedTuple):
    """A value of a metric."""

    step: int
    value: float


def chosen(logs: Sequence[Log], patterns: Sequence[str]) -> dict[str, list[Point]]:
    """The values of each metric whose name matches (of all, without patterns), by name."""
    series: dict[str, list[Point]] = {}
    for log in logs:
        for name, value in log.values.items():
            series.setdefault(name, []).append(Point(log.step, value))
    wanted = [name for name in sorted(series) if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
    return {name: series[name] for name in wanted}


def metric_lines(name: str, values: Sequence[Point], points: int) -> list[str]:
    """Its extent in one line, and the course of it in another."""
    finite = [point for point in values if math.isfinite(point.value)]
    broken = len(values) - len(finite)
    parts = [f"{counted(len(values), 'value')}", f"first {_at(values[0])}", f"last {_at(values[-1])}"]
    if finite:
        parts += [f"min {_at(min(finite, key=lambda point: point.value))}", f"max {_at(max(finite, key=lambda point: point.value))}"]
    if broken:
        first = next(point for point in values if not math.isfinite(point.value))
        parts.append(f"{broken} NOT FINITE, from step {first.step}")
    lines = [f"{name[:NAME_CHARS]}: {', '.join(parts)}"]
    if len(values) > 2:
        lines.append("  " + ", ".join(f"{point.step}: {_number(point.value)}" for point in sampled(values, points)))
    return lines


def sampled(values: Sequence[Point], points: int) -> list[Point]:
    """Evenly spread, the first and the last among them."""
    if len(values) <= points:
        return list(values)
    return [values[round(i * (len(values) - 1) / (points - 1))] for i in range(points)]


def run_lines(run: Run) -> list[str]:
    """A run, and how it was configured."""
    facts = [
        f"last step {run.last_step}" if run.last_step is not None else "",
        f"{run.logs} logs" if run.logs is not None else "",
        f"since {run.created_at}" if run.created_at else "",
        f"id {run.id}" if run.id and run.id != run.name else "",
    ]
    lines = [f"{run.name[:NAME_CHARS]}: {', '.join(fact for fact in facts if fact)}"]
    if run.config:
        config = ", ".join(f"{name}={value}" for name, value in run.config.items())
        lines.append(f"  {config if len(config) <= CONFIG_CHARS else config[:CONFIG_CHARS] + '…'}")
    return lines


def alert_lines(alert: Alert) -> list[str]:
    """An alert, and its text below."""
    step = f", step {alert.step}" if alert.step is not None else ""
    lines = [f"{alert.at} {alert.level.upper()} {alert.run[:NAME_CHARS]}{step}: {alert.title[:TEXT_CHARS]}"]
    return [*lines, f"  {alert.text[:TEXT_CHARS]}{'…' if len(alert.text) > TEXT_CHARS else ''}"] if alert.text else lines


def _at(point: Point) -> str:
    return f"{_number(point.value)} (step {point.step})"


def _number(value: float) -> str:
    return f"{value:.4g}"
