"""``/export``: this session as Markdown for people, or as JSON lines for programs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ml_intern.config.paths import expand_home
from ml_intern.errors import StoreError
from ml_intern.frontends.sanitize import plain
from ml_intern.protocol.session_ids import short_id

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp

FORMATS = {"markdown": "md", "json": "jsonl"}


async def export(app: TuiApp, rest: str) -> None:
    """``/export [markdown|json] [file]``; a file that is there is not replaced."""
    first, _, more = rest.partition(" ")
    format_ = {"md": "markdown", "jsonl": "json"}.get(first.lower(), first.lower())
    name = more.strip() if format_ in FORMATS else rest
    format_ = format_ if format_ in FORMATS else "json" if name.endswith((".json", ".jsonl")) else "markdown"
    session_id = app.status.figures.session_id
    folder = Path(app.status.figures.cwd or app.loaded.cwd)
    path = folder / (expand_home(name, app.loaded.environ) if name else f"ml-intern-{short_id(session_id)}.{FORMATS[format_]}")
    if not app.loaded.settings.save_sessions:
        raise StoreError("Sessions are not saved, so that there is none to export.", hint="Set save_sessions to true.")
    text = await _exported(app, session_id, format_)
    if await asyncio.to_thread(path.exists):
        raise StoreError(f"{path} is already there.", hint="Name another file: /export markdown notes.md")
    from ml_intern.frontends.commands.private_file import write_private

    await asyncio.to_thread(write_private, path, text.encode(), replace=False)
    app.say(f"Exported to {path}.", hint="It is readable for you alone, and was not looked through for secrets a second time.")


async def _exported(app: TuiApp, session_id: str, format_: str) -> str:
    from ml_intern.frontends.commands.sessions import open_store
    from ml_intern.session.export import read_log, to_jsonl, to_markdown

    paths = app.loaded.paths
    store = open_store(paths.sessions_db, paths.spill_dir)
    try:
        record, envelopes = await store.record(session_id), await read_log(store, session_id)
    finally:
        await store.aclose()
    if format_ == "json":
        return "".join(to_jsonl(envelopes))
    return plain("".join(to_markdown(record, envelopes)))
