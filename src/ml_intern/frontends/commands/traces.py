"""``ml-intern traces …``: which sessions were shared, sharing the rest, exporting one, and who may see the dataset."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from ml_intern.config.load import LoadedSettings
from ml_intern.errors import ConfigError, MlInternError, StoreError
from ml_intern.frontends.commands.sessions import open_store
from ml_intern.frontends.invocation import Invocation
from ml_intern.frontends.sanitize import one_line, plain, safe_json
from ml_intern.frontends.session_names import complete_session
from ml_intern.protocol.amounts import counted
from ml_intern.protocol.session_ids import short_id
from ml_intern.stores.base import EventStore, SessionRecord

if TYPE_CHECKING:
    from ml_intern.session.trace_export import Exported
    from ml_intern.session.trace_exposure import Exposure
    from ml_intern.session.trace_push import TraceState
    from ml_intern.session.trace_sharing import TraceSharing

FORMATS = ("claude-code", "hub", "sft", "row")
WIRE_NAMES = {"claude-code": "claude_code", "hub": "open"}
OLD_NAMES = tuple(WIRE_NAMES.values())
"""As this command called them before."""
SHARING_OFF = "Traces are not shared: nothing is sent without your yes."
HOW_TO_SHARE = 'To allow it, set "share_traces": true in your settings file (see `ml-intern config`).'
SHOWN_FILES = 20

_names = click.argument("names", metavar="[SESSION]...", nargs=-1, shell_complete=complete_session)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class OpenedTraces:
    """What the sub-commands work with."""

    def __init__(self, loaded: LoadedSettings, store: EventStore, sharing: TraceSharing) -> None:
        from ml_intern.session.scrub import Scrubber

        self.loaded, self.store, self.sharing = loaded, store, sharing
        self.scrubber = Scrubber(loaded.secrets)

    async def records(self, names: Sequence[str]) -> list[SessionRecord]:
        """The named ones, each once; all without names."""
        if not names:
            return await self.store.sessions()
        return list({record.id: record for record in [await self.store.find(name) for name in names]}.values())

    async def set_public(self, repo_id: str, public: bool) -> None:
        """The consent is there only while everybody may read the dataset."""
        consent = self.sharing.consent
        if not public:
            consent.revoke(repo_id)
        await self.sharing.hub.set_private(repo_id, not public)
        if public:
            consent.grant(repo_id)


@asynccontextmanager
async def opened_traces(loaded: LoadedSettings) -> AsyncGenerator[OpenedTraces]:
    """Store, Hub and consent, for as long as they are used."""
    from ml_intern.gateways.outside import Outside
    from ml_intern.session.clock import SystemClock
    from ml_intern.session.trace_sharing import TraceSharing

    store = open_store(loaded.paths.sessions_db, loaded.paths.spill_dir)
    outside = Outside(loaded.settings, loaded.environ, loaded.paths.cache_dir)
    sharing = TraceSharing(loaded.settings, outside.hub, loaded.environ, loaded.paths.data_dir, SystemClock())
    try:
        yield OpenedTraces(loaded, store, sharing)
    finally:
        await sharing.aclose()
        await outside.aclose()
        await store.aclose()


@click.group("traces", invoke_without_command=True)
@click.pass_context
def traces_group(ctx: click.Context) -> None:
    """Share sessions as traces in a dataset of yours on the Hub, or export one.

    Nothing is sent unless share_traces is set. Secrets are taken out as well as they are found, pictures always. A session is named by
    its id, the beginning of it, its number in the list, or "last".
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(status_command)


# ── status ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@traces_group.command("status")
@_names
@_json
@click.pass_context
def status_command(ctx: click.Context, names: tuple[str, ...] = (), as_json: bool = False) -> None:
    """Show what was sent of each session, and what was not. Nobody is asked over the network."""
    loaded = Invocation.of(ctx).load()
    states = asyncio.run(_states(loaded, names))
    _show(states, as_json=as_json)
    if not loaded.settings.share_traces:
        click.echo(f"{SHARING_OFF} {HOW_TO_SHARE}", err=True)


async def _states(loaded: LoadedSettings, names: Sequence[str]) -> list[TraceState]:
    from ml_intern.session.trace_push import state_of

    async with opened_traces(loaded) as world:
        uploaders = world.sharing.uploaders()
        return [await state_of(world.store, record, one) for record in await world.records(names) for one in uploaders]


def _show(states: Sequence[TraceState], *, as_json: bool) -> None:
    if as_json:
        click.echo(safe_json(msgspec.json.format(msgspec.json.encode(states), indent=2).decode()))
        return
    for state in states:
        where = f"  {plain(state.dataset)}" if state.dataset else ""
        sent = f"{state.sent_events}/{counted(state.events, 'event')}"
        click.echo(f"{short_id(state.session)}  {state.destination:<8}  {state.state:<7}  {sent}{where}")
        for text in filter(None, (state.error, state.note)):
            click.echo(f"          {one_line(text)}")


# ── push ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@traces_group.command("push")
@_names
@click.option("--all", "everything", is_flag=True, help="Also sessions that were never to be sent, such as those from before your yes.")
@_json
@click.pass_context
def push_command(ctx: click.Context, names: tuple[str, ...], everything: bool, as_json: bool) -> int:
    """Send what is pending, or the sessions you name. Exit code 1: something could not be sent."""
    loaded = Invocation.of(ctx).load()
    if not loaded.settings.share_traces:
        raise ConfigError(SHARING_OFF, hint=HOW_TO_SHARE)
    if not loaded.settings.save_sessions:
        raise ConfigError("Sessions that are not saved are not shared either.", hint="Set save_sessions to true.")
    states = asyncio.run(_push(loaded, names, everything=everything))
    _show(states, as_json=as_json)
    if not states:
        click.echo("Nothing is pending.", err=True)
    return 1 if any(state.state != "sent" for state in states) else 0


async def _push(loaded: LoadedSettings, names: Sequence[str], *, everything: bool) -> list[TraceState]:
    from ml_intern.session.trace_push import push, state_of

    async with opened_traces(loaded) as world:
        done: list[TraceState] = []
        for record in await world.records(names):
            if not names and not record.turn_count:
                continue  # nobody has said anything in it
            for uploader in world.sharing.uploaders():
                before = await state_of(world.store, record, uploader)
                if not names and (before.state == "sent" or (before.state == "unsent" and not everything)):
                    continue
                click.echo(f"{short_id(record.id)} → {plain(await _name_of(uploader.destination.repo, world))} …", err=True)
                done.append(await push(world.store, record, uploader, world.scrubber.scrub_event))
        return done


async def _name_of(repo: str, world: OpenedTraces) -> str:
    """The dataset's own; what cannot be asked for now, the push itself says."""
    from ml_intern.sinks.trace_upload import dataset_id

    try:
        return await dataset_id(repo, world.sharing.hub)
    except MlInternError:
        return "the Hub"


# ── export ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@traces_group.command("export")
@click.argument("names", metavar="[SESSION]...", nargs=-1, shell_complete=complete_session)
@click.option(
    "--format", "format_", type=click.Choice([*FORMATS, *OLD_NAMES]), metavar="|".join(FORMATS), default=FORMATS[0], show_default=True
)
@click.option("--all", "everything", is_flag=True, help="Every session.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="The sessions of this folder and below it.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="Only those that were used since then (your time).")
@click.option("-o", "--output", default="-", help="A file or a folder, instead of standard output.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.pass_context
def export_command(ctx: click.Context, **given: Any) -> None:
    """Write sessions as they would be shared (claude-code, hub, row) or as training samples (sft). They go nowhere.

    With -o FOLDER/ each session is a file of its own.
    """
    from ml_intern.frontends.commands.trace_files import summary, write_traces

    options = ExportOptions(**given)
    if not (options.names or options.everything or options.folder or options.since):
        raise click.UsageError("Which sessions? Name them, or: --all, --folder DIR, --since DATE", ctx)
    found = asyncio.run(_export(Invocation.of(ctx).load(), options))
    exported = [one for one in found if one.data]
    if not exported:
        raise StoreError(f"There is nothing to export as {options.format_} in {counted(len(found), 'session')}.")
    paths = write_traces(exported, options.output, force=options.force)
    for text in summary(exported, len(found) - len(exported), paths):
        click.echo(plain(text), err=True)


class ExportOptions(NamedTuple):
    """What ``traces export`` was told."""

    names: tuple[str, ...]
    format_: str
    everything: bool
    folder: Path | None
    since: datetime | None
    output: str
    force: bool


async def _export(loaded: LoadedSettings, options: ExportOptions) -> list[Exported]:
    from ml_intern.frontends.commands.trace_files import is_folder
    from ml_intern.session.trace_export import FILE_EACH, Wanted, export_trace

    format_ = WIRE_NAMES.get(options.format_, options.format_)
    since = options.since.astimezone() if options.since is not None else None
    wanted = Wanted(folder=options.folder.resolve() if options.folder is not None else None, since=since)
    async with opened_traces(loaded) as world:
        records = [record for record in await world.records(options.names) if wanted.covers(record)]
        if len(records) > 1 and format_ in FILE_EACH and not is_folder(options.output):
            raise click.UsageError(f"In this format each session is a file of its own, and these are {len(records)}: use -o FOLDER/")
        return [await export_trace(world.store, record.id, format_, world.scrubber.scrub_event) for record in records]


# ── visibility ───────────────────────────────────────────────────────────────────────────────────────────────────────


@traces_group.command("visibility")
@click.argument("wanted", type=click.Choice(["public", "private"]), required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask; where something looks like a secret, it is asked all the same.")
@_json
@click.pass_context
def visibility_command(ctx: click.Context, wanted: str | None, yes: bool, as_json: bool) -> int:
    """Show who can see your dataset of traces, or change it. Before it becomes public you see what would become visible."""
    return asyncio.run(_visibility(Invocation.of(ctx).load(), wanted, yes=yes, as_json=as_json))


async def _visibility(loaded: LoadedSettings, wanted: str | None, *, yes: bool, as_json: bool) -> int:
    from ml_intern.session.trace_sharing import own_dataset

    async with opened_traces(loaded) as world:
        hub = world.sharing.hub
        repo_id = await own_dataset(loaded.settings, hub)
        repo = await hub.find(repo_id)
        if repo is None:
            click.echo(f"{plain(repo_id)} is not there yet: it is made, private, with the first upload.", err=True)
            return 1 if wanted else 0
        if wanted == "public" and not await _agreed(world, repo_id, yes=yes):
            click.echo("Nothing was changed.", err=True)
            return 1
        if wanted:
            await world.set_public(repo_id, wanted == "public")
        now = wanted or ("private" if repo.private else "public")
    shown = {"dataset": repo_id, "url": hub.page(repo_id), "visibility": now}
    click.echo(safe_json(msgspec.json.encode(shown).decode()) if as_json else f"{shown['url']}  {now}")
    return 0


async def _agreed(world: OpenedTraces, repo_id: str, *, yes: bool) -> bool:
    from ml_intern.session.trace_exposure import exposure

    repo = await world.sharing.hub.find(repo_id)
    assert repo is not None, "it was there a moment ago"

    def tell(done: int, count: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\rlooking at {done} of {counted(count, 'file')}", err=True, nl=done == count)

    found = await exposure(world.sharing.hub, repo, world.scrubber, tell)
    _show_exposure(found)
    if yes and not found.suspicious:
        return True
    if not sys.stdin.isatty():
        if found.suspicious:
            raise click.UsageError("Lines that look like secrets are published only by somebody who is there to be asked.")
        raise click.UsageError("Nobody is there to be asked. To make it public unasked: --yes")
    return click.confirm("Make all of this visible to everybody?", default=False, err=True)


def _show_exposure(found: Exposure) -> None:
    for text, bad in exposure_lines(found):
        click.secho(text, fg="red" if bad else None, err=True)


def exposure_lines(found: Exposure) -> Iterator[tuple[str, bool]]:
    """What everybody could read, as lines; true for those that are bad news."""
    yield f"In {plain(found.repo_id)}, everybody could read, earlier versions included:", False
    lines = sum(file.lines for file in found.files)
    yield f"  {counted(found.sessions, 'session')} in {counted(len(found.files), 'file')}, {counted(lines, 'line')}", False
    for file in found.files[:SHOWN_FILES]:
        yield f"    {plain(file.path)}  {counted(file.lines, 'line')}, {counted(file.size_bytes, 'byte')}", False
    if len(found.files) > SHOWN_FILES:
        yield f"    … and {len(found.files) - SHOWN_FILES} more", False
    for path in found.others:
        yield f"  {plain(path)} (no trace: not looked at)", False
    for file in found.files:
        if file.suspicious:
            numbers = ", ".join(map(str, file.suspicious[:SHOWN_FILES]))
            yield f"  {plain(file.path)}: something looks like a secret in line {numbers}", True
    if not found.suspicious:
        yield "  Nothing in it looks like a secret, which is no proof that there is none.", False
