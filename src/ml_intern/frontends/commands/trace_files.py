"""Exported traces become files: one for each session, or one for all, and a summary of what was taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ml_intern.config.paths import private_dir
from ml_intern.frontends.commands.private_file import write_private
from ml_intern.frontends.sanitize import safe_json
from ml_intern.protocol.amounts import counted

if TYPE_CHECKING:
    from ml_intern.session.trace_export import Exported

STDOUT = "-"


def is_folder(output: str) -> bool:
    """Whether ``-o`` names one: it is there, or ends with a slash."""
    return output != STDOUT and (output.endswith("/") or Path(output).is_dir())


def write_traces(exported: Sequence[Exported], output: str, *, force: bool) -> list[Path]:
    """Returns the files, none for standard output. Raises ``click.UsageError`` or ``StoreError``."""
    if output == STDOUT:
        for one in exported:
            click.echo(safe_json(one.data.decode()), nl=False)  # a terminal may be there; files have it as it is
        return []
    if not is_folder(output):
        write_private(Path(output), b"".join(one.data for one in exported), replace=force)
        return [Path(output)]
    folder = private_dir(Path(output))
    paths = [folder / f"{one.session}.jsonl" for one in exported]
    there = [path for path in paths if path.exists()]
    if there and not force:
        raise click.UsageError(f"{there[0]} is already there, and nothing was written. To replace what is there: --force")
    for path, one in zip(paths, exported, strict=True):
        write_private(path, one.data, replace=force)
    return paths


def summary(exported: Sequence[Exported], empty: int, paths: Sequence[Path]) -> list[str]:
    """What was written, and what is not in it."""
    where = f" into {paths[0].parent if len(paths) > 1 else paths[0]}" if paths else ""
    nothing = f" ({empty} had nothing to export)" if empty else ""
    rows = [f"Exported {counted(len(exported), 'session')}{where}{nothing}."]
    secrets, pictures = Counter[str](), sum(one.pictures for one in exported)
    for one in exported:
        secrets.update(one.secrets)
    kinds = ", ".join(f"{count} {mark}" for mark, count in secrets.most_common())
    found_now = sum(one.found_now for one in exported)
    if secrets:
        rows.append(f"Taken out: {counted(sum(secrets.values()), 'secret')} ({kinds}).")
    if found_now:
        rows.append(f"In {counted(found_now, 'event')} one was found only now: the stored session still holds it.")
    if pictures:
        rows.append(f"Left out: {counted(pictures, 'picture')}.")
    rows.append("Some secrets may have been missed: read it before you give it away.")
    return rows
