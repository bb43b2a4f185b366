"""``ml-intern mcp``: the MCP servers whose tools the agent may use. Values of headers and variables are never printed."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from ml_intern.config.json_values import JsonDict
from ml_intern.config.load import LoadedSettings, user_file
from ml_intern.errors import ConfigError, ServiceError
from ml_intern.frontends.invocation import Invocation
from ml_intern.frontends.sanitize import plain, safe_json
from ml_intern.protocol.amounts import counted

if TYPE_CHECKING:
    from ml_intern.mcp.client import About
    from ml_intern.mcp.listing import Known, ListedTool

FAILED = 1
_LONGEST_LINE = 100
_NAME = re.compile(r"(?!.*__)[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""Its tools are called SERVER__TOOL, and models take no other characters in that."""
_SECRET_HINT = "a secret belongs into an environment variable: write ${NAME} (in single quotes) here."


class Row(Struct, frozen=True, kw_only=True):
    """One server in the list; of headers and variables only the names."""

    name: str
    where: str
    state: str
    detail: str
    tools: tuple[str, ...]
    transport: str
    trusted: bool
    headers: tuple[str, ...]
    env: tuple[str, ...]


class Given(Struct, frozen=True, kw_only=True):
    """The options of ``add``."""

    url: str | None
    transport: str | None
    header: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str | None
    timeout: float | None
    trusted: bool
    oauth: bool


_name = click.argument("name", metavar="NAME")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("mcp", invoke_without_command=True)
@click.pass_context
def mcp_group(ctx: click.Context) -> None:
    """List, add, remove or test MCP servers, or sign in to one.

    Their tools are called SERVER__TOOL. They ask before they run, unless a rule such as mcp:SERVER:* allows them.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_command)


@mcp_group.command("list")
@_json
@click.pass_context
def list_command(ctx: click.Context, as_json: bool) -> None:
    """Show each server, where it is, and what is known of it. Asks nobody."""
    rows = rows_of(Invocation.of(ctx).load())
    if as_json:
        click.echo(safe_json(json.dumps(msgspec.to_builtins(rows), indent=2, ensure_ascii=False)))
        return
    if not rows:
        click.echo("There are no MCP servers. Add one: ml-intern mcp add NAME -- COMMAND …   or   ml-intern mcp add NAME --url URL")
    for row in rows:
        click.echo(plain(f"{row.name:<18} {row.state:<9} {row.where}"))
        if row.detail:
            click.echo(plain(f"{'':<18} {row.detail}"))


@mcp_group.command("add", context_settings={"ignore_unknown_options": True})
@_name
@click.argument("command", nargs=-1, metavar="[-- COMMAND [ARG]…]", type=click.UNPROCESSED)
@click.option("--url", help="Where a remote server answers.")
@click.option("--transport", type=click.Choice(["stdio", "http", "streamable-http", "sse"]), help="How to speak with it.")
@click.option("--header", multiple=True, metavar="K=V", help="A header for a remote server; V may be '${VARIABLE}'.")
@click.option("--env", multiple=True, metavar="K=V", help="A variable for a program; V may be '${VARIABLE}'.")
@click.option("--cwd", metavar="DIR", help="Start the program in this folder.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Silence that one call, or connecting, may keep."
)
@click.option("--trusted", is_flag=True, help="Believe it when it says that a tool only reads.")
@click.option("--oauth", is_flag=True, help="Sign in with OAuth when it wants that: `ml-intern mcp login NAME`.")
@click.option("--force", is_flag=True, help="Keep it also when it cannot be used now.")
@click.pass_context
def add_command(ctx: click.Context, name: str, command: tuple[str, ...], force: bool, **given: Any) -> int:
    """Connect to a server, show its tools, and put it into your settings if it works (--force or --oauth: in any case)."""
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f"'{plain(name)}' is no name for a server: up to 40 letters, digits, - and single _, a letter or digit first."
        )
    invocation = Invocation.of(ctx)
    before = invocation.load()
    options = Given(**given)
    entry = _entry(command, options)
    path = user_file(before.environ)
    _advise("header", options.header)
    _advise("env", options.env)
    with _added(path, name, entry) as keep:
        code = asyncio.run(_test(invocation.load(warn=False), name, as_json=False))
        if code == 0 or force or options.oauth:
            keep()
            click.echo(f"'{name}' is in {path}.")
        else:
            click.echo("Your settings are as they were. To add it all the same: --force", err=True)
    return code


@mcp_group.command("remove")
@_name
@click.pass_context
def remove_command(ctx: click.Context, name: str) -> None:
    """Take a server out of your settings, and forget its sign-in. One that comes with ml-intern is switched off."""
    loaded = _known(ctx, name)
    from ml_intern.config.edit import drop_value, put_value
    from ml_intern.mcp.kept_sign_in import forget_sign_ins
    from ml_intern.mcp.surroundings import surroundings_of

    signed_out = forget_sign_ins(name, surroundings_of(loaded))
    path = user_file(loaded.environ)
    removed = drop_value(path, ("mcpServers", name))
    left = Invocation.of(ctx).load(warn=False)
    if name not in left.settings.mcp_servers:
        click.echo(f"'{plain(name)}' is removed from {path}.")
    else:
        put_value(path, ("mcpServers", name, "enabled"), False)
        click.echo(f"'{plain(name)}' comes with ml-intern; it is {'reset and ' if removed else ''}switched off in {path}.")
    if signed_out:
        click.echo("Its sign-in on this machine is forgotten.")


@mcp_group.command("test")
@_name
@_json
@click.pass_context
def test_command(ctx: click.Context, name: str, as_json: bool) -> int:
    """Connect to a server; show its protocol version, its tools, and how long it took. Exit code 1: it cannot be used."""
    return asyncio.run(_test(_known(ctx, name), name, as_json=as_json))


@mcp_group.command("login")
@_name
@click.pass_context
def login_command(ctx: click.Context, name: str) -> int:
    """Sign in to a server with your browser (OAuth). The tokens stay on this machine."""
    loaded = _known(ctx, name)
    if not loaded.settings.mcp_servers[name].oauth:
        raise ConfigError(f"mcpServers.{name}.oauth is not set.", hint="Set it to true in your settings, then run this again.")
    return asyncio.run(_login(loaded, name))


# ── list ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def rows_of(loaded: LoadedSettings) -> list[Row]:
    """Each server, where it is, and what is known of it from disk. Asks nobody."""
    from ml_intern.mcp.surroundings import address, surroundings_of, why_dormant
    from ml_intern.mcp.tool_cache import ToolCache

    around = surroundings_of(loaded)
    cache = ToolCache.of(around)
    rows: list[Row] = []
    for name, server in sorted(loaded.settings.mcp_servers.items()):
        known = cache.get(name, server)
        dormant = why_dormant(server, around)
        state, detail = ("not used" if server.enabled else "disabled", dormant) if dormant else _state(known)
        rows.append(
            Row(
                name=name,
                where=address(server),
                state=state,
                detail=detail,
                tools=tuple(tool.name for tool in known.tools or ()),
                transport=server.transport or ("stdio" if server.command is not None else "http"),
                trusted=server.trusted,
                headers=tuple(sorted(server.headers)),
                env=tuple(sorted(server.env)),
            )
        )
    return rows


def _state(known: Known) -> tuple[str, str]:
    if known.failures:
        return "failing", known.problem
    if known.tools is None:
        return "new", "It has not been asked yet: the next session does, or `ml-intern mcp test`."
    hours = max(0.0, time.time() - known.listed_at) / 3600
    return "ready", f"{counted(len(known.tools), 'tool')}, asked {hours:.0f} h ago."


# ── add ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _entry(command: tuple[str, ...], given: Given) -> JsonDict:
    """The server as the settings hold it; whether it makes sense is for the settings to say."""
    entry: JsonDict = {
        "command": command[0] if command else None,
        "args": list(command[1:]),
        "url": given.url,
        "transport": given.transport,
        "cwd": given.cwd,
        "timeout_s": given.timeout,
        "headers": dict(_pair("header", text) for text in given.header),
        "env": dict(_pair("env", text) for text in given.env),
        "trusted": given.trusted,
        "oauth": given.oauth,
    }
    return {key: value for key, value in entry.items() if value}


@contextmanager
def _added(path: Path, name: str, entry: JsonDict) -> Generator[Callable[[], object]]:
    """The settings with the entry; as they were afterwards, unless it is said to keep it: no file where there was none."""
    from ml_intern.config.edit import drop_empty, drop_value, put_value, read_user
    from ml_intern.config.json_values import lookup

    key = ("mcpServers", name)
    was_there, before = path.exists(), read_user(path)
    found, old = lookup(before, key)
    new = key if "mcpServers" in before else key[:1]
    put_value(path, key, entry)
    with ExitStack() as undo:
        if not was_there:
            undo.callback(drop_empty, path)
        undo.callback(lambda: put_value(path, key, old) if found else drop_value(path, new))
        yield undo.pop_all


def _pair(option: str, text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise click.UsageError(f"--{option} wants NAME=VALUE.")  # the text is not repeated: it may be a key
    return key.strip(), value


def _advise(option: str, pairs: tuple[str, ...]) -> None:
    from ml_intern.config.credentials import looks_secret

    for text in pairs:
        key, value = _pair(option, text)
        if looks_secret(key) and "${" not in value:
            click.echo(f"note: --{option} {plain(key)} stands in the file as it is; {_SECRET_HINT}", err=True)


# ── test and login ───────────────────────────────────────────────────────────────────────────────────────────────────


def _known(ctx: click.Context, name: str) -> LoadedSettings:
    loaded = Invocation.of(ctx).load()
    if name not in loaded.settings.mcp_servers:
        names = ", ".join(sorted(loaded.settings.mcp_servers)) or "none"
        raise ConfigError(f"There is no MCP server '{name}'.", hint=f"There are: {names}.")
    return loaded


async def _test(loaded: LoadedSettings, name: str, *, as_json: bool) -> int:
    from ml_intern.frontends.logs import set_up_logging
    from ml_intern.mcp.servers import Pace, ask_one
    from ml_intern.mcp.surroundings import surroundings_of, why_dormant

    around, server = surroundings_of(loaded), loaded.settings.mcp_servers[name]
    if reason := why_dormant(server, around):
        return _say_failed(name, reason, as_json=as_json)
    set_up_logging(loaded.environ, verbose=False)  # what the SDK has to say of bad lines belongs into the log
    pace = Pace()
    if not as_json:
        click.echo(plain(f"Asking '{name}' (it has {pace.patience_s(server):g} s) …"))
    started = time.monotonic()
    try:
        about, tools = await ask_one(name, server, around, pace=pace)
    except ServiceError as error:
        return _say_failed(name, str(error), as_json=as_json)
    _say_found(name, about, tools, time.monotonic() - started, as_json=as_json)
    return 0


def _say_failed(name: str, problem: str, *, as_json: bool) -> int:
    if as_json:
        click.echo(safe_json(json.dumps({"name": name, "ok": False, "problem": problem}, indent=2, ensure_ascii=False)))
    else:
        click.echo(plain(problem), err=True)
    return FAILED


def _say_found(name: str, about: About, tools: tuple[ListedTool, ...], taken_s: float, *, as_json: bool) -> None:
    if as_json:
        listed = [{"name": tool.name, "read_only": tool.read_only, "description": tool.description} for tool in tools]
        found = {"name": name, "ok": True, "server": about.title, "version": about.version, "protocol": about.protocol}
        click.echo(safe_json(json.dumps({**found, "seconds": round(taken_s, 3), "tools": listed}, indent=2, ensure_ascii=False)))
        return
    who = f"{about.title} {about.version}".strip() or name
    click.echo(plain(f"{who}: MCP {about.protocol}, {counted(len(tools), 'tool')}, answered in {taken_s:.2f} s"))
    for tool in tools:
        about_tool = " ".join(tool.description.split())[:_LONGEST_LINE]
        click.echo(plain(f"  {tool.name:<28} {about_tool}{'  (reads)' if tool.read_only else ''}"))


async def _login(loaded: LoadedSettings, name: str) -> int:
    from ml_intern.frontends.logs import set_up_logging
    from ml_intern.mcp.surroundings import surroundings_of

    set_up_logging(loaded.environ, verbose=False)

    def show(url: str) -> None:
        click.echo(f"Sign in here, in a browser on this machine:\n{plain(url)}")
        click.launch(url)

    from ml_intern.mcp.oauth import login  # the SDK: half a second, which the user waits for anyhow

    try:
        about = await login(name, loaded.settings.mcp_servers[name], surroundings_of(loaded), show)
    except ServiceError as error:
        return _say_failed(name, str(error), as_json=False)
    click.echo(plain(f"Signed in to {about.title or name}."))
    return 0
