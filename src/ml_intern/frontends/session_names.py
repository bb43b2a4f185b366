"""Completing the name of a session in the shell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from ml_intern.config.environ import Environ
from ml_intern.config.load import process_environ
from ml_intern.config.paths import paths_from
from ml_intern.errors import MlInternError
from ml_intern.frontends.sanitize import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from ml_intern.stores.base import SessionRecord

OFFERED = 50
ID_LENGTH = 8


def complete_session(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest sessions whose id begins so, with their titles. A store that cannot be read offers nothing."""
    path = paths_from(Environ(process_environ())).sessions_db
    if not path.exists():
        return []
    try:
        records = asyncio.run(_newest(path))
    except MlInternError:
        return []
    length = max(ID_LENGTH, len(incomplete))
    return [CompletionItem(record.id[:length], help=_about(record)) for record in records if record.id.startswith(incomplete)]


def _about(record: SessionRecord) -> str:
    return one_line(record.title or record.preview)[:60]


async def _newest(path: Path) -> list[SessionRecord]:
    from ml_intern.stores.sqlite import SqliteStore

    store = SqliteStore(path)
    try:
        return await store.sessions(limit=OFFERED)
    finally:
        await store.aclose()
