"""``/tools`` and ``/mcp``: what the model can call, and where it comes from."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec

from ml_intern.frontends.commands.mcp import Row, rows_of
from ml_intern.frontends.headless.text import Line, line, lines
from ml_intern.frontends.sanitize import one_line
from ml_intern.frontends.tui.screens.pager import Pager
from ml_intern.protocol.amounts import counted

if TYPE_CHECKING:
    from ml_intern.frontends.tui.app import TuiApp
    from ml_intern.models.base import ToolSchema

_STYLES = {"ready": "good", "failing": "bad", "not used": "dim", "disabled": "dim"}


async def show_tools(app: TuiApp, rest: str) -> None:
    """``/tools [name]``: all of them, or what the model is told of one."""
    from ml_intern.tools.catalog import BUILTIN, IN_SANDBOX_ONLY
    from ml_intern.tools.lazy import read_manifest

    known = read_manifest()
    if rest:
        if (schema := known.get(rest)) is None:
            app.say(f"There is no built-in tool {rest}.", hint="/tools lists them.", bad=True)
            return
        await app.push_screen_wait(Pager(rest, _in_full(rest, schema)))
        return
    remote = app.loaded.settings.tool_runtime == "sandbox"
    names = [name for name in BUILTIN if name in known and (remote or name not in IN_SANDBOX_ONLY)]
    rows = [line(("bold", f"{len(names)} built-in tools"), ("dim", "  /tools <name> shows what the model is told of one")), line()]
    column = max(map(len, names)) + 1
    rows += [line(("accent", f"{name:<{column}}"), f" {_first_sentence(known[name].description)}") for name in names]
    for server in await asyncio.to_thread(rows_of, app.loaded):
        rows += [line(), line(("bold", f"MCP server {server.name}"), ("dim", f"  {server.state}"))]
        rows += [line(f"  {server.name}__{tool}") for tool in server.tools] or [line(("dim", f"  {one_line(server.detail)}"))]
    await app.push_screen_wait(Pager("Tools", rows))


def _first_sentence(text: str) -> str:
    words = one_line(text)
    end = words.find(". ")
    return words[: end + 1] if end > 0 else words


def _in_full(name: str, schema: ToolSchema) -> list[Line]:
    """What the model is told of a tool, and how to see what a call of it is judged as."""
    rows = [*lines(schema.description), line(), line(("bold", "Parameters")), line()]
    required = schema.parameters.get("required", ())
    given: dict[str, dict[str, Any]] = schema.parameters.get("properties", {})
    column = max(map(len, given), default=0) + 1
    for parameter, about in given.items():
        kinds: list[str] | str = about.get("type", "any of several")
        words = [kinds if isinstance(kinds, str) else " or ".join(kinds), "required" if parameter in required else ""]
        if parameter not in required and about.get("default") not in (None, ""):
            words.append(f"default {msgspec.json.encode(about['default']).decode()}")
        told = one_line(str(about.get("description", "")))
        rows.append(line(("accent", f"{parameter:<{column}}"), ("dim", f" {', '.join(filter(None, words))}"), f"  {told}"))
    rows += [line(), line(("bold", "Whether it asks first")), line()]
    return [*rows, *lines(f"That depends on the call: /permissions test {name}: …   shows it for one, and /permissions the rules.")]


async def show_mcp(app: TuiApp, rest: str) -> None:
    """``/mcp [test NAME]``: the servers and their state; or ask one now."""
    verb, _, name = rest.partition(" ")
    servers = {row.name: row for row in await asyncio.to_thread(rows_of, app.loaded)}
    if verb == "test" and name.strip():
        await _test(app, name.strip(), servers)
    elif verb:
        app.say(f"'{rest}' is nothing that /mcp knows.", hint="/mcp lists the servers, /mcp test NAME asks one.", bad=True)
    elif not servers:
        app.say("There are no MCP servers.", hint="In a shell: ml-intern mcp add NAME -- COMMAND …   or   --url URL")
    else:
        await app.push_screen_wait(Pager("MCP servers", [row for server in servers.values() for row in _about(server)]))


def _about(server: Row) -> list[Line]:
    style = _STYLES.get(server.state, "warn")
    head = line(("bold", server.name), "  ", (style, server.state), ("dim", f"  {one_line(server.where)}"))  # type: ignore[arg-type]
    rows = [head, *([line(f"  {one_line(server.detail)}")] if server.detail else [])]
    rows += [line(("dim", f"  {server.name}__{tool}")) for tool in server.tools]
    return [*rows, line()]


async def _test(app: TuiApp, name: str, servers: dict[str, Row]) -> None:
    from ml_intern.mcp.servers import ask_one
    from ml_intern.mcp.surroundings import surroundings_of, why_dormant

    if name not in servers:
        app.say(f"There is no MCP server '{name}'.", hint=f"There are: {', '.join(servers) or 'none'}.", bad=True)
        return
    around, server = surroundings_of(app.loaded), app.loaded.settings.mcp_servers[name]
    if reason := why_dormant(server, around):
        app.say(reason, bad=True)
        return
    started = time.monotonic()
    with app.hinting(f"asking {name} …"):
        about, tools = await ask_one(name, server, around)
    who = f"{about.title} {about.version}".strip() or name
    told = "\n".join(f"  {tool.name}{'  (reads)' if tool.read_only else ''}" for tool in tools)
    app.say(f"{who}: MCP {about.protocol}, {counted(len(tools), 'tool')}, answered in {time.monotonic() - started:.2f} s\n{told}")
