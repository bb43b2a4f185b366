"""``ml-intern trust``: whether this project's hooks and the calls that it allows count. What they are is shown first."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ml_intern.config.hook_files import HookFiles, unclear_lines
from ml_intern.config.json_values import JsonDict, read_object
from ml_intern.config.load import LoadedSettings
from ml_intern.config.project import PROJECT_FILE
from ml_intern.config.trust import TrustedFolders, needs_trust
from ml_intern.errors import ConfigError
from ml_intern.frontends.invocation import Invocation
from ml_intern.frontends.sanitize import plain

UNKNOWN = (
    "What these programs read, fetch or load by a name that they make while they run, and what they find on PATH, I cannot know: "
    "it may change without being noticed."
)


@click.command("trust")
@click.option("--revoke", is_flag=True, help="Trust this project no more.")
@click.option("--list", "as_list", is_flag=True, help="Print the trusted folders.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def trust_command(ctx: click.Context, revoke: bool, as_list: bool, yes: bool) -> None:
    """Let the hooks of this folder's project run, and the calls pass that it allows.

    Only for what its settings file says now, and for the files of the project that its hooks name as they are now: when one of
    them changes, they are off again.
    """
    if revoke and as_list:
        raise click.UsageError("--revoke and --list exclude each other.", ctx)
    loaded = Invocation.of(ctx).load(warn=False)
    folders = TrustedFolders(loaded.paths.state_dir)
    if as_list:
        _list(folders)
    elif revoke:
        _revoke(folders, loaded)
    else:
        _trust(folders, loaded, yes=yes)


def _list(folders: TrustedFolders) -> None:
    for entry in (known := folders.all()):
        click.echo(plain(f"{entry.trusted_at:%Y-%m-%d}  {entry.folder}"))
    if not known:
        click.echo("No folder is trusted.")


def _revoke(folders: TrustedFolders, loaded: LoadedSettings) -> None:
    places = dict.fromkeys((*(path.parent.parent for path in _project_files(loaded)), loaded.cwd))
    revoked = [place for place in places if folders.revoke(place)]
    for place in revoked:
        click.echo(plain(f"{place} is trusted no more."))
    if not revoked:
        click.echo(plain(f"{loaded.cwd} was not trusted."))


def _trust(folders: TrustedFolders, loaded: LoadedSettings, *, yes: bool) -> None:
    asking = [(path, active) for path in _project_files(loaded) if (active := needs_trust(read_object(path)))]
    if not asking:
        raise ConfigError(
            f"The project of {loaded.cwd} brings no hooks and allows no calls: there is nothing to trust.",
            hint=f"They would stand in {PROJECT_FILE}.",
        )
    for path, active in asking:
        folder = path.parent.parent
        if folders.covers(folder, active):
            click.echo(plain(f"{folder} is trusted already."))
            continue
        _show(path, active, folders.files(folder, active))
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("There is nobody to ask: standard input is no terminal. If you trust what stands above: --yes")
            click.confirm(
                plain(f"{UNKNOWN}\nTrust {folder}? What stands above runs with your rights, outside the sandbox"), abort=True, err=True
            )
        folders.trust(folder, active)
        click.echo(plain(f"{folder} is trusted. Take it back with: ml-intern trust --revoke"))


def _project_files(loaded: LoadedSettings) -> list[Path]:
    return [path for path in loaded.files if path.parts[-2:] == PROJECT_FILE.parts]


def _show(path: Path, active: JsonDict, found: HookFiles) -> None:
    click.echo(plain(f"{path} says:"))
    for event, rules in _items(active.get("hooks")):
        click.echo(plain(f"  hooks.{event}: {json.dumps(rules, ensure_ascii=False)}"))
    for file in found.files:
        click.echo(plain(f"  they run {file}, as it is now"))
    for line in (*unclear_lines(active.get("hooks")), *found.unclear):
        click.secho(plain(f"  I cannot tell which files this runs, so I cannot see whether they change: {line}"), fg="yellow")
    for key, rules in _items(active.get("permissions")):
        click.echo(plain(f"  permissions.{key}: {json.dumps(rules, ensure_ascii=False)}"))


def _items(value: Any) -> list[tuple[str, Any]]:
    return [(str(key), item) for key, item in value.items()] if isinstance(value, dict) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
