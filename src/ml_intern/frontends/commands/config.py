"""``ml-intern config``: each setting, its value, and where it comes from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from ml_intern.config.environ import Environ
from ml_intern.config.json_values import dotted
from ml_intern.config.load import PACKAGED, LoadedSettings, process_environ, user_file
from ml_intern.config.paths import home_dir, with_tilde
from ml_intern.config.tree import MASK, flatten
from ml_intern.frontends.invocation import Invocation
from ml_intern.frontends.sanitize import plain, safe_json

if TYPE_CHECKING:
    from ml_intern.session.scrub import Scrubber


class Row(NamedTuple):
    """A line of the table; ``value`` is JSON-like, masked where it is or holds a secret."""

    key: str
    value: Any
    source: str
    variables: tuple[str, ...]


@click.group("config", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--changed", is_flag=True, help="Leave out what is at its default.")
@click.pass_context
def config_group(ctx: click.Context, as_json: bool, changed: bool) -> None:
    """Show each setting, its value, and where it comes from. Secrets are masked."""
    if ctx.invoked_subcommand is not None:
        return
    loaded = Invocation.of(ctx).load()
    rows = [row for row in rows_of(loaded) if not changed or not _is_default(row)]
    if as_json:
        click.echo(_as_json(rows))
    else:
        _print_table(rows, home=home_dir(loaded.environ))


@config_group.command("path")
def path_command() -> None:
    """Print the path of your settings file, whether or not it exists."""
    click.echo(user_file(Environ(process_environ())))


@config_group.command("check")
@click.pass_context
def check_command(ctx: click.Context) -> None:
    """Check every file; exit with 2 and name each mistake if there is one."""
    loaded = Invocation.of(ctx).load()
    for path in loaded.files:
        click.echo(f"ok  {path}")


def rows_of(loaded: LoadedSettings) -> list[Row]:
    """Every setting, in the order of the documentation."""
    from ml_intern.session.scrub import Scrubber

    scrubber = Scrubber(loaded.secrets)
    rows: list[Row] = []
    for leaf in flatten(loaded.settings):
        key = dotted(leaf.path)
        origin = loaded.origins[key]
        value = leaf.value if leaf.secret else _scrubbed(leaf.value, scrubber)
        rows.append(Row(key, value, origin.source, origin.variables))
    return rows


def _is_default(row: Row) -> bool:
    """Also what the packaged file says: it comes with the program."""
    return row.source == "default" or (Path(row.source).parent == PACKAGED and not row.variables)


def _scrubbed(value: Any, scrubber: Scrubber) -> Any:
    """Secrets that stand where none belong: an argument of an MCP server, the query of a URL."""
    if isinstance(value, str):
        return plain(scrubber.scrub(value))
    if isinstance(value, list):
        return [_scrubbed(item, scrubber) for item in cast("list[Any]", value)]
    return value


def _as_json(rows: list[Row]) -> str:
    entries = {
        row.key: {"value": row.value, "source": row.source, **({"variables": list(row.variables)} if row.variables else {})} for row in rows
    }
    return safe_json(json.dumps(entries, indent=2, ensure_ascii=False))


def _print_table(rows: list[Row], *, home: Path) -> None:
    cut = sys.stdout.isatty()
    cells = [(row.key, json.dumps(row.value, ensure_ascii=False), _where(row, home)) for row in rows]
    key_width = max((len(key) for key, _, _ in cells), default=0)
    value_width = min(max((len(value) for _, value, _ in cells), default=0), 44)
    for key, value, source in cells:
        shown = value[: value_width - 1] + MASK if cut and len(value) > value_width else value
        click.echo(f"{key:<{key_width}}  {shown:<{value_width}}  {source}".rstrip())


def _where(row: Row, home: Path) -> str:
    source = " + ".join(with_tilde(part, home) for part in row.source.split(" + "))
    return f"{source} ({', '.join('$' + name for name in row.variables)})" if row.variables else source
