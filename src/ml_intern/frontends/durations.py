"""Durations as people type them: ``90``, ``90s``, ``5m``, ``1h30m``."""

from __future__ import annotations

import re

import click

_PARTS = r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?"
"""Compiled when it is used: this stands on the path of every start, and few of them name a duration."""


def seconds(text: str) -> float | None:
    """How many seconds that is; None when it is no duration. A bare number counts seconds."""
    found = re.fullmatch(_PARTS, text.strip(), re.IGNORECASE)
    if found is None or not text.strip():
        return None
    hours, minutes, rest = (float(found[unit] or 0) for unit in "hms")
    return hours * 3600 + minutes * 60 + rest


def parse_duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """click's callback for an option that takes a positive duration. Raises ``click.BadParameter`` for anything else."""
    found = parse_wait(_ctx, _param, value)
    if found == 0:
        raise click.BadParameter(f"'{value}' is no duration: write 90s, 5m or 1h30m.")
    return found


def parse_wait(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """The same for one that may be 0."""
    found = None if value is None else seconds(value)
    if value is not None and found is None:
        raise click.BadParameter(f"'{value}' is no duration: write 90s, 5m or 1h30m.")
    return found
