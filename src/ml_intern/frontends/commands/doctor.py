"""``ml-intern doctor``: is everything there that a run needs, and if not, what to do about it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import click

from ml_intern.config.environ import Environ
from ml_intern.config.load import LoadedSettings, hf_token, process_environ
from ml_intern.errors import ConfigError, MlInternError
from ml_intern.frontends.commands.check import Check, fail
from ml_intern.frontends.invocation import Invocation
from ml_intern.frontends.sanitize import plain, safe_json

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command("doctor")
@click.option("--online", is_flag=True, help="Also send the model one short message (a few tokens).")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def doctor_command(ctx: click.Context, online: bool, as_json: bool) -> int:
    """Check model, tokens, the Hub, sandbox, store, network and versions, and say what to fix. Exit code 1: something fails."""
    return asyncio.run(_report(Invocation.of(ctx), online=online, as_json=as_json))


async def _report(invocation: Invocation, *, online: bool, as_json: bool) -> int:
    checks: list[Check] = []
    async for check in _checks(invocation, online=online):
        checks.append(check)
        if not as_json:
            _print(check)
    if as_json:
        click.echo(safe_json(json.dumps([check._asdict() for check in checks], indent=2, ensure_ascii=False)))
    failed = sum(check.status == "fail" for check in checks)
    if not as_json:
        click.echo(f"\n{failed} of {len(checks)} checks failed." if failed else "\nReady.")
    return 1 if failed else 0


async def _checks(invocation: Invocation, *, online: bool) -> AsyncIterator[Check]:
    """Each as soon as it is done, so that a slow one does not look like a hang."""
    from ml_intern.frontends.commands import machine_checks

    yield machine_checks.versions()
    try:
        loaded = invocation.load(warn=False)
    except ConfigError as error:
        yield fail("settings", error.message, error.hint or "Correct the file, then run this again.")
        yield machine_checks.programs(Environ(process_environ()))
        return
    async for check in checks_of(loaded, online=online):
        yield check


async def checks_of(loaded: LoadedSettings, *, online: bool) -> AsyncIterator[Check]:
    """What can be checked with settings that were read; those that wait for a program or a disk do so in a thread."""
    from ml_intern.frontends.commands import hub_check, machine_checks, service_checks

    yield machine_checks.settings(loaded)
    async for check in _model(loaded, online=online):
        yield check
    if (token := hf_token(loaded.environ)) is not None:
        yield await hub_check.hub(loaded, token)
    yield service_checks.search(loaded)
    for check in await asyncio.to_thread(lambda: list(service_checks.notifications(loaded))):
        yield check
    yield await machine_checks.sandbox(loaded)
    yield await machine_checks.store(loaded)
    yield await asyncio.to_thread(machine_checks.folders, loaded)
    yield await asyncio.to_thread(machine_checks.programs, loaded.environ)
    yield await asyncio.to_thread(machine_checks.disk, loaded)


async def _model(loaded: LoadedSettings, *, online: bool) -> AsyncIterator[Check]:
    from ml_intern.frontends.commands import model_checks
    from ml_intern.models.catalog import ModelCatalog

    catalog = ModelCatalog(loaded.settings, loaded.environ)
    try:
        try:
            model = catalog.resolve(await catalog.default_model())
        except MlInternError as error:
            yield fail("model", error.message, error.hint)
            yield model_checks.tokens(loaded, None)
            return
        yield model_checks.chosen(model, loaded, catalog.missing_key(model))
        yield model_checks.tokens(loaded, model)
        yield await model_checks.network(model, loaded.environ)
        if online:
            yield await model_checks.answer(model, catalog)
    finally:
        await catalog.aclose()


def _print(check: Check) -> None:
    mark, color = MARKS[check.status]
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        mark = {"✓": "+", "✗": "x"}.get(mark, mark)
    click.echo(f"{click.style(mark, fg=color)} {check.name:<9} {plain(check.detail)}")
    if check.fix and check.status != "ok":
        click.echo(f"  {'':<9} → {plain(check.fix)}")
