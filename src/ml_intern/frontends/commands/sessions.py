"""``ml-intern sessions …``: what is stored on this machine, and what to do with it. Settings are not read: it works with broken ones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from ml_intern.config.environ import Environ
from ml_intern.config.load import process_environ
from ml_intern.config.paths import paths_from
from ml_intern.errors import SessionBusy
from ml_intern.frontends.commands.open_sessions import open_elsewhere
from ml_intern.frontends.commands.session_table import as_json, as_table
from ml_intern.frontends.sanitize import one_line, plain, safe_json
from ml_intern.frontends.session_names import complete_session
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.session_ids import short_id
from ml_intern.stores.base import EventStore, SessionRecord

if TYPE_CHECKING:
    from ml_intern.session.control import Welcome

T = TypeVar("T")

NEWEST = 20
LONGEST_TITLE = 200
POLL_S = 0.25

_name = click.argument("name", metavar="ID", shell_complete=complete_session)


def _with_store(work: Callable[[EventStore], Awaitable[T]]) -> T:
    """Run ``work`` over the store of this machine. One that was never made stays unmade."""
    paths = paths_from(Environ(process_environ()))

    async def run() -> T:
        store = open_store(paths.sessions_db, paths.spill_dir)
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


def open_store(path: Path, spill_dir: Path) -> EventStore:
    """The store of this machine; an empty one where none was ever made, so that looking makes none."""
    if path.exists():
        from ml_intern.stores.sqlite import SqliteStore

        return SqliteStore(path, spill_dir=spill_dir)
    from ml_intern.stores.memory import MemoryStore

    return MemoryStore()


@click.group("sessions", invoke_without_command=True)
@click.pass_context
def sessions_group(ctx: click.Context) -> None:
    """List, show, search, export, rename or delete past sessions, and tell what they cost.

    A session is named by its id, the beginning of it, its number in the list, or "last".
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_command)


@sessions_group.command("list")
@click.option("--all", "everything", is_flag=True, help=f"All of them, not the {NEWEST} newest.")
@click.option("--cwd", type=click.Path(file_okay=False), metavar="DIR", help="Only those that worked in this folder (or below it).")
@click.option("--json", "json_", is_flag=True, help="Print a JSON array.")
def list_command(everything: bool = False, cwd: str | None = None, json_: bool = False) -> None:
    """List sessions, the newest first, and where each is open: attach or --resume joins it there."""
    found, live = _with_store(_sessions)
    records = list(enumerate(found, 1))
    if cwd is not None:
        folder = Path(cwd).resolve()
        records = [(place, record) for place, record in records if Path(record.cwd).is_relative_to(folder)]
    shown = records if everything or json_ else records[:NEWEST]
    if json_:
        click.echo(as_json(shown, live))
    elif not shown:
        click.echo("No sessions yet." if cwd is None else f"No sessions in {plain(cwd)}.", err=True)
    else:
        click.echo(as_table(shown, live))
        if len(shown) < len(records):
            click.echo(f"… and {len(records) - len(shown)} older ones: --all", err=True)


async def _sessions(store: EventStore) -> tuple[list[SessionRecord], dict[str, Welcome]]:
    """All of them, and where they are open."""
    records = list(await store.sessions())
    if not any(record.owner for record in records):
        return records, {}
    from ml_intern.session.control import FOLDER

    return records, await open_elsewhere(paths_from(Environ(process_environ())).state_dir / FOLDER)


@sessions_group.command("show")
@_name
@click.option("-f", "--follow", is_flag=True, help="Stay and show what its owner adds, until nobody works on it any more.")
@click.option("--json", "json_", is_flag=True, help="Print every event as a line of JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Show more of what tools answered.")
def show_command(name: str, follow: bool, json_: bool, verbose: bool) -> None:
    """Show a session. Read-only: it may be in use elsewhere."""
    from ml_intern.frontends.session_view import JsonView, TextView

    view = JsonView() if json_ else TextView(live=follow, verbose=verbose)

    async def work(store: EventStore) -> None:
        record = await store.find(name)
        view.begin(record)
        if follow:
            await _follow(store, record.id, view.tell)
        else:
            await _tell_from(store, record.id, 0, view.tell)
        view.end()

    _with_store(work)


async def _tell_from(store: EventStore, session_id: str, seq: int, tell: Callable[[Any], None]) -> int:
    from ml_intern.session.export import read_log

    for envelope in await read_log(store, session_id, after_seq=seq):
        tell(envelope)
        seq = envelope.seq or seq
    sys.stdout.flush()
    return seq


async def _follow(store: EventStore, session_id: str, tell: Callable[[Any], None]) -> None:
    """Look again and again: another process writes, and nothing tells us when."""
    seq = 0
    while True:
        owned = bool((await store.record(session_id)).owner)  # asked first: what is written before it leaves is still shown
        if await store.last_seq(session_id) > seq:
            seq = await _tell_from(store, session_id, seq, tell)
        if not owned:
            click.echo("Nobody works on this session now.", err=True)
            return
        await asyncio.sleep(POLL_S)


@sessions_group.command("cost")
@_name
@click.option("--json", "json_", is_flag=True, help="Print a JSON object.")
def cost_command(name: str, json_: bool) -> None:
    """Show what a session has cost: by model, tool, job and sandbox. Read-only: it may be in use elsewhere."""
    from ml_intern.frontends.spending.ledger import Ledger

    async def work(store: EventStore) -> tuple[SessionRecord, Ledger]:
        from ml_intern.session.export import read_log

        record, ledger = await store.find(name), Ledger()
        for envelope in await read_log(store, record.id):
            ledger.read(envelope)
        return record, ledger

    record, ledger = _with_store(work)
    if json_:
        import json

        from ml_intern.frontends.spending.report import report

        click.echo(safe_json(json.dumps(msgspec.to_builtins(report(record.id, ledger)), indent=2, ensure_ascii=False)))
        return
    from ml_intern.frontends.session_view import painted
    from ml_intern.frontends.spending.tables import cost_rows

    click.echo(painted(cost_rows(ledger), color=True), nl=False)


@sessions_group.command("search")
@click.argument("text", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many sessions.")
@click.option("--json", "json_", is_flag=True, help="Print a JSON array.")
def search_command(text: tuple[str, ...], limit: int, json_: bool) -> None:
    """Search what users and models said and tools answered: all words, or "a phrase" in double quotes."""

    async def work(store: EventStore) -> list[tuple[SessionRecord, Any]]:
        return [(await store.record(hit.session_id), hit) for hit in await store.search(" ".join(text), limit=limit)]

    hits = _with_store(work)
    if json_:
        import json

        rows = [
            {"id": hit.session_id, "seq": hit.seq, "title": record.title or record.preview, "snippet": hit.snippet} for record, hit in hits
        ]
        click.echo(safe_json(json.dumps(rows, indent=2, ensure_ascii=False)))
        return
    for record, hit in hits:
        title = one_line(record.title or record.preview)
        click.secho(f"{short_id(record.id)}  {record.updated_at.astimezone():%Y-%m-%d %H:%M}  {title}", bold=True)
        click.echo(f"  {plain(hit.snippet)}")
    if not hits:
        click.echo("Nothing found.", err=True)


@sessions_group.command("export")
@_name
@click.option("--format", "format_", type=click.Choice(["jsonl", "markdown"]), default="markdown", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, allow_dash=True), default="-", help="A file, instead of standard output.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def export_command(name: str, format_: str, output: str, force: bool) -> None:
    """Export a session: every event as JSONL, or the conversation as Markdown."""
    from ml_intern.session.export import read_log, to_jsonl, to_markdown

    async def work(store: EventStore) -> str:
        record = await store.find(name)
        envelopes = await read_log(store, record.id)
        return "".join(to_jsonl(envelopes) if format_ == "jsonl" else to_markdown(record, envelopes))

    text = _with_store(work)
    text = text if format_ == "jsonl" else plain(text)
    if output == "-":
        click.echo(text, nl=False)
    else:
        from ml_intern.frontends.commands.private_file import write_private

        write_private(Path(output), text.encode(), replace=force)


@sessions_group.command("delete")
@click.argument("names", metavar="ID...", nargs=-1, required=True, shell_complete=complete_session)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete_command(names: tuple[str, ...], yes: bool) -> None:
    """Delete sessions with everything that was kept of them. They do not come back."""

    async def find_all(store: EventStore) -> list[SessionRecord]:
        return list({record.id: record for record in [await store.find(name) for name in names]}.values())

    records = _with_store(find_all)
    for record in records:
        title = one_line(record.title or record.preview)
        click.echo(f"{short_id(record.id)}  {counted(record.event_count, 'event')}  {title}", err=True)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Nobody is there to be asked. To delete them unasked: --yes")
        if not click.confirm(f"Delete {'it' if len(records) == 1 else f'these {len(records)}'}?", err=True):
            click.echo("Nothing was deleted.", err=True)
            raise click.exceptions.Exit(1)

    deleted: list[str] = []

    async def delete(store: EventStore) -> list[SessionBusy]:
        refused: list[SessionBusy] = []
        for record in records:
            try:
                await store.delete(record.id)
                deleted.append(record.id)
            except SessionBusy as busy:
                refused.append(busy)
        return refused

    refused = _with_store(delete)
    click.echo(f"Deleted: {len(deleted)}", err=True)
    for path in _forget_traces(deleted):
        click.echo(f"On the Hub there is still its trace, which you can delete there: {plain(path)}", err=True)
    if refused:
        raise SessionBusy("\n".join(busy.message for busy in refused), hint=refused[0].hint)


def _forget_traces(session_ids: Iterable[str]) -> list[str]:
    """What was shared of them and is still on the Hub."""
    from ml_intern.sinks.trace_progress import FOLDER, ProgressFiles

    progress = ProgressFiles(paths_from(Environ(process_environ())).data_dir / FOLDER)
    return [path for session_id in session_ids for path in progress.forget(session_id)]


@sessions_group.command("rename")
@_name
@click.argument("title")
def rename_command(name: str, title: str) -> None:
    """Give a session a title."""
    from ml_intern.session.retitle import retitle

    title = one_line(title)[:LONGEST_TITLE]
    if not title:
        raise click.UsageError("The title is empty.")

    async def work(store: EventStore) -> None:
        await retitle(store, (await store.find(name)).id, title)

    _with_store(work)
