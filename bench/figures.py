"""What was measured, and how it is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

LONGEST_FAILURE = 200


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table. ``met`` None: there is no target, or nothing to hold it against."""

    name: str
    unit: str
    ours: float | None = None
    floor: float | None = None
    target: str = ""
    met: bool | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)
    failure: str = ""
    """Why there is nothing to tell."""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.floor if self.ours is not None and self.floor else None


def attempted(name: str, measure: Callable[[], list[Figure]]) -> list[Figure]:
    """What is measured; one that failed is a line that says so, and the others go on."""
    try:
        return measure()
    except RuntimeError as error:
        return [Figure(name=name, unit="", met=False, failure=str(error))]


_HEADER = ("", "ml-intern", "floor", "ratio", "target", "")


def as_table(figures: list[Figure]) -> str:
    """Aligned columns for a terminal."""
    rows = [_HEADER, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = ["  ".join(_cell(text, width, column) for column, (text, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
    lines.insert(1, "─" * max(len(line) for line in lines))
    return "\n".join(line.rstrip() for line in lines)


def as_json(figures: list[Figure]) -> list[dict[str, object]]:
    return [{**asdict(figure), "ratio": figure.ratio} for figure in figures]


def _cell(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column in (1, 2, 3) else text.ljust(width)


def _row(figure: Figure) -> tuple[str, ...]:
    if figure.failure:
        return (figure.name, "–", "–", "", figure.target, f"FAILED: {' '.join(figure.failure.split())[:LONGEST_FAILURE]}")
    verdict = {True: "met", False: "NOT MET", None: ""}[figure.met]
    ratio = f"{figure.ratio:.2f}×" if figure.ratio is not None else ""
    return (figure.name, _number(figure.ours, figure.unit), _number(figure.floor, figure.unit), ratio, figure.target, verdict)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}".strip()
