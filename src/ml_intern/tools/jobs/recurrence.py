"""How often a schedule runs: ``@daily`` and the like, or cron with five fields."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache

from ml_intern.errors import ToolError
from ml_intern.protocol.amounts import usd

NAMED = {"@annually": 1 / 12, "@yearly": 1 / 12, "@monthly": 1.0, "@weekly": 365.25 / 84, "@daily": 365.25 / 12, "@hourly": 365.25 * 2}
"""Runs in a month."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 7, _DAYS))
"""Lowest, highest and names of minute, hour, day of the month, month, day of the week (0 and 7 are Sunday)."""
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_FOUR_YEARS = 1461


def checked_schedule(text: str) -> str:
    """The schedule without needless space. Raises ``ToolError`` for what is none, or never comes."""
    schedule = " ".join(text.split())
    if not runs_per_month(schedule):
        raise ToolError(f"'{schedule}' is no schedule.", hint=f"Write {', '.join(NAMED)}, or cron with five fields such as `0 9 * * 1`.")
    return schedule


def monthly_words(schedule: str, cost_usd: float | None) -> str:
    """How many runs that is in a month, and the most that they can cost together."""
    runs = runs_per_month(schedule)
    often = f"about {runs:,.0f} runs a month" if runs >= 1.5 else "about 1 run a month" if runs >= 0.75 else "less than one run a month"
    return f"{often}, {f'at most {usd(cost_usd * max(runs, 1.0))}' if cost_usd is not None else 'at a cost that cannot be told'}"


@lru_cache(maxsize=32)
def runs_per_month(schedule: str) -> float:
    """On the average; 0: it is no schedule, or its day never comes."""
    if schedule.startswith("@"):
        return NAMED.get(schedule, 0.0)
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        return 0.0
    minutes, hours, days, months, weekdays = (_values(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True))
    weekdays = frozenset(day % 7 for day in weekdays)
    # As in crontab(5): where both kinds of days are restricted, either is enough.
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    first = date(2025, 1, 1)
    found = 0
    for day in (first + timedelta(days=number) for number in range(_FOUR_YEARS)):
        hits = (day.day in days, day.isoweekday() % 7 in weekdays)
        found += day.month in months and (any(hits) if either else all(hits))
    return len(minutes) * len(hours) * found / 48


def _values(field: str, lowest: int, highest: int, names: tuple[str, ...]) -> frozenset[int]:
    """What a field stands for; empty: it is none."""
    found: set[int] = set()
    for part in field.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None:
            return frozenset()
        first, last, step = match.groups()
        low = lowest if first is None else _number(first, lowest, names)
        high = _number(last, lowest, names) if last else highest if first is None or step else low
        if low is None or high is None or not lowest <= low <= high <= highest or step in ("0", "00"):
            return frozenset()
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, lowest: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + lowest
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 2 else None
