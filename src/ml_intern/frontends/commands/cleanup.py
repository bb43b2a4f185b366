"""``ml-intern cleanup``: sandboxes that sessions left behind, found in the logs and on the Hub, shown first and deleted on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import click
import msgspec

from ml_intern.compute.hf_hardware import HubHardware
from ml_intern.compute.hf_sandbox_hub import SandboxHub
from ml_intern.config.load import LoadedSettings
from ml_intern.errors import MlInternError
from ml_intern.frontends.commands.sessions import open_store
from ml_intern.frontends.invocation import Invocation
from ml_intern.frontends.sanitize import plain
from ml_intern.gateways.outside import Outside
from ml_intern.protocol.amounts import usd
from ml_intern.protocol.session_ids import short_id
from ml_intern.session.orphans import Orphan, Orphans

HEADS = ("id", "hardware", "age", "session", "cost", "")


@click.command("cleanup")
@click.option("-y", "--yes", is_flag=True, help="Delete them. Without it they are only listed.")
@click.option(
    "--others", is_flag=True, help="Also those of sessions that this machine does not know: of another machine, which may use them."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_context
def cleanup_command(ctx: click.Context, yes: bool, others: bool, as_json: bool) -> int:
    """Find Hugging Face sandboxes that sessions left behind, and delete them. Exit code 1: something could not be deleted."""
    return asyncio.run(_clean(Invocation.of(ctx).load(), yes=yes, others=others, as_json=as_json))


async def _clean(loaded: LoadedSettings, *, yes: bool, others: bool, as_json: bool) -> int:
    store = open_store(loaded.paths.sessions_db, loaded.paths.spill_dir)
    outside = Outside(loaded.settings, loaded.environ, loaded.paths.cache_dir)
    try:
        account = await outside.hub.whoami()
        hardware = await HubHardware(outside.hub.call).current()
        orphans = Orphans(store, SandboxHub(outside.hub), lambda flavor: item.usd_per_hour if (item := hardware.find(flavor)) else None)
        found = await orphans.find(account.namespaces)
        told = {orphan.id: "" for orphan in found}
        if yes:
            for orphan in found:
                told[orphan.id] = await _end(orphans, orphan, others=others)
    finally:
        await outside.aclose()
        await store.aclose()
    _show(found, told, yes=yes, as_json=as_json)
    return 1 if any(text.startswith("failed") for text in told.values()) else 0


async def _end(orphans: Orphans, orphan: Orphan, *, others: bool) -> str:
    if not orphan.known and not others:
        return "left alone: not a session of this machine (--others)"
    try:
        await orphans.end(orphan)
    except MlInternError as error:
        return f"failed: {error}"
    return "deleted" if orphan.alive else "was gone; the log says so now"


def _show(found: Sequence[Orphan], told: dict[str, str], *, yes: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([{**msgspec.to_builtins(orphan), "outcome": told[orphan.id]} for orphan in found], indent=2))
        return
    if not found:
        click.echo("No session left a sandbox behind.")
        return
    rows = [HEADS, *(_cells(orphan, told[orphan.id]) for orphan in found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADS))]
    for row in rows:
        click.echo("  ".join(plain(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not yes:
        click.echo("\nNothing was deleted. To delete them: ml-intern cleanup --yes", err=True)


def _cells(orphan: Orphan, told: str) -> tuple[str, ...]:
    age = "–" if orphan.age_s is None else f"{orphan.age_s / 3600:.1f} h"
    cost = "unknown" if orphan.cost_usd is None else usd(orphan.cost_usd)
    state = "" if orphan.alive else "gone already"
    if not orphan.known:
        state = "of another machine"
    return (orphan.id, orphan.hardware, age, short_id(orphan.session), cost, told or state)
